"""The table of all tasks."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.papers.bayes.measure import optimality, summary
from tests.papers.bayes import bayes_tables


def test_each_task_has_its_optimum_and_what_the_networks_lose(rng):
    predictions = bayes_tables.predictions(bayes_tables.sequences(rng)[1])
    distance = bayes_tables.as_table(kinds.bayes.DISTANCE, optimality.kl_to_bayes(predictions))
    gap = bayes_tables.as_table(kinds.bayes.GAP, optimality.bandit_gap(bayes_tables.play(rng)))
    losses = bayes_tables.as_table(kinds.bayes.LOSSES, optimality.losses(gap, bayes_tables.optimum()))
    tasks = summary.by_task(distance, losses, bayes_tables.optimum()).to_pandas().set_index("run")
    assert tasks.index.tolist() == ["cat-3", "bb-1-1"]
    assert tasks["seeds"].tolist() == [3, 3]
    assert tasks["updates"].tolist() == [1000, 1000]

    frame = distance.frame()
    last = frame[frame["update"] == 1000]
    source = tasks.loc["cat-3"]
    assert source["distance"] == pytest.approx(last["kl"].mean())
    assert source["network"] - source["optimum"] == pytest.approx(last["excess"].mean())
    assert np.isnan(source[["distance_sampled", "agreement"]].astype(float)).all()

    bandit = tasks.loc["bb-1-1"]
    assert bandit["optimum"] - bandit["network"] == pytest.approx(bandit["distance"])
    assert bandit["distance"] < bandit["distance_sampled"] < bandit["untrained"]
    played = gap.frame()
    mine = played[(played["agent"] == "network") & (played["policy"] == "argmax") & (played["update"] == 1000)]
    assert bandit["distance"] == pytest.approx(mine["gap"].sum() / 3)
