"""The overview, hints about what is missing, and the agent and maze to begin with."""

import html
import shutil

import numpy as np
import pytest

from agentomy.explorer import passing, readings
from agentomy.explorer.results import Results
from agentomy.explorer.scenes import Scene
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Made, Record
from tests.explorer.agents import opened, plant_mouse, plant_path, text
from tests.explorer.test_server import said


def test_it_counts_runs_and_claims_and_adds_them_up(results):
    shown = text(opened(results, "overview"), "overview-studies")
    assert "<td>maze<td>2<td>4<td>0<td>1 claims:" in shown
    assert "✓ holds</span> 1" in shown


def test_several_studies_have_a_total(tmp_path):
    plant_path(tmp_path / "results")
    shown = text(opened(plant_mouse(tmp_path / "results"), "overview"), "overview-studies")
    assert "<td>in all<td>2<td>4<td>0" in shown


def test_a_button_opens_a_view(results):
    document = opened(results, "overview")
    document.get_model_by_name("open-claims")._trigger_event(_click(document.get_model_by_name("open-claims")))
    tabs = document.get_model_by_name("tabs")
    assert tabs.tabs[tabs.active].title == "claims"


def _click(button):
    from bokeh.events import ButtonClick

    return ButtonClick(button)


def test_a_hint_names_the_scale(tmp_path):
    assert "to make everything at this scale: snakemake --cores 2 --config scale=paper" in said(
        Results(tmp_path / "results", "paper")
    )


def test_where_a_pack_came_without_networks_snakemake_is_no_hint(tmp_path, monkeypatch):
    results = plant_mouse(tmp_path / "results")
    folder = results.folder / "path" / ".made" / "training"
    folder.mkdir(parents=True)
    (folder / "hopper.seeds0-1.json").write_text("{}")
    left_out = Record({}, "", {}, {"parameters": Made(1, "")}, instead={"parameters": None})
    monkeypatch.setattr(records, "read", lambda path: left_out)
    assert "unpack one with networks (agentomy pack path --parameters last)" in results.missing("path", "train")
    shutil.rmtree(results.folder / "path")
    assert "--config scale=smoke -- path" in Results(results.root, "smoke").missing("path", "train")


@pytest.fixture
def corner_seeker(tmp_path, monkeypatch) -> Results:
    """Results in which an agent goes right and up from everywhere, wherever the cheese is."""
    results = plant_mouse(tmp_path / "results")
    monkeypatch.setattr(passing, "_near", lambda run: True)

    def field(agent, scene: Scene):
        from agentomy.papers.maze.extract.site import towards

        way = towards(scene.levels.walls, scene.levels.corner)[0]
        moves = np.where(way[..., None] == np.arange(5), 1.0, 0.0)
        return moves, np.zeros(way.shape)

    monkeypatch.setattr(readings, "field", field)
    return results


def test_an_agent_that_passes_the_cheese_is_found_with_a_maze_in_which_it_does(corner_seeker):
    first = passing.first(corner_seeker)
    document = opened(corner_seeker, "maze")
    assert document.get_model_by_name("maze-run").value == first.run == "maze: corner"
    assert document.get_model_by_name("maze-number").value == first.number
    assert not document.get_model_by_name("show-me").disabled


def test_where_none_does_the_button_says_so(results):
    document = opened(results, "maze")
    assert document.get_model_by_name("show-me").disabled
    assert "none of the agents ran past the cheese" in html.unescape(text(document, "show-reason"))
    assert not document.get_model_by_name("field-difference").visible
    document.get_model_by_name("cheese").value = 2
    assert document.get_model_by_name("field-difference").visible


def test_a_snapshot_belongs_to_its_agent(results):
    document = opened(results, "maze")
    run, update = (document.get_model_by_name(f"maze-{name}") for name in ("run", "update"))
    first, other = run.value, next(label for label in run.options if label != run.value)
    update.value = "5"
    run.value = other
    assert update.value == "9"
    run.value = first
    assert update.value == "5"
