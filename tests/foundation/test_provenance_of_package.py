"""Of the package as it is, edits reach the jobs of real studies that they should."""

import shutil
from pathlib import Path

import pytest

import agentomy
from agentomy.pipeline.source.package import ENGINE
from agentomy.pipeline.source.provenance import Source
from tests.studies import SOURCE, smoke
from tests.toy_package import edited


def test_every_module_is_of_the_engine_or_counts():
    """A new module beside the stages has to say which: what is of the engine counts by `jobs.FORMAT`."""
    outside = {"claims", "seeds", "selection"}
    there = {path.stem for path in Path(agentomy.__file__).parent.glob("[!_]*.py")}
    assert there - outside == {name for name in ENGINE if "." not in name}


def places():
    """(study, stage, entry) → what its digests are of, for all entries."""
    return {
        (study.name, stage, entry): [
            (study.code(stage, entry), study.names_given(stage, part)) for part in parts.values()
        ]
        for study in smoke().studies.values()
        for stage, entries in study.entries.items()
        for entry in entries
        if (parts := study.parts(stage, entry))
    }


@pytest.mark.slow
def test_edits_of_the_real_package_reach_whom_they_should(tmp_path):
    entries = places()
    root = tmp_path / "agentomy"
    shutil.copytree(Path(agentomy.__file__).parent, root, ignore=shutil.ignore_patterns("__pycache__"))

    def digests(source):
        return {key: [source.digest(*code, names=names) for code, names in read] for key, read in entries.items()}

    seen = [digests(SOURCE)]

    def after(*edits):
        for replacement in edits:
            edited(root, *replacement)
        seen.append(digests(Source(root)))
        return {key for key in entries if seen[-1][key] != seen[-2][key]}

    # an error, a message and a constant of the engine; a value more that a parameter may have; a line in a table
    nobody = after(
        ("tables.py", "a table of {kind.name} without rows", "no rows in a table of {kind.name}"),
        ("environments/sequences.py", "concentration needs at least two", "give at least two"),
        ("agents/driver.py", "SAVE_PAUSE, SAVE_SHARE = 1.0, 0.02", "SAVE_PAUSE, SAVE_SHARE = 2.0, 0.01"),
        ("environments/arcade.py", '"asterix", "breakout",', '"asterix", "pacman", "breakout",'),
        ("environments/simulators.py", "ENVIRONMENTS = {", 'ENVIRONMENTS = {\n    "control.new": (control.quiet, {}),'),
        ("networks/impala.py", "class Impala(", "class _Unused:\n    pass\n\n\nclass Impala("),
    )
    assert nobody == set()
    reached = after(
        ("environments/arcade.py", "reward += more", "reward += 2 * more"),  # of Atari.press
        ("networks/recurrent.py", "def start(", "def started(self):\n        return 1\n\n    def start("),
    )
    atari = {key for key in reached if key[0].startswith("twm")}
    assert {study for study, *_ in atari} == {"twm-atari"}
    assert {study for study, *_ in reached - atari} == {"bayes", "l3d"}
    assert {("l3d", "training", "predictor"), ("l3d", "checkpoints", "impacts-agents")} <= reached
    assert ("l3d", "training", "maze") not in reached
    assert {stage for _, stage, _ in reached - atari} == {"training", "checkpoints"}


def test_the_real_closure_of_a_figure_has_no_training_code_in_it():
    used, libraries = SOURCE.closure("papers.bayes.draw.behaviour.convergence")
    assert not {module.split(".")[1] for module, _ in used if "." in module} & {"agents", "networks", "environments"}
    assert "torch" not in libraries


def test_the_real_closure_of_a_training_run_has_its_network_and_its_random_streams():
    used, _ = SOURCE.closure("agents.predictor.Predictor", "pipeline.run.stages.run_training")
    assert {
        ("agentomy.networks.recurrent", "LSTMNetwork"),
        ("agentomy.networks.recurrent", "LSTM"),
        ("agentomy.seeds", "Streams"),
    } <= set(used)
    assert "agentomy.drawing.style" not in {module for module, _ in used}
