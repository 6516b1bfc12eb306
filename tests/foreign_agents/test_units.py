"""How much of a network is used: planted units are found, and an untrained twin is a control."""

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.lenses.behaviour import draw
from agentomy.lenses.behaviour.measure import return_ranks, unit_ranks
from agentomy.lenses.behaviour.subject import Own, subjects
from agentomy.lenses.behaviour.units import numbers, units
from agentomy.networks.continuous import Actor
from agentomy.networks.q_network import QNetwork
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained as trained_as
from tests.foreign_agents.conftest import new_model
from tests.foreign_agents.test_import import MINE, parameters, planned
from tests.foreign_agents.test_play import table


def test_dormancy_is_a_share_of_the_layers_mean_behind_the_activation():
    """Dopamine once divided by the sum: then each of many units would be dormant."""
    values = np.ones((4, 100))
    values[:, 0], values[:, 1] = 0.0, 0.02
    shares = numbers(values, 0.025)
    assert shares["dead"] == 0.01
    assert shares["dormant"] == 0.02
    assert numbers(values, 0.01)["dormant"] == 0.01
    assert numbers(-values, 0.025)["dormant"] == 0.02  # a tanh's units may be active below zero


def test_ranks_of_known_matrices():
    random = np.random.default_rng(0)
    rotation = np.linalg.qr(random.normal(size=(8, 8)))[0]
    flat = numbers(rotation, 0)
    assert flat["effective rank"] == pytest.approx(8)
    assert flat["stable rank"] == pytest.approx(8)
    single = numbers(np.outer(np.arange(1, 9), np.ones(8)), 0)
    assert single["effective rank"] == pytest.approx(1, abs=1e-6)
    assert single["stable rank"] == pytest.approx(1)
    nothing = numbers(np.zeros((3, 2)), 0.025)
    assert nothing == {"dead": 1.0, "dormant": 1.0, "effective rank": 0.0, "stable rank": 0.0}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A DQN four of whose twelve units of the second layer never fire, beside 39 twins."""
    import stable_baselines3 as sb3

    folder = tmp_path_factory.mktemp("planted")
    model = sb3.DQN("MlpPolicy", "CartPole-v1", buffer_size=10, seed=0, policy_kwargs={"net_arch": [16, 12]})
    with torch.no_grad():
        model.policy.q_net.q_net[2].bias[:4] = -1000.0
    model.num_timesteps = 5
    model.save(folder / "5.zip")
    imported = parameters(planned(folder, {**MINE, "files": "{update}.zip"}), folder)
    given = {"count": 200, "run": "mine", "streams": Streams("t", "mine", 0), "device": "cpu"}
    rows = units(imported, table("CartPole-v1", 3), **given, progress=Progress("t", every=1e9))
    return Table(kinds.behaviour.UNITS, rows=list(rows))


def test_planted_dead_units_are_found_and_none_in_the_twins(planted):
    frame = planted.frame()
    dead = frame[(frame["quantity"] == "dead") & (frame["layer"] == "policy.body.2")].set_index("twin")["value"]
    assert dead[-1] >= 4 / 12
    assert len(dead) == 40
    assert dead[dead.index != -1].median() < dead[-1]
    ranks = unit_ranks(planted).to_pandas().set_index(["layer", "quantity"])
    assert ranks.loc[("policy.body.2", "effective rank"), "twins"] == 39
    assert ranks["p"].min() >= 0.05 - 1e-12  # 39 twins give no less
    draw.units(planted, run="mine")


def test_a_value_among_its_twins_is_ranked():
    def ranked(value: float, twins) -> float:
        column = {"run": "a", "seed": 0, "mode": "deterministic", "episode": 0, "length": 1, "ended": "terminated"}
        values = [value, *twins]
        rows = kinds.behaviour.GAME_RETURNS.table(
            **column,
            update=np.array([9, *[0] * len(twins)]),
            agent=np.array(["trained", *["untrained"] * len(twins)]),
            twin=np.array([-1, *range(len(twins))]),
            **{"return": np.array(values, float)},
        )
        return return_ranks(Table(kinds.behaviour.GAME_RETURNS, rows=rows)).to_pandas()["p"][0]

    assert ranked(100, range(39)) == pytest.approx(0.05)
    assert ranked(-1, range(39)) == pytest.approx(0.05)
    assert ranked(18.5, range(39)) == pytest.approx(1, abs=0.03)
    assert ranked(1, [1] * 39) == 1
    with pytest.raises(ValueError, match="no untrained twins"):
        ranked(1, [])


# ---- the pipeline's own agents -----------------------------------------------------------------------------------


def parameters_of(network, description: dict, count: int = 2) -> Table:
    arrays = network.arrays()
    rows = kinds.common.PARAMETERS.table(seed=np.arange(count), update=3, **arrays)
    return Table(kinds.common.PARAMETERS, rows=rows, description=trained_as(description))


OWN = {
    "actor": (
        Actor,
        {"use": "continuous.Actor", "inputs": 3, "outputs": 2, "widths": [8], "low": [-1.0, 0.0], "high": [1.0, 2.0]},
        np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32),
    ),
    "values": (
        QNetwork,
        {"use": "q_network.QNetwork", "channels": 4, "actions": 6},
        np.random.default_rng(0).integers(2, size=(20, 10, 10, 4)).astype(bool),
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_the_pipelines_agents_are_subjects_too(name):
    kind, description, seen = OWN[name]
    arguments = {key: value for key, value in description.items() if key != "use"}
    stack = kind(2, **arguments).draw([torch.Generator().manual_seed(seed) for seed in (1, 2)])
    agents = [*subjects(parameters_of(stack, description), "cpu")]
    assert [(update, seed) for update, seed, _ in agents] == [(3, 0), (3, 1)]
    both = stack.act(torch.as_tensor(np.stack([seen, seen])))
    for number, (_, _, subject) in enumerate(agents):
        assert isinstance(subject, Own)
        assert subject.start(20) is None
        np.testing.assert_allclose(subject.act(seen)[0], both[number], rtol=1e-5, atol=1e-6)
        given, _ = subject.read(seen)
        assert list(given) == list(subject.outputs)
        assert {len(unit) for unit in subject.hidden(seen).values()} == {20}
    first = agents[0][2]
    before = next(iter(first.read(seen)[0].values()))
    for layer, values in first.hidden(seen).items():
        with first.editing(layer, lambda given, values=values: torch.as_tensor(values).to(given)):
            assert torch.allclose(next(iter(first.read(seen)[0].values())), before, rtol=1e-5, atol=1e-6)
        with first.editing(layer, lambda given: given - 1):
            assert not torch.allclose(next(iter(first.read(seen)[0].values())), before)
    twins = [first.twin(seed) for seed in (1, 1, 2)]
    outputs = [next(iter(twin.read(seen)[0].values())) for twin in twins]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn", "qr-dqn", "ars linear"])
def test_an_imported_agent_says_what_it_gives(name, tmp_path):
    model = new_model(name)
    model.save(tmp_path / "here" / "1.zip")
    study = planned(tmp_path / "here", {"use": MINE["use"], "files": "{update}.zip"}, environments={})
    ((_, _, subject),) = subjects(parameters(study, tmp_path), "cpu")
    given, _ = subject.read(np.zeros((3, 5), np.float32))
    assert set(given) == set(subject.outputs)
    assert subject.distribution == (name in ("ppo", "sac"))
    assert subject.distinct == (name != "ars linear")
    assert subject.net.get_submodule("policy.head") is not None
