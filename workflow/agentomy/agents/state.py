"""The state of an agent, saved and restored in one way for all agents.

A class names in `saved` the attributes that learning changes, and `Saved` does the rest. Restart files (`restart.py`)
hold the resulting state.
"""

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Saved:
    """An object whose state is that of the attributes that `saved` names.

    An attribute is a part with a state of its own (network, optimiser, random generator, anything with `state` and
    `restore`), a list or dict of such parts, or a value: tensor, array, number or text, or a list or dict of these.
    """

    saved: ClassVar[tuple[str, ...]] = ()

    def filled(self) -> Mapping[str, Tensor | np.ndarray]:
        """Views of the used part of large buffers, by name: all of a buffer that is saved."""
        return {}

    def state(self) -> dict[str, Any]:
        """A copy of everything that learning changes."""
        attributes = {name: getattr(self, name) for name in self.saved}
        return {name: state_of(part) for name, part in (attributes | self.filled()).items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()`; raises `ValueError` if it is the state of another sort of object."""
        same(state, [*self.saved, *self.filled()])
        for name in self.saved:
            setattr(self, name, restored(getattr(self, name), state[name]))
        for name, buffer in self.filled().items():  # how much of them is used is known only now
            restored(buffer, state[name])


def state_of(thing: Any) -> Any:
    """A copy of the state of a part, or of a value."""
    if isinstance(thing, np.random.Generator):
        return thing.bit_generator.state
    if isinstance(thing, torch.Generator):
        return thing.get_state()
    if isinstance(thing, (nn.Module, Optimizer)):
        return copy.deepcopy(thing.state_dict())
    if hasattr(thing, "restore"):
        return thing.state()
    if isinstance(thing, Mapping):
        return {name: state_of(part) for name, part in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [state_of(part) for part in thing]
    if isinstance(thing, Tensor):
        return thing.detach().clone()
    return copy.deepcopy(thing)


def restored(thing: Any, state: Any) -> Any:
    """A part or value as it was when its state was saved.

    Parts stay the same objects, for others may hold them (an optimiser its network's weights). So do tensors and arrays
    whose shape is still the same.
    """
    if isinstance(thing, np.random.Generator):
        thing.bit_generator.state = state
    elif isinstance(thing, torch.Generator):
        thing.set_state(state)
    elif isinstance(thing, nn.Module):
        thing.load_state_dict(state)
    elif isinstance(thing, Optimizer):
        restore_optimiser(thing, state)
    elif hasattr(thing, "restore"):
        thing.restore(state)
    elif has_parts(thing):
        names = list(thing) if isinstance(thing, Mapping) else range(len(thing))
        same(state, names)
        for name in names:
            restored(thing[name], state[name])
    elif isinstance(thing, (Tensor, np.ndarray)) and thing.shape == state.shape:
        thing[...] = state
    else:
        return state.to(thing.device) if isinstance(thing, Tensor) else copy.deepcopy(state)
    return thing


def has_parts(thing: Any) -> bool:
    """Whether anything inside has a state of its own."""
    if isinstance(thing, (list, tuple, Mapping)):
        return any(has_parts(part) for part in (thing.values() if isinstance(thing, Mapping) else thing))
    kinds = (np.random.Generator, torch.Generator, nn.Module, Optimizer)
    return isinstance(thing, kinds) or hasattr(thing, "restore")


def restore_optimiser(optimiser: Optimizer, state: Mapping[str, Any]) -> None:
    """A fused step goes through weights and moments in the order of memory, which a restart file does not keep."""
    optimiser.load_state_dict(copy.deepcopy(state))
    for weight, moments in optimiser.state.items():
        for name, moment in moments.items():
            if moment.shape == weight.shape:
                moments[name] = torch.empty_like(weight).copy_(moment)


def same(state: Any, names: Any) -> None:
    present = list(state) if isinstance(state, Mapping) else range(len(state))
    if sorted(present) != sorted(names):
        raise ValueError(f"state: found {list(present)}; allowed: {list(names)}")
