"""Vectors of cheese and top right do what a network with known weights must make of them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
import torch

from agentomy import kinds, networks
from agentomy.environments import mazes
from agentomy.environments.maze_batch import UP
from agentomy.environments.maze_pictures import Painter
from agentomy.networks.impala import ImpalaStack
from agentomy.papers.maze.extract import channels, edits, retargeting, views
from agentomy.papers.maze.extract.site import Site
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained
from tests.papers.maze import maze_planted as planted
from tests.papers.maze.maze_agents import level_table

STREAMS = Streams("test", "run", 0)
COUNT, REGION = 12, 4


@pytest.fixture(scope="module")
def table():
    return level_table(300, corner=REGION)


def opener() -> np.ndarray:
    """Moves up if the world's top-right cell is open, whatever else there is."""
    policy = planted.caller()
    policy[UP, planted.WALL, 0, -1] = -2.0
    return policy


def fields_of(policy, table, quiet, **given):
    given = {"layer": planted.SITE, "count": COUNT, "region": REGION, "coefficients": [-1, 0, 1, 2.5]} | given
    given |= {"run": "r", "streams": STREAMS, "device": "cpu", "progress": quiet}
    pieces = edits.fields(planted.planted(policy), table, **given)
    return Table(kinds.maze_edits.FIELDS, rows=pa.concat_tables(pieces))


def moves_of(fields, edit, coefficient, update=10):
    """Levels [L], and moves at their open cells, one array a level."""
    rows = fields.where(edit=edit, coefficient=coefficient, update=update)
    moves = rows.array("moves", 9, 9, 5)
    return rows.values("level"), [field[~np.isnan(field[..., 0])] for field in moves]


def test_levels_have_a_decision_cell_and_their_cheese_outside_the_region(table):
    shown, decision = edits.deciding(table, 50, REGION)
    rows = table.where(level=shown.seed.tolist()).frame()
    assert len(rows) == 50
    assert (rows["cheese_region"] > REGION).all()
    assert (rows["decision_x"] >= 0).all()
    np.testing.assert_array_equal(decision, mazes.decision_cells(shown))
    with pytest.raises(ValueError, match="9 × 9"):
        edits.deciding(table, 50, 9)


def test_without_an_edit_a_field_is_the_policy_on_every_open_cell(table, quiet):
    fields = fields_of(opener(), table, quiet)
    shown, _ = edits.deciding(table, COUNT, REGION)
    level, cells = views.open_cells(shown)
    net, painter = planted.net(opener()), Painter("planes", 9, 9)
    for edit, cheese in (("none", True), ("no cheese", False)):
        wanted, values = views.policy(net, painter.mice(shown[level], cells, cheese=cheese), "cpu")
        rows = fields.where(edit=edit, update=10)
        np.testing.assert_array_equal(rows.values("level"), shown.seed)
        moves, worth = rows.array("moves", 9, 9, 5), rows.array("values", 9, 9)
        np.testing.assert_allclose(moves[level, cells[:, 1], cells[:, 0]], wanted, atol=1e-6)
        np.testing.assert_allclose(worth[level, cells[:, 1], cells[:, 0]], values, atol=1e-5)
        assert np.isnan(moves[shown.walls]).all()
        assert np.isnan(worth[shown.walls]).all()


def test_a_coefficient_of_zero_is_no_edit_and_is_not_written_twice(table, quiet):
    fields = fields_of(planted.caller(), table, quiet).where(update=10)
    frame = fields.frame()
    assert not frame.duplicated(["level", "edit", "coefficient"]).any()
    assert set(frame.loc[frame["edit"] == "cheese", "coefficient"]) == {-1, 1, 2.5}
    shown, _ = edits.deciding(table, COUNT, REGION)
    site = Site(planted.net(planted.caller()), planted.SITE, Painter("planes", 9, 9), "cpu")
    nothing = 0 * edits.cheese_vectors(site, shown)
    _, columns = next(iter(edits.edited(site, shown, {("cheese", 0.0): (nothing, np.ones(len(shown), bool))})))
    np.testing.assert_array_equal(columns["moves"], fields.where(edit="none").array("moves", 9, 9, 5))


def test_the_cheese_vector_added_to_the_picture_without_cheese_is_the_cheese(table):
    shown, _ = edits.deciding(table, COUNT, REGION)
    rng = np.random.default_rng(0)
    policy = rng.normal(size=(5, 4, 9, 9))  # of any policy
    site = Site(planted.net(policy), planted.SITE, Painter("planes", 9, 9), "cpu")
    vectors = edits.cheese_vectors(site, shown)
    moves, _ = site.policy(site.activations(shown, shown.start, cheese=False) + vectors)
    wanted, _ = views.policy(site.net, site.painter.mice(shown, shown.start), "cpu")
    np.testing.assert_allclose(moves, wanted, atol=1e-6)
    assert np.abs(wanted - site.policy(site.activations(shown, shown.start, cheese=False))[0]).max() > 0.1


def test_subtracting_the_cheese_vector_hides_the_cheese_and_adding_it_adds_to_it(table, quiet):
    fields = fields_of(planted.caller(), table, quiet)
    shown, _ = edits.deciding(table, COUNT, REGION)
    called = planted.called(shown.cheese)
    for coefficient in (-1, 1, 2.5):
        level, moves = moves_of(fields, "cheese", coefficient)
        np.testing.assert_array_equal(level, shown.seed)
        for chances, move in zip(moves, called, strict=True):
            wanted = planted.softmax(3.0 * max(1 + coefficient, 0) * np.eye(5)[move])
            on_cheese = np.abs(chances - wanted).max(axis=1) > 1e-5
            assert on_cheese.sum() == (coefficient > 0)  # where the mouse sits on the cheese, it does not show
    assert all(np.allclose(field, 0.2) for field in moves_of(fields, "cheese", 1, update=0)[1])


def test_the_top_right_vector_acts_as_the_path_that_it_was_made_of(table, quiet):
    fields = fields_of(opener(), table, quiet)
    shown, _ = edits.deciding(table, COUNT, REGION)
    margin = shown[shown.margin > 0]
    assert 0 < len(margin) < len(shown)
    level, cells = views.open_cells(margin)
    wanted, _ = views.policy(
        planted.net(opener()), Painter("planes", 9, 9).mice(edits.dug(margin)[level], cells), "cpu"
    )
    no_cheese, _ = views.policy(
        planted.net(opener()), Painter("planes", 9, 9).mice(edits.dug(margin)[level], cells, cheese=False), "cpu"
    )
    for edit, policy in (("top-right", wanted), ("both", no_cheese)):
        seeds, moves = moves_of(fields, edit, 1.0)
        np.testing.assert_array_equal(seeds, margin.seed)
        np.testing.assert_allclose(np.concatenate(moves), policy, atol=1e-5)
    # any maze's vector opens the same cell; the cheese is seen as before
    np.testing.assert_allclose(np.concatenate(moves_of(fields, "carried", 1.0)[1]), wanted, atol=1e-5)
    plain = dict(zip(*moves_of(fields, "none", 0.0), strict=True))
    more = np.concatenate(moves_of(fields, "top-right", -1.0)[1])[:, UP]
    assert (more < np.concatenate([plain[seed] for seed in margin.seed])[:, UP]).all()


def test_digging_opens_the_way_up_and_then_right_and_nothing_else():
    levels = mazes.generate(np.arange(40), 9)
    opened = levels.walls & ~edits.dug(levels).walls
    for wall, (x, y) in zip(opened, levels.corner, strict=True):
        up = {(row, x) for row in range(y + 1, 9)}
        right = {(8, column) for column in range(x, 9)} - {(y, x)}
        assert {tuple(cell) for cell in np.argwhere(wall)} == up | right


def test_random_vectors_are_as_long_as_those_they_stand_for(table):
    like = torch.randn(7, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    drawn = edits.random_vectors(like, np.random.default_rng(1))
    torch.testing.assert_close(drawn.flatten(1).norm(dim=1), like.flatten(1).norm(dim=1))
    cosines = torch.nn.functional.cosine_similarity(drawn.flatten(1), like.flatten(1))
    assert cosines.abs().max() < 0.5


def test_another_mazes_cheese_vector_hides_the_cheese_of_the_same_cell_alone(quiet):
    table = level_table(2000, corner=REGION)
    pieces = edits.transfers(
        planted.planted(planted.caller()),
        table,
        layer=planted.SITE,
        count=80,
        region=REGION,
        run="r",
        device="cpu",
        progress=quiet,
    )
    frame = pa.concat_tables(pieces).to_pandas()
    shown, decision = edits.deciding(table, 80, REGION)
    cheese = {seed: cell for seed, cell in zip(shown.seed, shown.cheese, strict=True)}
    assert len(frame) == 2 * 80 * 79
    assert (frame["level"] != frame["source"]).all()
    distances = [np.abs(cheese[row.level] - cheese[row.source]).max() for row in frame.itertuples()]
    np.testing.assert_array_equal(frame["distance"], distances)
    trained = frame[frame["update"] == 10]
    assert (trained["distance"] == 0).sum() > 20
    # the move to the cheese, by the plain rule: one step of the way to it
    steps = mazes.steps_from(shown.walls, shown.cheese)
    for seed, cell, (x, y), walls, distance in zip(shown.seed, shown.cheese, decision, shown.walls, steps, strict=True):
        around = {0: (x - 1, y), 1: (x, y - 1), 2: (x, y + 1), 3: (x + 1, y)}
        right = [
            move
            for move, (a, b) in around.items()
            if 0 <= a < 9 and 0 <= b < 9 and not walls[b, a] and distance[b, a] == distance[y, x] - 1
        ]
        before = planted.softmax(3.0 * np.eye(5)[planted.called(cell[None])[0]])[right[0]]
        rows = trained[trained["level"] == seed]
        np.testing.assert_allclose(rows["before"], before, atol=1e-6)
        np.testing.assert_allclose(rows["after"], np.where(rows["distance"] == 0, 0.2, before), atol=1e-6)


@pytest.mark.slow
def test_every_extraction_runs_at_the_papers_sizes(quiet):
    """Worlds of 25 cells on 64 × 64 colour pictures, three pools, 15 actions; only the channels are fewer."""
    network = {"pixels": 64, "palette": "rgb", "channels": [2, 4, 4], "pools": [1, 2, 3], "hidden": 8, "actions": 15}
    pieces = []
    for update in (0, 5):
        stack = ImpalaStack(1, **network, scale="unit").draw([networks.generator(update)], "xavier")
        pieces.append(kinds.common.PARAMETERS.table(seed=0, update=update, **stack.arrays()))
    described = trained({"use": "impala.ImpalaStack", **network, "scale": "unit"})
    run = Table(kinds.common.PARAMETERS, rows=pieces, description=described)
    rows = level_table(200, world=25, corner=5).arrow()
    table = Table(kinds.maze.LEVELS, rows=rows.filter(pa.compute.is_in(rows["side"], pa.array([7, 9]))))  # for speed
    where = {"layer": planted.SITE, "count": 2}
    ranked = {**where, "count": 2, "ranking": 6, "threshold": 0.95}
    given = {"run": "r", "device": "cpu", "progress": quiet}
    random = {**given, "streams": STREAMS}
    strengths = {"one": 6.0, "several": 2.0, "all": 0.5}
    calls = {
        "fields": edits.fields(run, table, **where, region=5, coefficients=[-1, 1], **random),
        "transfers": edits.transfers(run, table, **where, region=5, **given),
        "channels": channels.channels(run, table, layers=["block1.conv", planted.SITE], count=3, **random),
        "resampled": channels.resampled(run, table, **{**ranked, "count": 20}, **random),
        "retargets": retargeting.retargets(run, table, **ranked, several=2, strengths=strengths, **random),
    }
    for name, rows in calls.items():
        extracted = Table(kinds.ALL[name.upper()], rows=pa.concat_tables(rows))
        assert set(extracted.values("update")) == {0, 5}
        if name == "fields":
            moves = extracted.array("moves", 25, 25, 5)
            np.testing.assert_allclose(moves[~np.isnan(moves[..., 0])].sum(axis=-1), 1, atol=1e-5)
        for column in {"probability", "after", "change"} & {column.name for column in extracted.kind.columns}:
            assert ((extracted.values(column) >= 0) & (extracted.values(column) <= 1)).all()


def test_each_level_with_a_margin_is_lent_the_vector_of_the_next_one(table):
    levels = edits.deciding(table, COUNT, REGION)[0]
    site = Site(planted.net(opener()), planted.SITE, Painter("planes", 9, 9), "cpu")
    corner = edits.top_right_vectors(site, levels)
    lent, which = edits.edit_vectors(site, levels, [1.0], STREAMS)["carried", 1.0]
    of_level = np.flatnonzero(which)
    assert of_level.tolist() == np.flatnonzero(levels.margin > 0).tolist()
    assert 2 < len(of_level) < COUNT
    for level, lender in zip(of_level, [*of_level[1:], of_level[0]], strict=True):
        assert torch.equal(lent[level], corner[lender])
    assert not all(torch.equal(lent[level], corner[level]) for level in of_level)
