"""Mazes run side by side: as in the plain environment one by one, and as planted agents must."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import kinds, networks, tables
from agentomy.environments import mazes
from agentomy.environments.maze import Maze
from agentomy.environments.maze_batch import UP
from agentomy.environments.maze_pictures import Painter
from agentomy.papers.maze.extract import rollouts
from agentomy.tables import Table
from tests.described import trained
from tests.papers.maze.maze_agents import course, heading, level_table, seekers
from tests.small_runs import streams

LIMIT, SEEDS, UPDATES = 20, [0, 3], [0, 5, 9]
NETWORK = {
    "use": "impala.ImpalaStack",
    "pixels": 9,
    "palette": "planes",
    "channels": [4],
    "pools": [1],
    "hidden": 8,
    "actions": 5,
    "scale": "planes",
}


@pytest.fixture(scope="module")
def levels():
    return level_table(40, held_out=10)


def weights(actions=5, strength=5.0):
    """Weights of two networks that do something, by name [S, *shape]."""
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    stack = networks.build({**NETWORK, "actions": actions}, len(SEEDS)).draw(generators, "xavier")
    arrays = stack.arrays()
    arrays["policy.weight"] = arrays["policy.weight"] * 100 * strength  # from a gain of 0.01
    return arrays


def snapshots(folder, by_update, actions=5):
    """A run's parameters in two files, a seed each, as training jobs write them."""
    paths = []
    for place, seed in enumerate(SEEDS):
        pieces = [
            kinds.common.PARAMETERS.table(
                seed=[seed], update=update, **{n: a[place : place + 1] for n, a in arrays.items()}
            )
            for update, arrays in by_update.items()
        ]
        paths.append(folder / f"run.seed{seed}.parquet")
        tables.write(paths[-1], kinds.common.PARAMETERS, pieces, trained({**NETWORK, "actions": actions}))
    return Table(kinds.common.PARAMETERS, paths)


def outcomes(parameters, levels, quiet, **options):
    options = {"max_episode_steps": LIMIT, "conditions": ["cheese", "no cheese"], "snapshots": "all", **options}
    given = {"run": "r", "streams": streams(), "device": "cpu", "progress": quiet}
    pieces = rollouts.outcomes(parameters, levels, **options, **given)
    return Table(kinds.maze_behaviour.OUTCOMES, rows=pa.concat_tables(pieces))


def at_random(levels, **options):
    options = {
        "max_episode_steps": LIMIT,
        "conditions": ["cheese", "no cheese"],
        "run": "r",
        "streams": streams(),
        **options,
    }
    return Table(kinds.maze_behaviour.OUTCOMES, rows=pa.concat_tables(rollouts.random_outcomes(levels, **options)))


def plain(net, level, luck):
    """The cells visited in one maze with cheese, by the environment of one maze and a plain choice of moves."""
    env = Maze(world=9, actions=5, max_episode_steps=len(luck), palette="planes", pixels=9)
    picture, info = env.reset(options={"level": level})
    cells, over = [info["mouse"]], False
    while not over:
        with torch.no_grad():
            policy = torch.softmax(net(torch.from_numpy(picture)[None])[0], dim=1)[0].numpy()
        action = min(int(np.searchsorted(policy.cumsum(), luck[len(cells) - 1], side="right")), 4)
        picture, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        cells.append(info["mouse"])
    return cells, terminated


def test_episodes_are_those_of_the_plain_environment(levels, quiet, tmp_path):
    arrays = weights()
    table = outcomes(snapshots(tmp_path, {7: arrays}), levels, quiet)
    luck = streams().numpy("moves").random((len(levels), LIMIT))
    stack = networks.build(NETWORK, len(SEEDS)).load(arrays)
    lengths = set()
    for seed, net in zip(SEEDS, stack.nets, strict=True):
        rows = table.where(seed=seed, agent="network", condition="cheese")
        frame, x, y = rows.frame(), rows.array("x"), rows.array("y")
        for place, level in enumerate(levels.values("level")[:15]):
            cells, got = plain(net, level, luck[place])
            assert (frame["level"][place], frame["got_cheese"][place]) == (level, got)
            assert frame["steps"][place] == len(cells) - 1
            assert list(zip(x[place], y[place], strict=True))[: len(cells)] == cells
            lengths.add(len(cells))
    assert len(lengths) > 3  # they are not all alike


def test_levels_of_another_split_or_condition_come_out_as_asked(levels, quiet, tmp_path):
    parameters = snapshots(tmp_path, dict.fromkeys(UPDATES, weights()))
    every = outcomes(parameters, levels, quiet).frame()
    assert set(every["update"]) == {*UPDATES}
    assert len(every) == len(SEEDS) * len(UPDATES) * 2 * 50
    asked = {"split": "held out", "conditions": ["cheese"]}
    held_out = outcomes(parameters, levels, quiet, snapshots="ends", **asked).frame()
    assert set(held_out["update"]) == {0, 9}
    for frame in (held_out, at_random(levels, actions=5, **asked).frame()):
        assert set(frame["level"]) == set(levels.where(split="held out").values("level"))
        assert set(frame["condition"]) == {"cheese"}
    with pytest.raises(ValueError, match="conditions: found 'wine'; allowed: cheese, no cheese"):
        outcomes(parameters, levels, quiet, conditions=["wine"])


@pytest.mark.parametrize("actions", [5, 15])
def test_a_network_without_preferences_does_what_the_random_policy_does(levels, quiet, tmp_path, actions):
    arrays = weights(actions, strength=0)
    table = outcomes(snapshots(tmp_path, {0: arrays}, actions), levels, quiet)
    random = at_random(levels, actions=actions)
    assert set(random.frame()[["seed", "update"]].itertuples(index=False)) == {(-1, -1)}
    for seed in SEEDS:
        rows = table.where(seed=seed)
        for axis in "xy":
            np.testing.assert_array_equal(rows.array(axis), random.array(axis))
    moved = np.diff(random.where(condition="no cheese").array("x"), axis=1)
    assert (moved != 0).mean() > 0.05


def test_the_random_policy_takes_actions_alike_not_moves():
    assert rollouts.random(15)(None, np.zeros((2, 2))) == pytest.approx(np.array([[3, 1, 1, 3, 7]] * 2) / 15)


def test_a_network_that_only_wants_up_goes_up_to_the_wall(levels, quiet, tmp_path):
    arrays = weights(strength=0)
    arrays["policy.bias"] = arrays["policy.bias"] + 100.0 * (np.arange(5) == UP)
    table = outcomes(snapshots(tmp_path, {0: arrays}), levels, quiet, conditions=["no cheese"]).where(seed=0)
    layout = mazes.read(levels)
    np.testing.assert_array_equal(table.array("x"), np.repeat(layout.start[:, :1], LIMIT + 1, axis=1))
    for maze, (x, y), reached in zip(layout.walls, layout.start, table.array("y"), strict=True):
        top = y
        while top + 1 < 9 and not maze[top + 1, x]:
            top += 1
        np.testing.assert_array_equal(reached, np.minimum(y + np.arange(LIMIT + 1), top))


def test_the_straight_way_to_the_cheese_takes_as_many_steps_as_it_has():
    where = course(level_table(200), ("cheese",))
    frame = frame_of(where, heading(where.levels, where.levels.cheese))
    ways = mazes.at_cells(mazes.steps_from(where.levels.walls, where.levels.start), where.levels.cheese)
    np.testing.assert_array_equal(frame["steps"], ways)
    assert frame["got_cheese"].all()
    passed = mazes.decision_cells(where.levels)
    at_corner = (passed == where.levels.corner).all(axis=1) & (where.levels.cheese != where.levels.corner).any(axis=1)
    np.testing.assert_array_equal(
        frame["first"] == "cheese", ~at_corner
    )  # only a way through the corner meets it first
    within = (where.levels.corner - where.levels.cheese).max(axis=1) + 1
    np.testing.assert_array_equal(frame["ends"], within)


def test_whoever_goes_to_the_corner_gets_the_cheese_that_lies_on_the_way_alone():
    table = level_table(300)
    where = course(table)
    frame = frame_of(where, seekers(where.levels, np.zeros(len(where.level), bool)))
    on_route = np.tile(table.values("on_route"), 2)
    with_cheese = frame["condition"] == "cheese"
    np.testing.assert_array_equal(frame["got_cheese"], on_route & with_cheese)
    expected = np.where(with_cheese & on_route, "cheese", "corner")
    np.testing.assert_array_equal(frame["first"], expected)
    assert (frame["nearest"][~frame["got_cheese"]] == 1).all()
    assert (frame["ends"][~frame["got_cheese"]] == 1).all()
    assert (frame["steps"][~frame["got_cheese"]] == 60).all()


def frame_of(where, policy):
    return Table(
        kinds.maze_behaviour.OUTCOMES, rows=where.rows(policy, run="r", seed=0, update=0, agent="network")
    ).frame()


def test_a_policy_is_asked_once_for_each_cell_that_is_entered():
    where, asked = course(level_table(30)), []

    def policy(episodes, cells):
        asked.extend(zip(episodes.tolist(), *cells.T.tolist(), strict=True))
        return np.full((len(cells), 5), 0.2)

    cells = where.run(policy)
    assert len(asked) == len(set(asked))
    left = {(e, x, y) for e, way in enumerate(cells[:, :-1].tolist()) for x, y in way}
    got = {(e, *where.levels.cheese[e].tolist()) for e in np.flatnonzero(where.has_cheese)}
    assert left - got == set(asked)


def test_agents_see_cheese_where_there_is_some():
    where, painter = course(level_table(30)), Painter("planes", 9, 9)
    drawn = where.pictures(painter)
    np.testing.assert_array_equal(drawn[..., 2].sum(axis=(1, 2)), where.has_cheese)
    np.testing.assert_array_equal(drawn[:30], painter.mazes(where.levels[:30]))


def test_luck_belongs_to_the_level():
    where = course(level_table(20))
    cells = where.run(heading(where.levels, where.levels.corner, chance=0.5))
    cheese, without = cells[:20], cells[20:]
    for with_cheese, without_cheese, goal in zip(cheese, without, where.levels.cheese, strict=False):
        there = np.flatnonzero((with_cheese == goal).all(axis=1))
        until = there[0] + 1 if len(there) else len(with_cheese)
        np.testing.assert_array_equal(with_cheese[:until], without_cheese[:until])


CELL = st.tuples(st.integers(0, 8), st.integers(0, 8))


@settings(max_examples=50)
@given(st.lists(CELL, min_size=2, max_size=30), CELL, st.booleans())
def test_what_came_of_a_way_agrees_with_walking_along_it(way, cheese, has_cheese):
    corner = (8, 8)
    way = [(0, 0), *way]
    if has_cheese and cheese in way:
        way = way[: way.index(cheese) + 1] + [cheese] * (len(way) - way.index(cheese) - 1)
    if cheese == (0, 0):
        return
    outcome = rollouts.reached(np.array([way]), np.array([corner]), np.array([cheese]), np.array([has_cheese]))
    first, nearest, steps = "neither", 9, len(way) - 1
    for t, cell in enumerate(way):
        if has_cheese and cell == cheese:
            first = "cheese" if first == "neither" else first
            steps = t
            break
        if cell == corner and first == "neither":
            first = "corner"
        nearest = min(nearest, max(8 - cell[0], 8 - cell[1]) + 1)
    last = max(8 - way[-1][0], 8 - way[-1][1]) + 1
    got = has_cheese and cheese in way
    expected = {"first": first, "got_cheese": got, "steps": steps, "nearest": nearest, "ends": last}
    assert {name: value[0] for name, value in outcome.items()} == expected
