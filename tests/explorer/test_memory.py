"""The memory view: a planted predictor that counts exactly, and what is said of sequences and files."""

import shutil

import numpy as np
import pytest

from agentomy import kinds, tables
from agentomy.descriptions import Task
from agentomy.explorer import beliefs, memory
from agentomy.explorer.results import Results
from agentomy.tables import TableError
from tests.explorer.agents import STEPS, opened, plant_memory, press, text
from tests.explorer.test_server import said

GONE = "no table of the environment in which it learned"


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Results:
    return plant_memory(tmp_path_factory.mktemp("memory") / "results")


def test_a_network_that_counts_lies_on_the_posterior_in_both_spaces(planted):
    run = beliefs.predictors(planted)["bayes: cat-2"]
    belief = beliefs.load(planted, run, 5, 9).follow([0, 1, 1, 1])
    np.testing.assert_array_equal(belief.counts, [[0, 0], [1, 0], [1, 1], [1, 2], [1, 3]])
    np.testing.assert_allclose(belief.exact[-1], [2 / 8, 6 / 8])
    np.testing.assert_allclose(belief.posterior.mapped, belief.posterior.reached, atol=1e-3)
    assert np.abs(belief.network.mapped - belief.network.reached).max() < 0.2  # h = tanh of the counts is not linear
    untrained = beliefs.load(planted, run, 5, 0).follow([0, 1, 1, 1])
    assert np.abs(untrained.posterior.mapped - untrained.posterior.reached).max() > 0.05
    mass = (belief.densities * np.diff(beliefs.PLACES).mean()).sum(axis=1)
    np.testing.assert_allclose(mass, 1, atol=0.02)


def test_what_came_last_is_seen_and_order_is_kept(planted):
    run = beliefs.predictors(planted)["bayes: cat-2"]
    memory = beliefs.load(planted, run, 3, 0)
    longer, shorter = memory.follow([0, 1, 1]), memory.follow([0, 1])
    np.testing.assert_allclose(longer.network.reached[:3], shorter.network.reached, atol=1e-6)
    np.testing.assert_allclose(longer.predicted[:3], shorter.predicted, atol=1e-6)
    assert not np.allclose(longer.predicted[3], memory.follow([0, 1, 0]).predicted[3], atol=1e-6)


def test_outcomes_come_from_keys_buttons_and_typing(planted):
    document = opened(planted, memory.NAME)
    press(document, "x", "0", "1", "1", "7", "Backspace", "0")  # 7 is no outcome of this task
    typed = document.get_model_by_name("outcomes")
    assert typed.value == "0 1 0"
    assert "after 3 outcomes, counts (2, 1)" in text(document, "memory-status")
    typed.value = "1,1 1\t1"
    assert "after 4 outcomes, counts (0, 4)" in text(document, "memory-status")
    before = document.get_model_by_name("memory-update").value
    press(document, "[")
    assert (before, document.get_model_by_name("memory-update").value) == ("9", "0")


@pytest.mark.parametrize("wrong", ["0 2", "0 a", "-1", "0" * 61, "²"])
def test_a_wrong_sequence_is_one_line_and_changes_nothing(planted, wrong):
    document = opened(planted, memory.NAME)
    document.get_model_by_name("outcomes").value = "0 1"
    before = text(document, "memory-status")
    document.get_model_by_name("outcomes").value = wrong
    assert "allowed: up to 60 of 0 to 1" in text(document, "memory-reason")
    assert text(document, "memory-status") == before


def test_without_predictors_it_says_so(results):
    assert "no trained predictor of categories" in said(results)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), GONE),
        (lambda path: path.write_text("hello"), "not a whole Parquet file"),
        (
            lambda path: tables.write(
                path, kinds.bayes.SEQUENCES, _rows(), Task(use="sequences.nothing", parameters={})
            ),
            GONE,
        ),
        (
            lambda path: tables.write(path, kinds.bayes.SEQUENCES, _rows(), _five()),
            GONE,
        ),
    ],
)
def test_missing_broken_or_foreign_episodes_are_a_message(planted, tmp_path, damage, message):
    shutil.copytree(planted.root, tmp_path / "results")
    results = Results(tmp_path / "results", "smoke")
    damage(results.path("bayes", "environments", "cat-2"))
    assert message in said(results)


def _rows():
    return kinds.bayes.SEQUENCES.table(
        episode=np.arange(3), parameters=np.ones((3, 5)), observations=np.ones((3, STEPS))
    )


def _five() -> Task:
    parameters = {"concentration": [1.0] * 5, "steps": STEPS, "episodes": 3}
    return Task(use="sequences.categorical", parameters=parameters)


def test_parsing_is_the_inverse_of_what_is_shown():
    for outcomes in ([], [0], [2, 1, 0, 2]):
        assert memory.parsed(" ".join(map(str, outcomes)), 3) == outcomes
    with pytest.raises(TableError, match="'3' is no outcome"):
        memory.parsed("0123", 3)
