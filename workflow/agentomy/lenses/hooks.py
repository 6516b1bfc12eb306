"""Reading and changing what a layer of a network gives, by the layer's name."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn


@contextmanager
def recording(net: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While this lasts, the mapping holds what each of these layers gave at the last pass."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable:
        return lambda module, inputs, output: seen.__setitem__(name, output)

    with ExitStack() as stack:
        for name in layers:
            stack.callback(net.get_submodule(name).register_forward_hook(keep(name)).remove)
        yield seen


@contextmanager
def editing(net: nn.Module, layer: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While this lasts, what follows the layer is given `change(output)` instead of its output."""
    with changing(net.get_submodule(layer), change):
        yield


@contextmanager
def changing(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While this lasts, a module gives `change(output)` instead of its output."""
    handle = module.register_forward_hook(lambda module, inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def feeding(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While this lasts, a module is given `change(input)` instead of its input."""
    handle = module.register_forward_pre_hook(lambda module, inputs: (change(inputs[0]), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()
