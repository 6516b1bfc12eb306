"""An agent as lenses see it, whatever library it is of: a network, what it gives, and its untrained twin."""

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from agentomy import names, networks
from agentomy.descriptions import Trained
from agentomy.lenses.hooks import changing, feeding
from agentomy.lenses.places import Windows, channel_axis, channels_first, windows
from agentomy.lenses.rows import UNTRAINED
from agentomy.lenses.snapshots import revived, updates_of
from agentomy.names import resolve
from agentomy.networks.continuous import Actor
from agentomy.networks.foreign.stack import Agents
from agentomy.networks.q_network import FIELD, FILTERS, GRID, PLACES, QNetwork
from agentomy.tables import Table


class Subject:
    """One agent.

    net: the module, in eval mode, whose layers have the names of the table's tensors. outputs: names of what `read`
    gives. distribution: whether actions can be drawn. distinct: whether twins of two seeds are two. memory_of_its_own:
    whether a twin remembers something else of the same game.
    """

    net: nn.Module
    outputs: tuple[str, ...]
    distribution = False
    distinct = True
    memory_of_its_own = True

    def start(self, batch: int) -> Tensor | None:
        """What it remembers before the first observation of `batch` episodes; None if it never remembers anything."""
        return None

    def read(
        self, observations: np.ndarray | Tensor, state: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Name → what it gives for observations [B, *shape] of the environment, and what it remembers from then on.

        Of a tensor there is a gradient.
        """
        raise NotImplementedError

    def act(
        self, observations: np.ndarray, state: Tensor | None = None, noise: torch.Generator | None = None
    ) -> tuple[np.ndarray, Tensor | None]:
        """The actions [B, …] that it thinks best, or drawn with `noise`: by its logits, unless it has others."""
        with torch.no_grad():
            given, after = self.read(observations, state)
        if "logits" not in given:
            raise ValueError(f"found an agent that gives {', '.join(given)}; allowed: one that acts")
        if noise is None:
            return given["logits"].argmax(dim=1).cpu().numpy(), after
        return torch.multinomial(given["logits"].softmax(dim=1), 1, generator=noise).squeeze(1).cpu().numpy(), after

    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        """Layer → what its hidden units give behind their activation [B, units] (of a convolution, place by place)."""
        raise NotImplementedError

    def pictures(self, observations: np.ndarray, state: Tensor | None = None) -> np.ndarray:
        """What its convolutions are given of pictures [B, C, P, Q]: all frames that it sees at once."""
        return channels_first(observations)

    def maps(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        """By convolution its feature maps behind their activation [B, C, H, W]; empty without convolutions."""
        return {}

    def windows(self) -> dict[str, Windows]:
        """By convolution which pixels of a picture its places see."""
        return {}

    def after(self, layer: str) -> nn.Module:
        """The module that gives what `hidden` has of a layer."""
        return self.net.get_submodule(layer)

    @contextmanager
    def editing(self, layer: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """While this lasts, what follows a layer is given `change(values)`, of what `hidden` has of it [B, …]."""
        with changing(self.after(layer), change):
            yield

    def acts_by(self, layer: str) -> bool:
        """Whether actions follow from what a layer gives: from those of a value of its own they don't."""
        return True

    def twin(self, seed: int) -> "Subject":
        """The same agent before it learned anything, drawn by this seed alone."""
        raise NotImplementedError


class Foreign(Subject):
    """One of a stack of imported agents. What it remembers are frames, whatever its weights."""

    memory_of_its_own = False

    def __init__(self, stack: Agents):
        self.stack, self.net = stack, stack.agents[0]
        of = stack.of
        self.distribution = of.draws
        if of.custom:
            self.outputs, self.distinct = (of.head,), True
            return
        others = {"std": of.spread != "none", "value": of.value is not None, "q": of.head == "quantiles"}
        self.outputs = ("latent", of.head, *(name for name, there in others.items() if there))
        self.distinct = self.net.twins_differ

    def start(self, batch: int) -> Tensor | None:
        state = self.stack.start(batch)
        return state if state is None else state[0]

    def read(
        self, observations: np.ndarray | Tensor, state: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        given, after = self.stack.read(observations[None], state if state is None else state[None])
        return {name: values[0] for name, values in given.items()}, after if after is None else after[0]

    def act(
        self, observations: np.ndarray, state: Tensor | None = None, noise: torch.Generator | None = None
    ) -> tuple[np.ndarray, Tensor | None]:
        before = state if state is None else state[None]
        taken, after = self.stack.taken(np.asarray(observations)[None], before, noise and [noise])
        return taken[0].numpy(), after if after is None else after[0]

    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        with torch.no_grad():
            return flat(self.net.hidden(self._seen(observations, state)))

    def _seen(self, observations: np.ndarray, state: Tensor | None) -> Tensor:
        """What its network is given; nothing came before it unless it is said."""
        before = self.start(len(observations)) if state is None else state
        return self.stack.seen(np.asarray(observations)[None], before if before is None else before[None])[0][0]

    def pictures(self, observations: np.ndarray, state: Tensor | None = None) -> np.ndarray:
        seen = self._seen(observations, state).cpu().numpy()
        if self.stack.frame_count == 1:
            return channels_first(seen)
        if seen.ndim != 4:
            raise ValueError(f"found frames of shape {[*observations.shape[1:]]}; allowed: pictures with channels")
        return seen  # channels come first, however many

    def maps(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        return pictured(self.net.hidden(self._seen(observations, state)))

    def windows(self) -> dict[str, Windows]:
        other, shape = self.twin(0), self.stack.of.observation.shape
        layers = {other.after(name): name for name in pictured(other.net.hidden(torch.zeros(1, *shape)))}
        paths = {path: layers[module] for path, module in other.net.named_modules() if module in layers}
        axis = channel_axis(shape) if self.stack.frame_count == 1 else 0
        return {paths[path]: seen for path, seen in windows(other.net, [*paths], shape, axis).items()}

    def after(self, layer: str) -> nn.Module:
        if not self.stack.of.custom:  # in a sequence the activation is the next one
            place, _, number = layer.rpartition(".")
            layer = f"{place}.{int(number) + 1}"
        return (self.net.net if self.stack.of.custom else self.net).get_submodule(layer)

    def acts_by(self, layer: str) -> bool:
        return bool(self.stack.of.custom) or not layer.startswith("value.")

    def twin(self, seed: int) -> "Foreign":
        return Foreign(self.stack.twins([seed]))


class Own(Subject):
    """One of a stack of the pipeline's agents."""

    def __init__(self, stack: nn.Module, description: dict, output: str):
        self.net, self.description, self.outputs = stack, description, (output,)

    def _given(self, observations: np.ndarray | Tensor) -> Tensor:
        like = next(self.net.parameters())
        array = torch.as_tensor(observations, device=like.device)[None].contiguous()
        return array.to(like.dtype) if array.is_floating_point() else array

    def read(
        self, observations: np.ndarray | Tensor, state: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        return {self.outputs[0]: self.net(self._given(observations))[0]}, None

    def act(
        self, observations: np.ndarray, state: Tensor | None = None, noise: torch.Generator | None = None
    ) -> tuple[np.ndarray, Tensor | None]:
        return self.net.act(self._given(observations))[0].cpu().numpy(), None

    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        return flat({name: stacked[0] for name, stacked in self.net.activations(self._given(observations)).items()})

    @contextmanager
    def editing(self, layer: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        # activations are functions here: what follows one is the layer that reads it
        layers = [name for name, _ in self.net.named_children()]
        following = self.net.get_submodule(layers[layers.index(layer) + 1])
        with feeding(following, lambda values: change(values[0])[None]):
            yield

    def maps(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        if not isinstance(self.net, QNetwork):
            return {}
        units = self.net.activations(self._given(observations))["convolution"][0]
        return {"convolution": units.view(-1, PLACES, PLACES, FILTERS).movedim(3, 1).cpu().numpy()}

    def windows(self) -> dict[str, Windows]:
        if not isinstance(self.net, QNetwork):
            return {}
        seen = np.stack([np.isin(np.arange(GRID), place + np.arange(FIELD)) for place in range(PLACES)])
        return {"convolution": (seen, seen)}

    def twin(self, seed: int) -> "Own":
        stack = networks.build(self.description, 1).draw([networks.generator(seed)])
        return Own(stack.to(next(self.net.parameters()).device).eval(), self.description, *self.outputs)


def flat(layers: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """What layers give, one row an observation."""
    return {name: values.flatten(1).double().cpu().numpy() for name, values in layers.items()}


def pictured(layers: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Of what layers give that which has places [B, C, H, W]."""
    return {name: values.detach().cpu().numpy() for name, values in layers.items() if values.dim() == 4}


# of the pipeline's networks that read one observation at a time: the name of what they give
OUTPUTS = {Actor: "mean", QNetwork: "q"}


def subjects(
    parameters: Table, device: str, updates: Container[int] | None = None, adapter: str | None = None
) -> Iterator[tuple[int, int, Subject]]:
    """(update, seed, agent) of the snapshots at these updates, one at a time.

    `adapter` is the class of a paper that makes its networks Subjects, by its place: papers.NAME.subject.CLASS.
    """
    description = parameters.description
    for update, seeds, stack in revived(parameters, device, updates):
        for seed, agent in one_by_one(stack, seeds, description, device, adapter):
            yield update, seed, agent


def one_by_one(
    stack: nn.Module, seeds: np.ndarray, trained: Trained, device: str, adapter: str | None = None
) -> Iterator[tuple[int, Subject]]:
    """(seed, agent) of a stack."""
    arrays = stack.arrays()
    for number, seed in enumerate(seeds.tolist()):
        one = {name: array[number : number + 1] for name, array in arrays.items()}
        yield seed, subject(networks.build(trained.network, 1, device).load(one).eval(), trained, adapter)


def with_twins(
    parameters: Table,
    updates: Sequence[int],
    twins: int,
    streams,
    device: str,
    progress,
    adapter: str | None = None,
) -> Iterator[tuple[dict, Subject]]:
    """(who it is, agent) of the snapshots at these updates; behind that of a seed's last update its untrained twins.

    Who it is: seed, update, agent and twin, columns of `kinds.behaviour`.
    """
    every, done = updates_of(parameters), 0
    total = len(set(parameters.values("seed").tolist())) * (len(updates) + twins)
    for update, seed, snapshot in subjects(parameters, device, updates, adapter):
        progress.step(done, total, "agents")
        yield {"seed": seed, "update": update, "agent": standing(update, every), "twin": -1}, snapshot
        done += 1
        if update == every[-1]:
            for twin in range(twins if snapshot.distinct else min(twins, 1)):
                progress.step(done, total, "agents")
                drawn = snapshot.twin(streams.for_seed(seed).entropy(f"twin {twin}"))
                yield {"seed": seed, "update": UNTRAINED, "agent": "untrained", "twin": twin}, drawn
                done += 1


def standing(update: int, every: list[int]) -> str:
    """What a snapshot is called: only at update 0 has it learned nothing."""
    if update == UNTRAINED:
        return "untrained"
    return "early" if update == every[0] and len(every) > 1 else "trained"


def subject(stack: nn.Module, trained: Trained, adapter: str | None = None) -> Subject:
    """The agent of a stack of one."""
    if isinstance(stack, Agents):
        return Foreign(stack)
    if adapter is not None:
        return names.place("papers", adapter.removeprefix("papers."))(stack, trained)
    return Own(stack, trained.network, resolve(OUTPUTS, type(stack)))
