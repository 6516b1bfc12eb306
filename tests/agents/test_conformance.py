"""What the driver and the pipeline ask of every agent: each test runs over all of them."""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch

from agentomy import agents, kinds, networks
from agentomy.agents import driver, restart
from agentomy.agents.plugins.window import Window
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.progress import Progress
from agentomy.tables import Table, tensors
from tests.agents.every_agent import CASES, Case

torch.set_num_threads(1)

every_agent = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@pytest.fixture(autouse=True)
def simulator(request, monkeypatch):
    case = getattr(request.node, "callspec", None) and request.node.callspec.params["case"]
    if case and case.simulator:
        monkeypatch.setattr(simulators, "make", case.simulator)


@pytest.fixture
def precision(case):
    torch.set_default_dtype(torch.float64 if case.double else torch.float32)
    yield
    torch.set_default_dtype(torch.float32)


def learn(agent, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [agent.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


def bits(arrays) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(array).tobytes() for name, array in arrays.items()}


def outcome(agent, case: Case) -> Iterator[dict[str, bytes]]:
    """What is seen of an agent from the state on, piece by piece: each report, and the parameters in the end."""
    for _ in range(case.behind):
        yield bits(agent.advance())
    yield bits(agent.parameters())


def is_felt(agent, case: Case, expected: list[dict[str, bytes]]) -> bool:
    """Whether the agent differs from what is expected; it is asked no further than that."""
    return any(seen != known for seen, known in zip(outcome(agent, case), expected, strict=True))


@cache
def gone_on(name: str) -> tuple[dict, list[dict[str, bytes]]]:
    """The state of an agent half-way, which has gone on since; and what came of one whose state was never taken."""
    asked, left_alone, case = CASES[name](), CASES[name](), CASES[name]
    learn(asked, case.before)
    state = asked.state()
    learn(asked, 2)
    learn(left_alone, case.before)
    return state, [*outcome(left_alone, case)]


def name_of(case: Case) -> str:
    return next(name for name, known in CASES.items() if known is case)


def test_every_agent_of_the_pipeline_is_tried():
    for module in pkgutil.walk_packages(agents.__path__, f"{agents.__name__}."):
        importlib.import_module(module.name)

    def below(kind: type) -> Iterator[type]:
        for subclass in kind.__subclasses__():
            yield subclass
            yield from below(subclass)

    ours = {cls for cls in below(Saved) if hasattr(cls, "advance") and cls.__module__.startswith("agentomy.")}
    tried = set()
    with pytest.MonkeyPatch.context() as patch:
        for case in CASES.values():
            patch.setattr(simulators, "make", case.simulator or simulators.make)
            tried.add(type(case()))
            patch.undo()
    assert tried == ours - {Window}


@every_agent
def test_a_restored_run_goes_on_bit_for_bit(case, tmp_path):
    state, expected = gone_on(name_of(case))
    restart.save(tmp_path / "state", state, "")
    resumed = case()
    resumed.restore(restart.load(tmp_path / "state", ""))
    assert [*outcome(resumed, case)] == expected


def fields(state: dict) -> Iterator[tuple[str, ...]]:
    """All places of a state, and those of the parts of the seeds in it."""
    for name, value in state.items():
        if name == "seeds":
            yield from ((name, field) for field in value[0])
        else:
            yield (name,)


@every_agent
def test_each_field_of_a_state_makes_a_difference(case):
    """So a field left out of the state turns the test above red."""
    state, expected = gone_on(name_of(case))
    unfelt = set()
    for place in fields(state):
        resumed = case()
        fresh = resumed.state()
        without = {**state, place[0]: fresh[place[0]]}
        if len(place) > 1:
            parts = zip(state[place[0]], fresh[place[0]], strict=True)
            without[place[0]] = [{**one, place[1]: other[place[1]]} for one, other in parts]
        resumed.restore(without)
        with suppress(LookupError, ValueError, RuntimeError):  # it may not get far without
            if not is_felt(resumed, case, expected):
                unfelt.add(place[-1])
    assert unfelt == case.unfelt


@every_agent
def test_a_state_that_lacks_a_field_is_refused(case):
    state, _ = gone_on(name_of(case))
    for name in state:
        with pytest.raises(ValueError, match="state: found"):
            case().restore({key: value for key, value in state.items() if key != name})


@every_agent
@pytest.mark.usefixtures("precision")
def test_a_stack_learns_as_its_seeds_do_alone(case):
    make = case.precise or case
    together = make(0, 1, 2)
    records = learn(together, case.before)
    for position, seed in enumerate((0, 1, 2)):
        alone = make(seed)
        for name, values in learn(alone, case.before).items():
            np.testing.assert_allclose(records[name][:, position], values[:, 0], rtol=case.alone, atol=case.alone)
        for name, array in alone.parameters().items():
            near = {"rtol": 100 * case.alone, "atol": 100 * case.alone}
            np.testing.assert_allclose(together.parameters()[name][position], array[0], **near)
    assert any(np.ptp(values.astype(float), axis=1).max() > 1e-3 for values in records.values())  # and seeds differ


def but_for(names: tuple[str, ...], state: dict) -> dict:
    """The state without these fields, of the agent itself where a plug-in is around it."""
    if "agent" in state:
        return state | {"agent": but_for(names, state["agent"])}
    return {name: value for name, value in state.items() if name not in names}


@every_agent
def test_loaded_parameters_replace_the_network_and_nothing_else(case):
    agent, other = case(), case(*(seed + 1 for seed in case.seeds))
    learn(agent, 3), learn(other, 2)
    before = agent.state()
    agent.load(other.parameters())
    assert bits(agent.parameters()) == bits(other.parameters())
    assert repr(but_for(case.network, agent.state())) == repr(but_for(case.network, before))
    loaded = bits(agent.parameters())
    learn(agent, 2)
    assert bits(agent.parameters()) != loaded  # and it goes on from there


@every_agent
def test_parameters_are_copies_by_seed_that_rebuild_the_network(case):
    agent = case()
    learn(agent, 2)
    parameters = agent.parameters()
    assert all(len(array) == len(case.seeds) and array.dtype == np.float32 for array in parameters.values())
    assert bits(networks.build(agent.network, len(case.seeds)).load(parameters).arrays()) == bits(parameters)
    before = bits(parameters)
    learn(agent, 2)
    assert bits(parameters) == before


def trained(case: Case, folder, agent, updates: int) -> tuple[Table, Table]:
    """Snapshots of every update, and the log, of so many updates."""
    agent.updates = updates
    given = ("run", list(case.seeds), {"every": 1}, folder, "", Progress("run", every=1e9))
    snapshots, log = driver.train(lambda: agent, *given)
    return Table(driver.SNAPSHOT, rows=pa.concat_tables(snapshots)), Table(kinds.common.LOG, rows=log)


@every_agent
def test_snapshots_and_log_are_of_every_seed_and_update(case, tmp_path):
    agent = case()
    reports = agent.advance()
    agent = case()
    first = agent.parameters()
    snapshots, log = trained(case, tmp_path / "restart", agent, 4)
    expected = [(seed, update) for update in range(5) for seed in case.seeds]
    assert list(zip(snapshots.values("seed"), snapshots.values("update"), strict=True)) == expected
    for update, parameters in ((0, first), (4, agent.parameters())):
        assert bits(tensors(snapshots.where(update=update).arrow())) == bits(parameters)
    frame = log.frame()
    assert set(frame["quantity"]) == set(reports)
    assert len(frame) == 4 * len(case.seeds) * len(reports)
    now = frame[frame["update"] == 1].pivot(index="seed", columns="quantity", values="value")
    for quantity, values in reports.items():
        np.testing.assert_array_equal(now[quantity], np.asarray(values, np.float64))


@every_agent
def test_training_stops_at_parameters_that_are_not_finite(case, tmp_path):
    agent, sick = case(), len(case.seeds) - 1
    advance = agent.advance

    def fall_ill():
        report, parameters = advance(), {name: array.copy() for name, array in agent.parameters().items()}
        for array in parameters.values():
            array[sick] = np.nan
        agent.load(parameters)
        return report

    agent.advance = fall_ill
    with pytest.raises(driver.Diverged, match=f"seed {case.seeds[sick]} diverged at update 1: .* is not finite"):
        trained(case, tmp_path / "restart", agent, 4)
