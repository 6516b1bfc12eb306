"""An agent's behaviour beside its twins': whose observations, whose luck, and what is compared with what."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from agentomy import kinds
from agentomy.lenses.behaviour import extract, measure, subject, units
from agentomy.lenses.behaviour.subject import Subject
from agentomy.tables import Table
from tests.small_runs import streams

UPDATES, SEEDS, TWINS = [0, 10, 20], [0, 1], 2
RUN = Table(kinds.common.PARAMETERS, rows=kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=20))


class Fake(Subject):
    """Known by its number; its layer gives what it is shown, and its number."""

    outputs, distribution = ("q",), True

    def __init__(self, number: int):
        self.number = number

    def hidden(self, observations, state=None):
        return {"layer": np.column_stack([observations, np.full(len(observations), self.number)])}

    def twin(self, seed):
        return Fake(seed)


PLAYED: list[tuple] = []


class Room:
    def __init__(self, episodes):
        PLAYED.clear()

    def play(self, subject, noise=None, keep=False):
        PLAYED.append((subject.number, noise and noise.initial_seed()))
        return SimpleNamespace(
            returns=np.full(2, float(subject.number)),
            lengths=np.ones(2, int),
            ended=["terminated"] * 2,
            seen=[[np.full(1, subject.number, np.float32)] * 3] * 2,
        )


@pytest.fixture(autouse=True)
def _agents(monkeypatch):
    """Two seeds with three snapshots each, numbered by update and seed."""

    def subjects(parameters, device, updates, adapter=None):
        return [(update, seed, Fake(update + seed)) for update in UPDATES if update in updates for seed in SEEDS]

    for module in (subject, extract, units):
        monkeypatch.setattr(module, "subjects", subjects)
        monkeypatch.setattr(module, "updates_of", lambda parameters: UPDATES)
    for module in (extract, units):
        monkeypatch.setattr(module, "Room", Room)


def lent(quiet) -> dict:
    return {"twins": TWINS, "run": "r", "streams": streams(), "device": "cpu", "progress": quiet}


def test_all_snapshots_and_twins_are_shown_what_the_last_snapshot_of_the_seed_meets(quiet, monkeypatch):
    shown = []

    def noted(values, tau):
        shown.append((*values[0], len(values)))
        return {"dead": 0.0}

    monkeypatch.setattr(units, "numbers", noted)
    rows = Table(kinds.behaviour.UNITS, rows=[*units.units(RUN, None, count=4, **lent(quiet))]).frame()
    assert len(rows) == len(shown) == len(SEEDS) * (len(UPDATES) + TWINS)
    for (met, number, count), row in zip(shown, rows.itertuples(), strict=True):
        assert (met, count) == (20 + row.seed, 4)
        assert number == row.update + row.seed or row.twin >= 0
    assert len({number for (_, number, _), twin in zip(shown, rows["twin"], strict=True) if twin >= 0}) == 4


def test_each_player_has_a_luck_of_its_own_where_actions_are_drawn(quiet):
    rows = Table(kinds.behaviour.GAME_RETURNS, rows=[*extract.returns(RUN, None, **lent(quiet))]).frame()
    players = [row for row in rows.itertuples() if row.episode == 0]
    assert len(players) == len(PLAYED) == 2 * len(SEEDS) * (len(UPDATES) + TWINS)
    for row, (number, luck) in zip(players, PLAYED, strict=True):
        assert number == row.update + row.seed or row.twin >= 0
        assert (luck is None) == (row.mode == "deterministic")
    assert len({luck for _, luck in PLAYED if luck}) == len(PLAYED) / 2
    twins = {number for row, (number, _) in zip(players, PLAYED, strict=True) if row.twin >= 0}
    assert len(twins) == len(SEEDS) * TWINS


def test_dormancy_compares_with_the_mean_unit_and_not_with_the_largest():
    values = np.ones((5, 10)) * [100.0, *[1.0] * 8, 0.2]
    assert units.numbers(values, 0.025)["dormant"] == 0.1  # of a mean of 10.82, so at most 0.27; of 100 it were 2.5


def test_the_last_snapshot_is_ranked_and_no_earlier_one():
    column = {"run": "a", "seed": 0, "layer": "l", "quantity": "dead"}
    rows = kinds.behaviour.UNITS.table(
        **column,
        update=np.array([3, 9, 0, 0, 0]),
        agent=np.array(["early", "trained", *["untrained"] * 3]),
        twin=np.array([-1, -1, 0, 1, 2]),
        value=np.array([-5.0, 1.5, 0, 1, 2]),
    )
    (row,) = measure.unit_ranks(Table(kinds.behaviour.UNITS, rows=rows)).to_pylist()
    assert (row["update"], row["value"], row["untrained"], row["above"]) == (9, 1.5, 1, 2 / 3)


def test_returns_and_noted_ones_differ_within_welchs_interval(rng):
    returns, noted = rng.normal(5, 2, size=12), rng.normal(4, 7, size=30)
    mean, difference, low, high = measure._beside(returns, noted.mean(), noted.std(ddof=1), len(noted))
    scale = max(abs(noted.mean()), returns.std(ddof=1), noted.std(ddof=1))
    assert (mean, difference * scale) == pytest.approx((returns.mean(), returns.mean() - noted.mean()))
    interval = stats.ttest_ind(returns, noted, equal_var=False).confidence_interval()
    assert (low + high) / 2 == pytest.approx(difference)
    assert (low * scale, high * scale) == pytest.approx(tuple(interval))
