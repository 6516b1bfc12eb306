"""What a recognised agent is: its architecture and its tensors under our names, with the names that they had.

Beside it what both recognisers (`from_sb3`, `from_scripts`) take tensors apart with.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from agentomy.foreign_agents.architecture import CONVOLUTIONS, Architecture
from agentomy.foreign_agents.files import Place, refused
from agentomy.foreign_agents.spaces import Space
from agentomy.foreign_agents.tensors import Tensors
from agentomy.mistakes import ConfigError

TARGET = "target."  # before the names of a target network's tensors
NORMALISER = "normaliser."  # before those of statistics by which observations are scaled
BUFFER = "buffer."  # before those of a user's class that no gradient reaches


@dataclass(frozen=True)
class Recognised:
    """tensors: `features.`, `policy.`, `value.` (what an `Agent` loads) and `target.` before any of these.

    originals: the name in the file of each. left: names of tensors that are no weights of the agent. updates: steps of
    the environment before the file was written, where it says so.
    """

    architecture: Architecture
    tensors: Tensors
    originals: dict[str, str]
    left: list[str] = field(default_factory=list)
    updates: int | None = None


def unknown_network(file: Place, names: Iterable[str]) -> ConfigError:
    """The line about tensors that belong to nothing we know."""
    names = sorted(names)
    some = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    return refused(file, "", f"tensors {some} are of no network that is known; name your class (network: {{use: …}})")


class Tray:
    """The tensors of a file: each is taken once, under its new name; what nobody takes is known at the end."""

    def __init__(self, tensors: Tensors, file: Place):
        self.file, self.given = file, tensors
        self.free = dict(tensors)
        self.tensors: Tensors = {}
        self.originals: dict[str, str] = {}

    def take(self, old: str, new: str) -> np.ndarray:
        if old not in self.free:
            raise unknown_network(self.file, self.given)
        array = self.free.pop(old)
        if not np.isfinite(array).all():
            raise refused(self.file, old, "found numbers that are not finite; allowed: finite ones")
        self.tensors[new], self.originals[new] = array.astype(np.float32), old
        return array

    def layer(self, old: str, new: str) -> tuple[int, int, bool]:
        """A linear layer's inputs and outputs, and whether it has a bias."""
        weight = self.take(f"{old}.weight", f"{new}.weight")
        bias = f"{old}.bias" in self.free
        if weight.ndim != 2 or (bias and self.take(f"{old}.bias", f"{new}.bias").shape != weight.shape[:1]):
            raise refused(self.file, f"{old}.weight", f"found the shape {list(weight.shape)}; allowed: a layer's")
        return weight.shape[1], weight.shape[0], bias

    def chain(self, prefix: str) -> list[str]:
        """The linear layers `prefix.0`, `prefix.2`, …, with an activation between each two and nothing else."""
        matches = [re.fullmatch(re.escape(prefix) + r"\.(\d{1,4})\.weight", name) for name in self.free]
        numbers = sorted(int(match[1]) for match in matches if match)
        if numbers != [*range(0, 2 * len(numbers), 2)]:
            raise unknown_network(self.file, [f"{prefix}.{number}.weight" for number in numbers])
        return [f"{prefix}.{number}" for number in numbers]

    def body(self, olds: list[str], new: str, inputs: int) -> list[int]:
        """Hidden layers that follow on each other: their widths."""
        widths = []
        for number, old in enumerate(olds):
            inputs = self.joined(old, f"{new}.{2 * number}", inputs)[0]
            widths.append(inputs)
        return widths

    def joined(self, old: str, new: str, inputs: int) -> tuple[int, bool]:
        """A layer that takes what is before it: its outputs, and whether it has a bias."""
        width, outputs, bias = self.layer(old, new)
        if width != inputs:
            raise refused(self.file, f"{old}.weight", f"found {width} inputs; allowed: the {inputs} before it")
        return outputs, bias

    def nature(self, old: str, new: str, observation: Space, names: tuple[str, ...] | None = None) -> int:
        """A NatureCNN: what it gives. `names`: those of its convolutions and layer, where they are not SB3's."""
        *convolutions, last = names or (*(f"{old}.cnn.{number}" for number in (0, 2, 4)), f"{old}.linear.0")
        if len(observation.shape) != 3:
            problem = f"found convolutions, and observations of {observation.text()}; allowed: pictures"
            raise refused(self.file, f"{convolutions[0]}.weight", problem)
        channels, *sides = observation.shape
        for number, (name, (filters, width, stride)) in enumerate(zip(convolutions, CONVOLUTIONS, strict=True)):
            weight = self.take(f"{name}.weight", f"{new}.cnn.{2 * number}.weight")
            self.take(f"{name}.bias", f"{new}.cnn.{2 * number}.bias")
            if weight.shape != (filters, channels, width, width):
                allowed = f"NatureCNN's {[filters, channels, width, width]} for these observations"
                raise refused(self.file, f"{name}.weight", f"found {list(weight.shape)}; allowed: {allowed}")
            channels, sides = filters, [(side - width) // stride + 1 for side in sides]
        return self.joined(last, f"{new}.linear.0", channels * max(0, sides[0]) * max(0, sides[1]))[0]

    def forget(self, prefix: str) -> list[str]:
        """Pass over the tensors that begin so."""
        names = [name for name in self.free if name.startswith(prefix)]
        for name in names:
            del self.free[name]
        return names

    def same(self, one: str, other: str) -> bool:
        """Whether the tensors below two prefixes are the same, name by name and number by number."""
        mine, theirs = (
            {name.removeprefix(prefix): tensor for name, tensor in self.free.items() if name.startswith(prefix)}
            for prefix in (one, other)
        )
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)

    def targets(self, online: str, target: str) -> None:
        """Tensors of a target network: as those of its online network, with `target.` before the name."""
        of_old = {old: new for new, old in self.originals.items()}
        for name in [old for old in self.free if old.startswith(target)]:
            new = of_old.get(online + name.removeprefix(target))
            if new is None:
                raise unknown_network(self.file, [name])
            if self.free[name].shape != self.tensors[new].shape:
                raise refused(self.file, name, f"found {list(self.free[name].shape)}; allowed: the online network's")
            self.take(name, f"{TARGET}{new}")

    def done(self) -> None:
        """Refuse what is left: an agent with tensors that nobody understood is not this agent."""
        if self.free:
            raise unknown_network(self.file, self.free)
