"""What lenses on the inside compare with: whose observations, which twins, which parts, how many controls."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from agentomy import kinds
from agentomy.lenses import probing
from agentomy.lenses.behaviour import subject
from agentomy.lenses.behaviour.subject import Subject
from agentomy.lenses.inside import beside, edits, probes, saliency
from agentomy.tables import Table
from tests.small_runs import streams

LENGTHS = [4, 7, 3, 5, 6, 8, 5, 4]  # of the games
UPDATES, SEEDS, TWINS = [0, 10, 20], [0, 1], 2
RUN = Table(kinds.common.PARAMETERS, rows=kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=20))


class Fake(Subject):
    """3 → 4 → 2; its observations tell its number. `aside` are units of a value of its own."""

    outputs = ("q",)

    def __init__(self, number: int):
        self.number = number
        with torch.random.fork_rng():
            torch.manual_seed(number)
            self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def read(self, observations, state=None):
        return {"q": self.net(torch.as_tensor(observations))}, None

    def hidden(self, observations, state=None):
        first = self.net[:2](torch.as_tensor(observations)).detach().double().numpy()
        return {"layer": first, "aside": first}

    def after(self, layer):
        return self.net[1]

    def acts_by(self, layer):
        return layer != "aside"

    def twin(self, seed):
        return Fake(seed % 2**40)


class Room:
    def __init__(self, episodes):
        pass

    def play(self, subject, keep):
        rng = np.random.default_rng(0)
        games = [[rng.normal(size=3).astype(np.float32) for _ in range(length)] for length in LENGTHS]
        for steps in games:
            for seen in steps:
                seen[0] = subject.number % 1000 / 100  # so that no unit is saturated
        return SimpleNamespace(seen=games)


@pytest.fixture(autouse=True)
def _agents(monkeypatch):
    """Two seeds with three snapshots each, numbered by update and seed."""

    def subjects(parameters, device, updates, adapter=None):
        return [(update, seed, Fake(update + seed)) for update in UPDATES if update in updates for seed in SEEDS]

    monkeypatch.setattr(subject, "subjects", subjects)
    for module in (subject, beside):
        monkeypatch.setattr(module, "updates_of", lambda parameters: UPDATES)
    for module in (edits, probes, saliency):
        monkeypatch.setattr(module, "Room", Room)


def lent(quiet) -> dict:
    return {"count": 100, "twins": TWINS, "streams": streams(), "device": "cpu", "progress": quiet}


def test_the_last_snapshot_is_beside_twins_of_its_own_on_what_it_meets_itself(quiet):
    agents = [*beside.beside_twins(RUN, Room(None), **lent(quiet))]
    assert [(keys["seed"], keys["update"], keys["agent"], keys["twin"]) for keys, _, _ in agents] == [
        row
        for seed in SEEDS
        for row in [(seed, 20, "trained", -1), *((seed, 0, "untrained", twin) for twin in range(TWINS))]
    ]
    for keys, shown, agent in agents:
        np.testing.assert_allclose(shown.observations[:, 0], (20 + keys["seed"]) / 100, rtol=1e-6)
        assert agent.number == 20 + keys["seed"] or keys["twin"] >= 0
    drawn = [agent.number for keys, _, agent in agents if keys["twin"] >= 0]
    assert len(set(drawn)) == len(SEEDS) * TWINS


def test_of_each_observation_the_game_the_step_and_the_steps_left_are_known():
    met = beside.met(Fake(0), Room(None), 1000)
    for game, length in enumerate(LENGTHS):
        inside = met.episode == game
        assert met.step[inside].tolist() == [*range(length)]
        assert met.left[inside].tolist() == [*range(length)][::-1]
    assert met.labels(None)["steps left"].tolist() == met.left.tolist()


# ---- probes ----------------------------------------------------------------------------------------------------------


def test_probes_share_no_game_with_their_tests_nor_the_scale_of_these(quiet, monkeypatch):
    met, seen = beside.met(Fake(20), Room(None), 100), []

    def noted(values, right, parts):
        seen.append(parts)
        games = [set(met.episode[part]) for part in parts]
        assert set.union(*games) == {*range(len(LENGTHS))}
        assert sum(map(len, games)) == len(LENGTHS)  # each in one part alone
        told = ~parts[2]
        spread = values[told].std(axis=0)
        np.testing.assert_allclose(values[told].mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(spread[spread > 0], 1)
        assert np.abs(values[parts[2]].mean(axis=0)).max() > 1e-3
        return "explained", 0.0, 0.0, 1

    monkeypatch.setattr(probes, "scored", noted)
    rows = Table(kinds.inside.PROBED, rows=[*probes.probes(RUN, None, run="r", **lent(quiet))]).frame()
    assert len(rows) == len(seen)
    for parts in seen[1:7]:  # the layers of a seed's agent, each with two sorts of labels, and its twins
        np.testing.assert_array_equal(parts, seen[0])


def test_what_is_explained_is_0_for_who_knows_the_fitted_mean_alone():
    right, fitted = np.array([0.0, 2, 0, 2, 5, 7]), np.array([True] * 4 + [False] * 2)
    assert probing.explained(right, np.full(6, 1.0), fitted, ~fitted) == 0
    # the tests' own mean, 6, explains the squares of 4 and 6 but for 1 and 1
    assert probing.explained(right, np.full(6, 6.0), fitted, ~fitted) == pytest.approx(1 - 2 / (4**2 + 6**2))


def test_the_penalty_of_a_probe_is_the_best_on_rows_that_it_was_not_fitted_on(rng):
    values, right = rng.normal(size=(90, 40)), rng.normal(size=90)
    fitted, choice, tests = (np.repeat(np.arange(3), 30) == part for part in range(3))

    def best(rows):
        scores = [
            Ridge(penalty).fit(values[fitted], right[fitted]).score(values[rows], right[rows])
            for penalty in probing.PENALTIES
        ]
        return probing.PENALTIES[int(np.argmax(scores))]

    assert best(fitted) != best(choice)  # noise: whoever looks at what was fitted takes the least penalty
    told = probing.predicted(values, right, fitted, choice, tests)
    np.testing.assert_allclose(told, Ridge(best(choice)).fit(values[~tests], right[~tests]).predict(values))


# ---- edits -----------------------------------------------------------------------------------------------------------


def test_units_that_are_held_are_the_most_variable_and_held_at_their_mean(rng, monkeypatch):
    monkeypatch.setattr(edits, "MOST", 2)
    values = rng.normal(size=(50, 4)) * [1, 3, 0.1, 2] + 5
    mask = np.arange(50) < 20
    edited = [*edits.changes(values, {"early": mask}, np.random.default_rng(0))]
    assert [(edit, label, unit) for edit, label, unit, _ in edited] == [
        ("direction", "early", -1),
        ("resampled", "", -1),
        ("clamped", "", 1),
        ("clamped", "", 3),
    ]
    direction, resampled, *clamped = (values + change for *_, change in edited)
    np.testing.assert_allclose((direction - values)[0], values[:20].mean(axis=0) - values[20:].mean(axis=0))
    np.testing.assert_allclose(np.sort(resampled, axis=0), np.sort(values, axis=0))
    for unit, held in zip((1, 3), clamped, strict=True):
        np.testing.assert_allclose(held[:, unit], values[:, unit].mean())
        np.testing.assert_allclose(np.delete(held, unit, axis=1), np.delete(values, unit, axis=1))


def test_beside_an_edit_are_so_many_random_ones_and_layers_that_act_alone(quiet, monkeypatch):
    asked, effects = [], iter(range(10**6))

    def control(change, rng):
        asked.append(change)
        return change

    monkeypatch.setattr(edits, "of_equal_norm", control)
    monkeypatch.setattr(edits.Site, "effect", lambda self, change: float(next(effects)))
    given = lent(quiet) | {"twins": 0, "controls": 5, "run": "r"}
    rows = Table(kinds.inside.ACTIVATION_EDITS, rows=[*edits.edits(RUN, None, **given)]).frame()
    assert set(rows["layer"]) == {"layer"}
    per_agent = [5 if unit < 0 else 1 for unit in rows["unit"]]
    assert len(asked) == sum(per_agent)
    for effect, random, count in zip(rows["effect"], rows["random"], per_agent, strict=True):
        assert random == effect + (count + 1) / 2  # the mean of those that were tried right after it


# ---- saliency --------------------------------------------------------------------------------------------------------


class Curved(Fake):
    """q = x1² + 3 x2: of a gradient of its own at each observation."""

    def read(self, observations, state=None):
        x = torch.as_tensor(observations)
        return {"q": (x[:, 1] ** 2 + 3 * x[:, 2]).unsqueeze(1)}, None


def test_saliency_is_in_spreads_and_each_observation_counts_the_same(quiet, monkeypatch):
    monkeypatch.setattr(subject, "subjects", lambda *given: [(20, 0, Curved(20))])
    given = lent(quiet) | {"twins": 0, "run": "r"}
    (row,) = Table(kinds.inside.SALIENT, rows=[*saliency.saliency(RUN, None, **given)]).arrow().to_pylist()
    seen = beside.met(Curved(20), Room(None), 100).observations
    wanted = []
    for _, x1, _ in seen:
        sizes = np.array([0, 2 * abs(x1), 3]) * seen.std(axis=0)
        wanted.append(sizes / sizes.sum())
    np.testing.assert_allclose(row["values"], np.mean(wanted, axis=0), rtol=1e-5)
    assert row["observations"] == len(seen) == sum(LENGTHS)
