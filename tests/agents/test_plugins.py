"""Plug-ins on policy paths, PPTB and its controls: what an agent feels of them, and when."""

import copy
from functools import partial

import numpy as np
import pytest

from agentomy import kinds, tables
from agentomy.agents.plugins import paths
from agentomy.agents.plugins.paths import PPTB, Extrapolation, MovingAverage, trimmed_and_boosted
from agentomy.agents.predictor import Predictor
from agentomy.descriptions import Task
from agentomy.environments import sequences
from agentomy.seeds import Streams

SCHEDULE = {"interval": 2, "window": 5, "period": 4}
FIRST = 10  # update of the first application
SHAPES = {"encoder.weight": (3, 4), "encoder.bias": (3,), "readout.weight": (2, 3)}
RandomDirections = partial(PPTB, directions="parameters", trim="hold")
PLUGINS = [PPTB, MovingAverage, Extrapolation, RandomDirections]

every_plugin = pytest.mark.parametrize("plugin", PLUGINS)


class Walker:
    """Walks at random from where it is; what it draws and where its target drags behind is its own affair."""

    def __init__(self, streams):
        self.updates, self.network, self.asked = 100, {"use": "none"}, 0
        self.rngs = [seed_streams.numpy("steps") for seed_streams in streams]
        self.policy = {name: self.drawn(shape) for name, shape in SHAPES.items()}
        self.target = copy.deepcopy(self.policy)

    def drawn(self, shape):
        return np.stack([rng.normal(size=shape).astype(np.float32) for rng in self.rngs])

    def advance(self):
        for name, shape in SHAPES.items():
            self.policy[name] += np.float32(0.1) * self.drawn(shape)  # in place, as optimisers do
            self.target[name] = self.target[name] + np.float32(0.2) * (self.policy[name] - self.target[name])
        return {"size": np.array([np.square(weights).sum() for weights in self.policy["readout.weight"]])}

    def parameters(self):
        self.asked += 1
        return dict(self.policy)

    def load(self, parameters):
        self.policy = {name: np.asarray(parameters[name], np.float32) for name in SHAPES}

    def state(self):
        rngs = [rng.bit_generator.state for rng in self.rngs]
        return {"policy": copy.deepcopy(self.policy), "target": copy.deepcopy(self.target), "rngs": rngs}

    def restore(self, state):
        self.policy, self.target = copy.deepcopy(state["policy"]), copy.deepcopy(state["target"])
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved


def streams(*seeds):
    return [Streams("test", "plug-in", seed) for seed in seeds]


def walker(*seeds):
    return Walker(streams(*seeds))


def plugged(plugin, *seeds, **parameters):
    return plugin(walker(*seeds), streams(*seeds), **SCHEDULE | parameters)


def advance(agent, updates):
    for _ in range(updates):
        agent.advance()
    return agent


def flat(agent, part=""):
    """[S, P] float64."""
    tensors = [array for name, array in agent.parameters().items() if name.startswith(part)]
    return np.concatenate([array.reshape(len(array), -1) for array in tensors], axis=1).astype(np.float64)


def walked(*seeds, part="", updates=FIRST):
    """The window of a walker without a plug-in, [W, S, P]."""
    agent, path = walker(*seeds), []
    for update in range(1, updates + 1):
        agent.advance()
        path += [flat(agent, part)] if update % SCHEDULE["interval"] == 0 else []
    return np.stack(path[-SCHEDULE["window"] :])


def same(one, other):
    mine, others = one.parameters(), other.parameters()
    return mine.keys() == others.keys() and all(mine[name].tobytes() == others[name].tobytes() for name in mine)


# ---- plugged into an agent ------------------------------------------------------------------------------------------


@every_plugin
def test_nothing_happens_before_the_first_application(plugin):
    bare, agent = walker(0, 1), plugged(plugin, 0, 1)
    assert (agent.updates, agent.network) == (bare.updates, bare.network)
    for _ in range(FIRST - 1):
        assert agent.advance()["size"].tobytes() == bare.advance()["size"].tobytes()
        assert same(agent, bare)
    assert agent.advance()["size"].tobytes() == bare.advance()["size"].tobytes()
    assert not same(agent, bare)


@every_plugin
def test_the_random_numbers_of_the_agent_and_what_it_does_not_show_are_left_alone(plugin):
    bare, agent = advance(walker(0, 1), FIRST), advance(plugged(plugin, 0, 1), FIRST)
    for name, target in bare.target.items():
        assert target.tobytes() == agent.agent.target[name].tobytes()
    advance(bare, 20), advance(agent, 20)
    assert [rng.bit_generator.state for rng in bare.rngs] == [rng.bit_generator.state for rng in agent.agent.rngs]


@pytest.mark.parametrize("after", ["slide", "clear"])
@pytest.mark.parametrize(
    ("plugin", "still"),
    [
        (PPTB, {"trim": "none", "boost": 0.0}),
        (PPTB, {"trim": "none", "boost": 0.0, "variant": "delta", "scope": "layer"}),
        (PPTB, {"trim": "hold", "keep": 5, "boost": 0.0}),
        (Extrapolation, {"boost": 0.0}),
        (RandomDirections, {"trim": "none", "boost": 0.0}),
    ],
)
def test_a_plug_in_that_changes_nothing_is_never_noticed(plugin, still, after):
    bare, agent = walker(0, 1), plugged(plugin, 0, 1, after=after, **still)
    for _ in range(40):
        bare.advance(), agent.advance()
        assert same(agent, bare)


@pytest.mark.parametrize(
    ("plugin", "parameters", "expected"),
    [
        (PPTB, {"keep": 2, "boost": 0.3}, lambda path: trimmed_and_boosted(path, 2, 2, 0.3, "zero", "raw")),
        (MovingAverage, {}, paths.averaged),
        (Extrapolation, {"boost": 0.3}, lambda path: path[-1] + 0.3 * (path[-1] - path[0])),
    ],
)
def test_an_application_replaces_each_seeds_policy(plugin, parameters, expected):
    path, agent = walked(0, 1), advance(plugged(plugin, 0, 1, **parameters), FIRST)
    for seed in (0, 1):
        np.testing.assert_allclose(flat(agent)[seed], expected(path[:, seed]), atol=1e-6)


@pytest.mark.parametrize("plugin", [PPTB, RandomDirections])
def test_one_decomposition_a_layer_is_that_of_each_layer_alone(plugin):
    parameters = {"keep": 2, "boost": 0.3, "trim": "hold", "scope": "layer"}
    by_layer = advance(plugged(plugin, 0, **parameters), FIRST)
    first = advance(plugged(plugin, 0, part="encoder", **parameters | {"scope": "all"}), FIRST)
    np.testing.assert_allclose(flat(by_layer, "encoder"), flat(first, "encoder"), atol=1e-6)
    if plugin is PPTB:
        path = walked(0, part="readout")[:, 0]
        np.testing.assert_allclose(
            flat(by_layer, "readout")[0], trimmed_and_boosted(path, 2, 2, 0.3, "hold", "raw"), atol=1e-6
        )
    assert np.abs(flat(by_layer) - flat(advance(plugged(plugin, 0, **parameters | {"scope": "all"}), FIRST))).max() > 0


@every_plugin
def test_only_the_part_that_is_meant_changes(plugin):
    bare, agent = advance(walker(0), FIRST), advance(plugged(plugin, 0, part="readout"), FIRST)
    assert (flat(agent, "encoder") == flat(bare, "encoder")).all()
    assert (flat(agent, "readout") != flat(bare, "readout")).any()


def test_a_part_that_no_tensor_belongs_to_is_refused():
    with pytest.raises(ValueError, match="begins with 'actor'"):
        advance(plugged(PPTB, 0, part="actor"), 2)


@pytest.mark.parametrize("wrong", ["interval", "window", "period"])
def test_a_schedule_without_length_is_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        plugged(PPTB, 0, **{wrong: 0})


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({}, [10, 14, 18, 22, 26, 30]),
        ({"period": 5}, [10, 16, 22, 28]),
        ({"after": "clear"}, [10, 20, 30]),
        ({"after": "clear", "period": 12}, [10, 22]),
        ({"interval": 3, "window": 2, "period": 9}, [6, 15, 24]),
    ],
)
def test_applications_come_when_they_are_due(schedule, expected):
    agent, applications = plugged(Extrapolation, 0, **schedule), []
    for update in range(1, 31):
        agent.advance()
        applications += [update] if agent.applied == update else []
    assert applications == expected


def test_parameters_are_copied_for_snapshots_only():
    agent = advance(plugged(PPTB, 0), 31)
    assert agent.agent.asked == 31 // SCHEDULE["interval"]


def test_a_sliding_window_goes_on_from_the_new_policy():
    agent = advance(plugged(Extrapolation, 0), FIRST)
    assert len(agent.snapshots) == SCHEDULE["window"]
    applied = flat(agent)
    agent.advance()  # learning goes on in place and must not reach the window
    assert (agent.snapshots[-1] == applied).all()
    assert advance(plugged(Extrapolation, 0, after="clear"), FIRST).snapshots == []


@every_plugin
@pytest.mark.parametrize("scope", ["all", "layer"])
def test_a_stack_does_what_its_seeds_do_alone_whatever_its_scope(plugin, scope):
    parameters = {"scope": scope} if plugin in (PPTB, RandomDirections) else {}
    together = advance(plugged(plugin, 3, 1, 2, **parameters), 25)
    for position, seed in enumerate((3, 1, 2)):
        alone = advance(plugged(plugin, seed, **parameters), 25)
        for name, array in alone.parameters().items():
            assert array[0].tobytes() == together.parameters()[name][position].tobytes()


def test_plug_ins_go_into_each_other():
    agent = PPTB(plugged(Extrapolation, 0), streams(0), **SCHEDULE, boost=0.0, trim="none")
    assert same(advance(agent, 30), advance(plugged(Extrapolation, 0), 30))


# ---- random directions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("within", ["parameters", "path"])
def test_random_directions_are_orthonormal_and_new_each_time(within):
    agent, path = (
        plugged(RandomDirections, 0, keep=2, boosted=3, directions=within),
        np.random.default_rng(8).normal(size=(5, 40)),
    )
    one, other = (agent.draw(path, agent.random[0]) for _ in range(2))
    assert one.shape == (40, 3)
    np.testing.assert_allclose(one.T @ one, np.eye(3), atol=1e-12)
    assert np.abs(one - other).max() > 0.01


def test_random_directions_trim_to_as_many_dimensions():
    agent, path = plugged(RandomDirections, 0, keep=2, boost=0.0), walked(0)[:, 0]
    directions = plugged(RandomDirections, 0, keep=2).draw(path, streams(0)[0].numpy("plug-in directions"))
    advance(agent, FIRST)
    expected = path[0] + directions @ directions.T @ (path[-1] - path[0])
    np.testing.assert_allclose(flat(agent)[0], expected, atol=1e-6)


def test_as_many_random_directions_as_there_are_lose_nothing():
    bare = flat(advance(walker(0), FIRST))
    for within, keep in (("parameters", 99), ("path", SCHEDULE["window"] - 1)):
        agent = advance(plugged(RandomDirections, 0, keep=keep, boosted=0, directions=within), FIRST)
        np.testing.assert_allclose(flat(agent), bare, atol=1e-6)


def test_random_directions_hold_their_share_of_a_change():
    path, kept = np.random.default_rng(9).normal(size=(6, 200)), {"parameters": [], "path": []}
    change = path[-1] - path[0]
    for within, shares in kept.items():
        agent = plugged(RandomDirections, 0, keep=2, directions=within)
        for _ in range(300):
            held = agent.draw(path, agent.random[0]).T @ change
            shares.append(held @ held / (change @ change))
    assert np.isclose(np.mean(kept["parameters"]), 2 / 200, rtol=0.2)
    assert np.isclose(np.mean(kept["path"]), 2 / 5, rtol=0.1)


# ---- a real agent ---------------------------------------------------------------------------------------------------


def predictor(*seeds):
    parameters = {"concentration": [1.0, 1.0, 1.0], "steps": 5, "episodes": 4}
    rows = sequences.categorical(**parameters, streams=Streams("test", "environment", 0))
    task = Task(use="sequences.categorical", parameters=parameters)
    environment = tables.Table(kinds.bayes.SEQUENCES, rows=rows, description=task)
    return Predictor(environment, streams(*seeds), "cpu", width=4, updates=40, batch=4)


def test_a_predictor_takes_a_plug_in():
    bare, still, moved = (
        predictor(0, 1),
        *(
            PPTB(predictor(0, 1), streams(0, 1), **SCHEDULE, trim=trim, boost=boost, keep=2)
            for trim, boost in (("none", 0.0), ("hold", 0.3))
        ),
    )
    advance(bare, FIRST - 1), advance(moved, FIRST - 1)
    assert same(bare, moved)
    advance(bare, 15), advance(still, FIRST + 14), advance(moved, 15)
    assert same(bare, still)
    assert not same(bare, moved)
