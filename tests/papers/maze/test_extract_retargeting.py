"""Ways to targets and their probabilities agree with a plain loop; clamping planted channels does what it must."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_batch import STAY, STEP
from agentomy.environments.maze_pictures import Painter
from agentomy.papers.maze.extract import channels as maze_channels
from agentomy.papers.maze.extract import retargeting
from agentomy.papers.maze.extract.channels import CheeseChannels
from agentomy.papers.maze.extract.retargeting import Ways, clamped
from agentomy.papers.maze.extract.site import Site
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.papers.maze import maze_planted as planted
from tests.papers.maze.maze_agents import level_table

STREAMS = Streams("test", "run", 0)
STRENGTHS = {"one": 0.0, "several": 0.0, "all": 0.0}


@pytest.fixture(scope="module")
def levels():
    return mazes.generate(np.arange(25), 9)


def way(walls, start, goal):
    """(cell, move) of each step from start to goal, by depth-first search."""
    if start == goal:
        return []
    stack = [(start, [])]
    while stack:
        (x, y), taken = stack.pop()
        if (x, y) == goal:
            return taken
        for move, (dx, dy) in enumerate(STEP[:4]):
            a, b = int(x + dx), int(y + dy)
            fresh = (a, b) != (start if not taken else taken[-1][0])
            if 0 <= a < len(walls) and 0 <= b < len(walls) and not walls[b, a] and fresh:
                stack.append(((a, b), [*taken, ((x, y), move)]))
    raise AssertionError("no way")


def test_ways_and_their_probabilities_are_those_of_a_plain_loop(levels):
    ways = Ways.through(levels)
    assert len(ways.level) == (~levels.walls).sum()
    rng = np.random.default_rng(0)
    chances = rng.random((len(levels), 9, 9, 5))
    frames = chances[ways.level[ways.of], ways.cell[:, 1], ways.cell[:, 0], ways.move]
    probability = ways.probability(frames)
    for k, (level, target) in enumerate(zip(ways.level, ways.target, strict=True)):
        start, corner = (tuple(int(n) for n in cells[level]) for cells in (levels.start, levels.corner))
        steps = way(levels.walls[level], start, tuple(int(n) for n in target))
        route = {start, corner} | {cell for cell, _ in way(levels.walls[level], start, corner)}
        assert ways.steps[k] == len(steps)
        visited = {cell for cell, _ in steps} | {tuple(target)}
        assert ways.off_route[k] == len(visited - route)
        product = 1.0
        for (x, y), move in steps:
            product *= chances[level, y, x, move]
        wanted = product ** (1 / len(steps)) if steps else chances[level, start[1], start[0], STAY]
        assert probability[k] == pytest.approx(wanted)


def test_a_way_with_an_impossible_move_has_no_chance(levels):
    ways = Ways.through(levels)
    assert (ways.probability(np.zeros(len(ways.of))) == 0).all()
    np.testing.assert_allclose(ways.probability(np.ones(len(ways.of))), 1)


def retargeted(quiet, count=8, strengths=STRENGTHS, several=1, threshold=0.95, negative=False):
    pieces = retargeting.retargets(
        planted.planted(planted.caller(), negative),
        level_table(40),
        layer=planted.SITE,
        count=count,
        ranking=40,
        threshold=threshold,
        several=several,
        strengths=strengths,
        run="r",
        streams=STREAMS,
        device="cpu",
        progress=quiet,
    )
    frame = Table(kinds.maze_edits.RETARGETS, rows=pa.concat_tables(pieces)).frame()
    return frame[frame["update"] == 10], frame[frame["update"] == 0]


@pytest.mark.parametrize("negative", [False, True])
def test_clamping_the_planted_channel_is_as_good_as_cheese(quiet, monkeypatch, negative):
    monkeypatch.setattr(retargeting, "BATCH", 300)  # several parts
    monkeypatch.setattr("agentomy.papers.maze.extract.site.BATCH", 100)
    trained, untrained = retargeted(quiet, negative=negative)
    key = ["level", "target_x", "target_y"]
    by_edit = trained.pivot(index=key, columns="edit", values="probability")
    assert not by_edit.isna().any(axis=None)
    away = trained[trained["edit"] == "one"].set_index(key)["steps"].loc[by_edit.index] > 0
    np.testing.assert_allclose(by_edit["none"], 0.2, atol=1e-6)
    for edit in ("one", "several", "all"):
        np.testing.assert_allclose(by_edit.loc[away, edit], by_edit.loc[away, "cheese"], atol=1e-6)
    np.testing.assert_allclose(by_edit["random"], 0.2, atol=1e-6)
    assert by_edit["cheese"].std() > 0.05
    np.testing.assert_allclose(untrained["probability"], 0.2, atol=1e-6)


def test_a_target_is_called_for_from_all_along_the_way(quiet):
    """The planted policy makes one move everywhere: known chances on a way of known moves."""
    trained, _ = retargeted(quiet)
    shown = mazes.read(level_table(40))[:8]
    cheese, elsewhere = planted.softmax(3.0 * np.eye(5)[0])[:2]
    number = {seed: i for i, seed in enumerate(shown.seed)}
    for row in trained[(trained["edit"] == "one") & (trained["steps"] > 0)].itertuples():
        i = number[row.level]
        target = (row.target_x, row.target_y)
        moves = [move for _, move in way(shown.walls[i], tuple(int(n) for n in shown.start[i]), target)]
        called = planted.called(np.array([target]))[0]
        wanted = np.exp(np.mean([np.log(cheese if move == called else elsewhere) for move in moves]))
        assert row.probability == pytest.approx(wanted, rel=1e-4)


def test_stronger_clamps_are_further_from_the_mean(quiet):
    """Strength 1 is the cheese's own activation once more: its logit doubles."""
    trained, _ = retargeted(quiet, strengths={"one": 1.0, "several": 0.0, "all": 0.0})
    wide = trained[trained["steps"] == 1].pivot(
        index=["level", "target_x", "target_y"], columns="edit", values="probability"
    )
    once, twice = (planted.softmax(strength * np.eye(5)[0]) for strength in (3.0, 6.0))
    expected = {0: twice[0], 1: twice[1]}
    for single, several in zip(wide["one"], wide["several"], strict=True):
        assert single == pytest.approx(expected[0 if several > 0.5 else 1], rel=1e-4)
        assert several == pytest.approx(once[0 if several > 0.5 else 1], rel=1e-4)


def test_random_channels_are_none_of_the_best_and_are_pushed_as_far(levels):
    site = Site(planted.net(planted.caller()), planted.SITE, Painter("planes", 9, 9), "cpu")
    best = CheeseChannels(site, levels, STREAMS)
    best.auc, best.on, best.off = (
        np.array(numbers) for numbers in ([0.99, 0.6, 0.97, 0.5], [2.0, 0, 1, 0], [0.5, 7, 0, 3.0])
    )
    best.order = np.array([0, 2, 1, 3])
    clamps = clamped(best, 0.95, 2, {"one": 6.0, "several": 2.0, "all": 0.5}, np.random.default_rng(0))
    assert [array.tolist() for array in clamps["one"]] == [[0], [2 + 6 * 1.5]]
    assert [array.tolist() for array in clamps["several"]] == [[0, 2], [2 + 2 * 1.5, 1 + 2 * 1.0]]
    assert [array.tolist() for array in clamps["all"]] == [[0, 2], [2 + 0.5 * 1.5, 1 + 0.5]]
    channels, values = clamps["random"]
    assert set(channels) == {1, 3}
    np.testing.assert_allclose(values - best.off[channels], [5 - 0.5, 3 - 0])
    assert maze_channels.CheeseChannels.above(best, 0.95) == 2
    pushed = {int(clamped(best, 0.95, 1, STRENGTHS, np.random.default_rng(seed))["random"][0][0]) for seed in range(20)}
    assert pushed == {1, 3}  # none that tells the cheese, though `several` is but one of these


def test_a_missing_strength_is_refused(quiet):
    with pytest.raises(ValueError, match="allowed: one, several, all"):
        retargeted(quiet, strengths={"one": 1.0})
