"""The page of paths plays maze agents as the pipeline does."""

import re

import numpy as np
import pandas as pd
import pytest

from agentomy import kinds, tables
from agentomy.explorer import path, paths, players, readings
from agentomy.explorer.choices import first_scene
from agentomy.explorer.results import Results
from agentomy.papers.maze.extract import rollouts as maze_rollouts
from agentomy.seeds import Streams
from agentomy.tables import TableError
from tests.explorer.agents import LIMIT, MOMENTS, Silent, chosen, opened, plant_mouse, press, pressed


@pytest.fixture(scope="module")
def mice(tmp_path_factory) -> Results:
    return plant_mouse(tmp_path_factory.mktemp("mouse") / "results")


def test_maze_agents_get_the_cheese_that_the_pipeline_says(mice):
    route = chosen(mice, "maze: corner")
    player = players.player(mice, route, 1)
    played = player.play(player.snapshot(2), 30)
    batches = maze_rollouts.outcomes(
        tables.Table(kinds.common.PARAMETERS, [route.run.files[1]]),
        tables.Table(kinds.maze.LEVELS, [mice.path("maze", "environments", "test")]),
        max_episode_steps=LIMIT, conditions=["cheese"], snapshots="all", run="r",
        streams=Streams("maze", "explorer", 0), device="cpu", progress=Silent(),
    )  # fmt: skip
    rows = pd.concat([rows.to_pandas() for rows in batches]).query(f"seed == 1 and update == {MOMENTS[2]}")
    np.testing.assert_array_equal(played.got, rows["got_cheese"])
    np.testing.assert_array_equal(played.steps, rows["steps"])
    assert 0 < played.score < 1
    courses = paths.walk(mice, route, 1).spectra["raw"]["real"].courses
    same = player.play(player.rebuilt(2, courses[2], courses), 30)
    np.testing.assert_array_equal(same.steps, played.steps)
    other = player.play(player.rebuilt(2, courses[2, :1], courses), 30)
    assert (other.steps != played.steps).any()
    assert player.play(player.snapshot(2), 7).got.tolist() == played.got[:7].tolist()
    player.play(player.snapshot(0), 7)  # others play; the policy is still that of its snapshot
    scene = first_scene(mice, 9)
    wanted = readings.field(readings.load(mice, route.run, 1)[MOMENTS[2]], scene)
    for probabilities, expected in zip(readings.field(played.agent, scene), wanted, strict=True):
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_a_maze_agents_way_is_in_the_maze_in_hand(mice):
    document = opened(mice, path.NAME)
    ways = [document.get_model_by_name(f"path-way-{side}") for side in ("snapshot", "rebuilt")]
    seen = [document.get_model_by_name(f"path-{name}").visible for name in ("strips", "ways")]
    assert seen == [False, True]
    document.get_model_by_name("path-episodes").value = 30
    press(document, "ArrowRight")
    told = pressed(document, "Enter")
    assert re.fullmatch(
        r"the snapshot: .* in \d+ of 30 test mazes.*; the policy at the point: .* of 30 test mazes.*", told
    )
    trails = [way.select_one({"name": "way"}).data_source for way in ways]
    before = [dict(trail.data) for trail in trails]
    assert all(2 <= len(trail["x"]) <= LIMIT + 1 for trail in before)
    tabs = document.get_model_by_name("tabs")
    tabs.active = [tab.title for tab in tabs.tabs].index("maze")
    document.get_model_by_name("maze-number").value = 3  # another maze
    tabs.active = [tab.title for tab in tabs.tabs].index(path.NAME)
    start = trails[0].data["x"][0], trails[0].data["y"][0]
    assert [dict(trail.data) for trail in trails] != before
    hand = next(renderer.data_source.data for renderer in document.get_model_by_name("field-original").renderers
                if "marker" in renderer.data_source.data)  # fmt: skip
    assert start == (hand["x"][-1], hand["y"][-1])  # the mouse of the maze tab


def test_a_large_run_at_unequal_intervals_needs_others(mice, monkeypatch):
    monkeypatch.setattr(paths, "LARGEST", 0.001)
    route = chosen(mice, "maze: corner")
    paths._decomposed.cache_clear()
    with pytest.raises(TableError, match=rf"snapshots: {{even: {len(MOMENTS)}}}` under the run"):
        paths.walk(mice, route, 0)
