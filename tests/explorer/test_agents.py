"""The view of an imported agent shows what its tables say, and no code of its owner runs in the explorer."""

import sys

import numpy as np
import pytest

from agentomy.descriptions import Task
from agentomy.explorer import evidence, harmless, players
from agentomy.explorer.agents import NAME
from agentomy.explorer.results import Results, Run
from tests.explorer import imported
from tests.explorer.agents import opened, press, settle, text
from tests.explorer.conftest import planted


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    return imported.plant(tmp_path_factory.mktemp("imported") / "results")


def drawn(document, name: str):
    """The data of the panel's sources that hold something, by the type of what is drawn of them."""
    panel = document.get_model_by_name(name)
    sources = {}
    for renderer in panel.renderers:
        if len(next(iter(renderer.data_source.data.values()))):
            sources.setdefault(renderer.glyph.__class__.__name__, []).append(renderer.data_source.data)
    return sources


def test_returns_stand_beside_the_twins_and_what_was_noted(results):
    document = opened(results, NAME)
    lines = drawn(document, "agents-returns")["Line"]
    assert [list(line["update"]) for line in lines] == [[*imported.UPDATES]] * 2
    levels = [
        span.location for span in document.get_model_by_name("agents-returns").center if hasattr(span, "location")
    ]
    assert np.allclose(levels, 0, atol=3)
    noted = [data for data in drawn(document, "agents-returns")["Scatter"] if "value" in data]
    assert [list(data["value"]) for data in noted] == [[20, 30, 35, 50]] * 2


def test_what_was_not_noted_is_not_in_the_legend(results, monkeypatch):
    everything = evidence.noted

    def some(*given):
        frame = everything(*given)
        return frame[frame["quantity"] == "noted return"]

    monkeypatch.setattr(evidence, "noted", some)
    keys = opened(results, NAME).get_model_by_name("agents-returns").legend[0].items
    shown = {key.label.value for key in keys if key.visible}
    assert shown == {"deterministic", "stochastic", "noted elsewhere"}


def test_layers_units_and_the_path_are_there(results):
    document = opened(results, NAME)
    layer = document.get_model_by_name("agents-layer")
    assert layer.options == [*imported.LAYERS]
    first = drawn(document, "agents-dormant")["Line"][0]["value"]
    layer.value = imported.LAYERS[1]
    assert len(first) == 4
    assert list(first) != list(drawn(document, "agents-dormant")["Line"][0]["value"])
    (way,) = drawn(document, "agents-path")["Line"]
    assert list(way["update"]) == [*imported.UPDATES]


def test_a_game_is_shown_step_by_step_beside_the_twin(results):
    document = opened(results, NAME)
    press(document, ".", ".")
    twin, trained = drawn(document, "agents-salient")["VBar"]
    assert trained["y"].tolist() == [0, 0, 1, 0]
    np.testing.assert_allclose(twin["y"], 0.25)
    (frame,) = drawn(document, "agents-frame")["ImageRGBA"]
    assert frame["image"][0].view(np.uint8).reshape(20, 30, 4)[0, 0].tolist() == [80, 0, 0, 255]
    assert "step 2 of 6" in text(document, "agents-status")
    player = document.get_model_by_name("agents-player")
    assert player.options == ["snapshot at 400", "untrained twin 0", *(f"snapshot at {n}" for n in (300, 200, 100))]
    document.get_model_by_name("agents-output").value = "value"
    assert drawn(document, "agents-salient") == {}


def test_what_is_missing_is_said_with_what_makes_it(tmp_path):
    results = imported.plant(tmp_path / "results", frames=False)
    (results.folder / "mine" / "checkpoints" / "units" / "cart.seeds0-0.parquet").unlink()
    document = opened(results, NAME)
    assert "units: {use: lenses.behaviour.units.units, of: [cart]}" in text(document, "agents-reason")
    assert not document.get_model_by_name("agents-dead").visible
    assert document.get_model_by_name("agents-frame").title.text == "the environment draws nothing"


def test_a_broken_table_is_a_line_and_none_at_all_too(tmp_path):
    results = imported.plant(tmp_path / "results")
    file = results.folder / "mine" / "checkpoints" / "watched" / "cart.seeds0-0.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    document = opened(results, NAME)
    assert any("cart.seeds0-0.parquet" in div.text for div in document.select({"type": _div()}) if "alert" in div.text)
    nobody = planted(tmp_path / "others")
    document = opened(nobody, NAME)
    assert any("agentomy import PATTERN" in div.text for div in document.select({"type": _div()}))


def _div():
    from bokeh.models import Div

    return Div


# ---- nobody's code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "custom", "says"),
    [
        ({"id": "planted_evil:World-v0"}, None, "no environment of gymnasium itself"),
        ({"id": "Planted-v0"}, None, "no environment of gymnasium itself"),
        ({"wrappers": [{"use": "planted_evil.Wrapper"}]}, None, "the wrapper 'planted_evil.Wrapper' runs in jobs"),
        ({"wrappers": [{"use": "gymnasium.wrappers.RecordVideo", "video_folder": "x"}]}, None, "RecordVideo"),
        ({"kwargs": {"xml_file": "/tmp/evil.xml"}}, None, "the argument 'xml_file'"),
        ({"kwargs": {"render_mode": "human"}}, None, "the argument 'render_mode'"),
        ({}, {"use": "planted_evil.Net"}, "a class of a user's module"),
    ],
)
def test_what_could_run_somebodys_code_is_not_played(world, custom, says):
    environment = Task(use="gym.make", parameters={**imported.WORLD, **world})
    network = {"use": "foreign.stack.Agents", "architecture": {"custom": custom}}
    run = Run("mine", "cart", {}, (), network, environment)
    assert says in harmless.why_not(run)
    assert "time courses only, since" in players.why_not(run)


def test_an_agent_in_a_users_environment_is_shown_and_nothing_of_it_runs(tmp_path, monkeypatch):
    (tmp_path / "planted_evil.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    results = imported.plant(tmp_path / "results", {**imported.WORLD, "id": "planted_evil:World-v0"})
    document = opened(results, "path")
    press(document, "Enter")
    settle(document)
    assert "no environment of gymnasium itself" in text(document, "path-reason")
    assert drawn(opened(results, NAME), "agents-salient")
    assert "planted_evil" not in sys.modules


def test_a_recognised_network_in_an_environment_of_gymnasium_plays(results):
    (run,) = results.runs()
    assert players.why_not(run) == ""
    document = opened(results, "path")
    press(document, "Enter")
    settle(document)
    assert "mean return" in text(document, "path-status")
