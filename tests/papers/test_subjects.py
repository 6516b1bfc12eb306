"""Networks of maze, bayes and twm as lenses on any agent see them: each adapter says what its network says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.descriptions import Task
from agentomy.environments import arcade, gym_bandits, maze
from agentomy.lenses.behaviour.extract import returns
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Subject, subjects
from agentomy.lenses.behaviour.units import units
from agentomy.lenses.inside.beside import chosen_of, remembered
from agentomy.lenses.inside.edits import edits
from agentomy.lenses.inside.features import features
from agentomy.lenses.inside.probes import probes
from agentomy.lenses.inside.saliency import depends, saliency
from agentomy.lenses.inside.watch import watched
from agentomy.lenses.places import grid
from agentomy.lenses.rollouts import reconstructed
from agentomy.networks.acting import Player
from agentomy.papers.bayes.extract.play import Arena
from agentomy.papers.maze.extract.saliency import gradients
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained

STREAMS = Streams("t", "run", 0)
HEADS = {"latent": [8], "reward": [8], "discount": [8]}
TRANSFORMER = {"width": 8, "layers": 1, "heads": 1, "head": 8, "feedforward": 8, "window": 2}


@dataclass(frozen=True)
class Case:
    """A network of a paper, how it is drawn, and games that it can play."""

    adapter: str
    network: dict[str, Any]
    environment: Callable
    games: dict[str, Any]
    drawn: tuple[str, ...] = ()  # what `draw` is given beside generators

    @property
    def use(self) -> str:
        return f"{self.environment.__module__.removeprefix('agentomy.environments.')}.{self.environment.__name__}"

    def episodes(self) -> Table:
        rows = self.environment(**self.games, streams=STREAMS)
        return Table(kinds.paths.EPISODES, rows=rows, description=Task(use=self.use, parameters=self.games))

    def stack(self, seeds: int = 2):
        stack = networks.build(self.network, seeds)
        stack.draw([networks.generator(seed) for seed in range(seeds)], *self.drawn)
        with torch.no_grad():  # heads begin so small that all choices look alike
            for name, weight in stack.named_parameters():
                if name.endswith(("policy.weight", "encoder.weight", "memory.weight_ih")) or "actor" in name:
                    size = 0.3 if "actor" in name else 2
                    weight.add_(size * torch.randn(weight.shape, generator=networks.generator(7)))
        return stack

    def parameters(self, stack) -> Table:
        rows = kinds.common.PARAMETERS.table(seed=np.arange(2), update=3, **stack.arrays())
        said = trained(self.network, initialisation="orthogonal")
        return Table(kinds.common.PARAMETERS, rows=rows, description=said)

    def subjects(self, stack) -> list[Subject]:
        return [subject for *_, subject in subjects(self.parameters(stack), "cpu", adapter=self.adapter)]


CASES = {
    "maze": Case(
        "papers.maze.subject.Mouse",
        {"use": "impala.ImpalaStack", "pixels": 5, "palette": "planes", "channels": [2], "pools": [1], "hidden": 8}
        | {"actions": 5, "scale": "planes"},
        maze.games,
        {"world": 5, "actions": 5, "palette": "planes", "pixels": 5, "max_episode_steps": 12, "episodes": 12},
        ("orthogonal",),
    ),
    "bayes": Case(
        "papers.bayes.subject.Recurrent",
        {"use": "recurrent.LSTMNetwork", "inputs": 3, "width": 6, "outputs": {"policy": 2, "value": 1}},
        gym_bandits.bernoulli,
        {"prior": [[1.0, 1.0], [1.0, 1.0]], "steps": 8, "episodes": 12},
    ),
    "twm": Case(
        "papers.twm.subject.Policy",
        {"use": "world_model.WorldModel", "view": "grid", "channels": 3, "actions": 6, "filters": 4, "widths": [16]}
        | {"latents": [4, 4], "transformer": TRANSFORMER, "heads": HEADS}
        | {"policy": [8]},
        arcade.minatar,
        {"game": "breakout", "trails": False, "max_episode_steps": 12, "episodes": 5},
    ),
}
every = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def played():
    """Of each paper: the case, its stack of two, and of its first network the Subject, its games and what it met."""
    by_paper = {}
    for name, case in CASES.items():
        stack = case.stack()
        subject, room = case.subjects(stack)[0], Room(case.episodes())
        games = room.play(subject, keep=True)
        by_paper[name] = case, stack, subject, games, chosen_of(subject, games, 60)
    return by_paper


# ---- what the network says ---------------------------------------------------------------------------------------


def test_a_mouse_says_what_its_network_says(played):
    _, stack, subject, _, shown = played["maze"]
    logits, value = stack.nets[0](torch.as_tensor(shown.observations))
    given, state = subject.read(shown.observations)
    assert state is None
    assert torch.equal(given["logits"], logits)
    assert torch.equal(given["value"], value)
    assert torch.allclose(stack.nets[0].policy(given["latent"]), logits, atol=1e-6)


def test_a_mouses_saliency_is_what_the_paper_computes(played):
    """But for the constant by which pictures are scaled: 1 of planes."""
    _, stack, subject, _, shown = played["maze"]
    theirs = gradients(stack.nets[0], shown.observations, "cpu")
    np.testing.assert_allclose(depends(subject, shown.observations)["value"], theirs["value"], rtol=1e-4, atol=1e-7)


def test_a_mouses_feature_maps_are_what_its_relus_are_given(played):
    case, stack, subject, _, shown = played["maze"]
    net, maps = stack.nets[0], subject.maps(shown.observations)
    assert next(iter(maps)) == "block1.res1.relu1"
    assert "relufc" not in maps
    with torch.no_grad():
        first = net.block1.maxpool(net.block1.conv(net.encode(torch.as_tensor(shown.observations))))
    np.testing.assert_allclose(maps["block1.res1.relu1"], first.relu(), atol=1e-6)
    lent = {"run": "run", "streams": STREAMS, "device": "cpu", "progress": Progress("t", every=1e9), "twins": 1}
    rows = [*features(case.parameters(stack), case.episodes(), adapter=case.adapter, count=3, **lent)]
    found = Table(kinds.inside.FEATURE_MAPS, rows=rows).where(seed=0, layer="relu3")
    assert set(found.values("twin")) == {-1, 0}


def test_places_of_a_mouses_maps_are_those_that_it_sees_through_its_pool_and_sums():
    """Colours become numbers below zero: what a place sees is told by none of them."""
    network = {**CASES["maze"].network, "pixels": 45, "palette": "rgb", "scale": "rgb"}
    case = Case(CASES["maze"].adapter, network, maze.games, {}, ("orthogonal",))
    subject, _ = case.subjects(case.stack())
    before = {name: weight.clone() for name, weight in subject.net.named_parameters()}
    grids = {layer: grid(seen) for layer, seen in subject.windows().items()}
    sides = {"block1.res1.relu1": 5, "block1.res1.relu2": 9, "block1.res2.relu1": 13, "relu3": 21}
    assert {layer: grids[layer].window for layer in sides} == {layer: (side, side) for layer, side in sides.items()}
    for at in grids.values():
        np.testing.assert_allclose(at.rows, 2 * np.arange(23))
        assert at.apart == (2, 2)
    assert all(torch.equal(weight, before[name]) for name, weight in subject.net.named_parameters())


def test_a_recurrent_agent_says_step_by_step_what_its_network_says_of_whole_episodes(played):
    _, stack, subject, games, _ = played["bayes"]
    inputs = np.stack([np.stack(steps) for steps in games.seen])  # all of one length
    outputs = stack(torch.as_tensor(np.stack([inputs, inputs])))
    state = subject.start(len(inputs))
    for t in range(inputs.shape[1]):
        given, state = subject.read(inputs[:, t], state)
        assert torch.allclose(given["logits"], outputs["policy"][0, :, t], atol=1e-6)
        assert torch.allclose(given["value"], outputs["value"][0, :, t, 0], atol=1e-6)
    assert torch.allclose(state, stack.states(torch.as_tensor(np.stack([inputs, inputs])))[0, :, -1], atol=1e-6)


def test_a_recurrent_agent_pulls_the_arms_that_it_pulls_in_its_paper(played):
    """The paper plays drawn rewards; here the same rewards come from the game."""
    case, stack, _, games, _ = played["bayes"]
    actions = np.stack([np.stack(steps)[1:, :2].argmax(axis=1) for steps in games.seen])
    env, rewards = gym_bandits.BernoulliBandit(case.games["prior"], 8), []
    for seed in case.episodes().values("reset_seed"):
        env.np_random = np.random.Generator(np.random.PCG64(seed))
        env.reset()
        rewards.append(env.rewards)
    arena = Arena(env.task, np.stack(rewards), 0.95)
    theirs, _ = arena.networks(stack, np.full((2, 12, 8), 0.5), "argmax", "cpu")
    np.testing.assert_array_equal(actions, theirs[0, :, :-1])


def test_a_predictor_is_read_and_does_not_act():
    network = {"use": "recurrent.LSTMNetwork", "inputs": 2, "width": 4, "outputs": {"predictive": 2}}
    stack = networks.build(network, 2).draw([networks.generator(seed) for seed in (0, 1)])
    rows = kinds.common.PARAMETERS.table(seed=np.arange(2), update=3, **stack.arrays())
    table = Table(kinds.common.PARAMETERS, rows=rows, description=trained(network))
    subject = next(subjects(table, "cpu", adapter="papers.bayes.subject.Recurrent"))[2]
    seen = np.eye(2, dtype=np.float32)
    said = stack(torch.as_tensor(np.stack([seen, seen])[:, :, None]))["predictive"][0, :, 0]
    assert torch.allclose(subject.read(seen)[0]["prediction"], said, atol=1e-6)
    assert not subject.distribution
    with pytest.raises(ValueError, match="allowed: one that acts"):
        subject.act(seen)


def test_a_policy_of_a_world_model_says_what_is_read_at_play(played):
    _, _, subject, _, shown = played["twm"]
    world = subject.net
    heard = []
    policy, world.policy = world.policy, lambda inputs: heard.append(policy(inputs)) or heard[-1]
    seen = torch.as_tensor(shown.observations)
    Player(world, len(seen), [networks.generator(0)]).act(seen, torch.zeros(len(seen)), torch.zeros(len(seen)) > 0)
    del world.policy
    assert torch.equal(subject.read(shown.observations)[0]["logits"].detach(), heard[0])


def test_a_policy_that_reads_the_past_is_refused(played):
    case, *_ = played["twm"]
    other = Case(case.adapter, {**case.network, "policy_input": "zh"}, case.environment, case.games)
    with pytest.raises(ValueError, match="found a policy that reads zh"):
        other.subjects(other.stack())


# ---- what all of them share --------------------------------------------------------------------------------------


@every
def test_a_subject_acts_by_its_logits_and_by_its_seed_alone(played, name):
    _, _, subject, _, shown = played[name]
    given, _ = subject.read(shown.observations, shown.state)
    assert set(given) == set(subject.outputs)
    best, _ = subject.act(shown.observations, shown.state)
    np.testing.assert_array_equal(best, given["logits"].argmax(dim=1))
    drawn = [subject.act(shown.observations, shown.state, networks.generator(seed))[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@every
def test_a_twin_is_drawn_by_its_seed_as_training_draws_it(played, name):
    case, _, subject, _, shown = played[name]
    twins = [subject.twin(seed) for seed in (0, 0, 5)]
    logits = [twin.read(shown.observations, shown.state)[0]["logits"] for twin in twins]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])
    fresh = networks.build(case.network, 1).draw([networks.generator(0)], *case.drawn).arrays()
    weights = {name: weight.detach().numpy() for name, weight in twins[0].net.named_parameters()}
    assert weights.keys() == fresh.keys()
    for key, weight in weights.items():
        np.testing.assert_array_equal(weight.reshape(fresh[key].shape), fresh[key])


@every
def test_a_change_that_changes_nothing_does_nothing_and_another_does_something(played, name):
    _, _, subject, _, shown = played[name]
    before = subject.read(shown.observations, shown.state)[0]["logits"]
    for layer, values in subject.hidden(shown.observations, shown.state).items():
        met_here: list[Tensor] = []
        with subject.editing(layer, lambda given, met_here=met_here: met_here.append(given) or given):
            assert torch.equal(subject.read(shown.observations, shown.state)[0]["logits"], before), layer
        np.testing.assert_allclose(met_here[0].detach().flatten(1), values, rtol=1e-5, atol=1e-6)
        with subject.editing(layer, lambda given: given + 3):
            changed = subject.read(shown.observations, shown.state)[0]["logits"]
        assert not torch.allclose(changed, before), layer
        assert torch.equal(subject.read(shown.observations, shown.state)[0]["logits"], before), layer


@every
def test_general_lenses_look_at_networks_of_papers(played, name):
    case, stack, *_ = played[name]
    given = {"run": "run", "streams": STREAMS, "device": "cpu", "progress": Progress("t", every=1e9)}
    given |= {"parameters": case.parameters(stack), "episodes": case.episodes(), "adapter": case.adapter, "twins": 1}
    for lens, kind in (
        (units, kinds.behaviour.UNITS),
        (returns, kinds.behaviour.GAME_RETURNS),
        (probes, kinds.inside.PROBED),
        (saliency, kinds.inside.SALIENT),
        (edits, kinds.inside.ACTIVATION_EDITS),
    ):
        frame = Table(kind, rows=[*lens(**given, **({} if lens is returns else {"count": 20}))]).frame()
        assert set(frame["seed"]) == {0, 1}, lens
        assert set(frame["twin"]) == {-1, 0}, lens


@every
def test_all_directions_of_a_path_give_policies_of_papers_back_and_few_do_not(played, name):
    case, stack, *_ = played[name]
    drawn, pieces, first = np.random.default_rng(0), [], stack.arrays()
    for update in range(4):
        steps = {key: update * drawn.normal(size=array.shape) for key, array in first.items()}
        moved = {key: (array + steps[key]).astype("f4") for key, array in first.items()}
        pieces.append(kinds.common.PARAMETERS.table(seed=np.arange(2), update=update, **moved))
    path = Table(kinds.common.PARAMETERS, rows=pieces, description=case.parameters(stack).description)
    lent = {"run": "run", "device": "cpu", "progress": Progress("t", every=1e9), "adapter": case.adapter}
    rows = [*reconstructed(path, case.episodes(), directions=[1, 3], snapshots_per_period=3, **lent)]
    frame = Table(kinds.paths.ROLLOUTS, rows=rows).where(period="half1").frame()
    frame = frame.set_index(["seed", "update", "episode"]).sort_index()
    ends = {k: frame[frame["directions"] == k][["return", "length"]] for k in (-1, 1, 3)}
    for seed, (*_, subject) in enumerate(subjects(path, "cpu", [2], case.adapter)):
        games = Room(case.episodes()).play(subject)
        np.testing.assert_array_equal(ends[-1].loc[seed, 2], np.stack([games.returns, games.lengths], axis=1))
    np.testing.assert_array_equal(ends[3], ends[-1])
    if name != "twm":  # whose random policies all lose the ball
        assert (ends[1] != ends[-1]).any(axis=None)


# ---- memory ------------------------------------------------------------------------------------------------------


def test_what_is_remembered_is_what_was_remembered_in_the_game(played):
    """Read at each place with the memory that is looked up, a network does what it did there."""
    _, _, subject, games, shown = played["bayes"]
    taken, _ = subject.act(shown.observations, shown.state)
    for action, episode, step in zip(taken, shown.episode, shown.step, strict=True):
        if step + 1 < len(games.seen[episode]):
            assert games.seen[episode][step + 1][:2].argmax() == action
    assert shown.state.abs().sum() > 0
    assert (shown.state[shown.step == 0] == 0).all()


def test_memory_begins_anew_where_it_did_in_the_game(played):
    _, _, subject, games, _ = played["bayes"]
    games.anew[2][5] = True
    memories = remembered(subject, games, np.array([2, 2, 3]), np.array([5, 6, 5]))
    assert (memories[0] == 0).all()
    _, after = subject.read(games.seen[2][5][None])
    assert torch.allclose(memories[1], after[0], atol=1e-6)
    assert (memories[2] != 0).any()
    games.anew[2][5] = False


def test_a_twin_remembers_what_it_makes_of_the_game_itself(played):
    _, _, subject, games, shown = played["bayes"]
    twin = subject.twin(4)
    state = remembered(twin, games, shown.episode, shown.step)
    later = shown.step > 0
    assert not torch.allclose(state[later], shown.state[later])
    place = np.flatnonzero(shown.step == 2)[0]
    by_hand = twin.start(1)
    for observation in games.seen[shown.episode[place]][:2]:
        _, by_hand = twin.read(observation[None], by_hand)
    assert torch.allclose(state[place], by_hand[0], atol=1e-6)


def test_saliency_in_a_watched_game_is_that_of_each_step_with_the_memory_before_it(played):
    """Beside a plain twin: the game is read anew in double precision, and each entry is moved a little."""
    case, stack, *_ = played["bayes"]
    lent = {"run": "run", "streams": STREAMS, "device": "cpu", "progress": Progress("t", every=1e9), "twins": 0}
    rows = [*watched(case.parameters(stack), case.episodes(), adapter=case.adapter, **lent)]
    found = Table(kinds.inside.WATCHED, rows=rows).where(seed=0)
    seen = found.array("seen", 3).astype(float)
    (subject, _), width = case.subjects(stack), 1e-6
    subject.net.double()

    def outputs(inputs: np.ndarray, state: Tensor) -> dict[str, float]:
        given = subject.read(inputs[None], state)[0]
        return {"choice": given["logits"].log_softmax(dim=1).max().item(), "value": given["value"].item()}

    state, empty, sizes, forgetful = subject.start(1), subject.start(1), [], []
    with torch.no_grad():
        for observation in seen:
            for memory, kept in ((state, sizes), (empty, forgetful)):
                moved = [[outputs(observation + way * entry, memory) for way in (width, -width)] for entry in np.eye(3)]
                kept.append([[abs(up[name] - down[name]) for up, down in moved] for name in ("choice", "value")])
            _, state = subject.read(observation[None], state)
    spread = seen.std(axis=0)
    expected, without = (
        changes * spread / (changes * spread).sum(axis=2, keepdims=True)
        for changes in map(np.array, (sizes, forgetful))
    )
    for number, name in enumerate(("choice", "value")):
        np.testing.assert_allclose(found.array(name, 3), expected[:, number], rtol=1e-3, atol=1e-5)
    assert np.abs(expected - without)[1:].max() > 0.05
