"""Langevin dynamics with a metric, as an optimiser: SGLD, pSGLD, DOP and QDOP (arXiv 1712.01076; 1602.08007).

    θ ← θ - η M⁻¹ ∇J + √(2 η T / N) ξ,   ξ ~ N(0, M⁻¹),   J(θ) = mean of -log p(y|x, θ) - log p(θ) / N

For small η the iterates are samples of the posterior, whatever the metric M; which steps are small depends on it much.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from agentomy.names import resolve
from agentomy.networks.q_network import Convolution
from agentomy.networks.stacked import Linear

Pair = tuple[
    Tensor, Tensor
]  # something for the weights of a layer [S, outputs, inputs], and for its biases [S, outputs]
State = dict[str, Tensor]


class Euclidean:
    """M = 1 (SGLD)."""

    def __init__(self, epsilon: float):
        self.epsilon = epsilon
        self.buffers: dict[tuple, Tensor] = {}

    def start(self, weight: Tensor) -> State:
        """M before anything is known, for a layer with weights [S, outputs, inputs]."""
        return {}

    def learn(self, state: State, inputs: Tensor, deltas: Tensor, gradients: Pair, batch: int, rate: float) -> None:
        """Average what a batch says of M into it, with weight `rate`.

        `inputs` [S, rows, inputs] go into the layer; `deltas` [S, rows, outputs] and `gradients` are those of the mean
        loss of `batch` samples. A convolution has more rows than samples; they count as if by themselves.
        """

    def move(self, state: State, gradients: Pair, normals: Pair, drift: float, noise: float) -> Pair:
        """`drift` M⁻¹ g + `noise` M^(-1/2) v of gradients g and standard normal v; g and v are overwritten."""
        return tuple(g.mul_(drift).add_(v, alpha=noise) for g, v in zip(gradients, normals, strict=True))

    def buffer(self, name: str, like: Tensor) -> Tensor:
        """Room for a result that is not kept: to ask for memory costs more than the sums do at these sizes."""
        key = (name, like.shape, like.dtype, like.device)
        if key not in self.buffers:
            self.buffers[key] = torch.empty_like(like, memory_format=torch.contiguous_format)
        return self.buffers[key]


class RMSprop(Euclidean):
    """M² is the running mean of the squared gradient of batches (pSGLD), entry by entry."""

    def start(self, weight: Tensor) -> State:
        return {"weights": torch.ones_like(weight), "biases": torch.ones_like(weight[:, :, 0])}

    def learn(self, state: State, inputs: Tensor, deltas: Tensor, gradients: Pair, batch: int, rate: float) -> None:
        for mean, gradient in zip((state["weights"], state["biases"]), gradients, strict=True):
            mean.mul_(1 - rate).addcmul_(gradient, gradient, value=rate).add_(rate * self.epsilon)

    def move(self, state: State, gradients: Pair, normals: Pair, drift: float, noise: float) -> Pair:
        means = (state["weights"], state["biases"])
        roots = [torch.sqrt(mean, out=self.buffer("root", mean)) for mean in means]
        return tuple(map(partial(diagonal, drift=drift, noise=noise), gradients, normals, roots))


class DOP(RMSprop):
    """M is the diagonal of the outer-product metric: the mean of squared gradients of single samples."""

    def learn(self, state: State, inputs: Tensor, deltas: Tensor, gradients: Pair, batch: int, rate: float) -> None:
        # deltas are those of a mean: those of single samples are `batch` times as large, mean over b of (batch d_b)²
        squares = deltas.square()
        seen = torch.square(inputs, out=self.buffer("inputs", inputs))
        state["weights"].baddbmm_(squares.mT, seen, beta=1 - rate, alpha=rate * batch).add_(rate * self.epsilon)
        state["biases"].mul_(1 - rate).add_(squares.sum(dim=1), alpha=rate * batch).add_(rate * self.epsilon)

    def move(self, state: State, gradients: Pair, normals: Pair, drift: float, noise: float) -> Pair:
        means = (state["weights"], state["biases"])
        return tuple(map(partial(diagonal, drift=drift, noise=noise), gradients, normals, means))


class QDOP(DOP):
    """The diagonal, and what ties each weight to the bias of its unit."""

    def start(self, weight: Tensor) -> State:
        return {**super().start(weight), "mixed": torch.zeros_like(weight), "clamped": weight.new_zeros(len(weight))}

    def learn(self, state: State, inputs: Tensor, deltas: Tensor, gradients: Pair, batch: int, rate: float) -> None:
        super().learn(state, inputs, deltas, gradients, batch, rate)
        state["mixed"].baddbmm_(deltas.square().mT, inputs, beta=1 - rate, alpha=rate * batch)

    def move(self, state: State, gradients: Pair, normals: Pair, drift: float, noise: float) -> Pair:
        weights, mixed, bias = state["weights"], state["mixed"], state["biases"].unsqueeze(2)
        # M00 ≥ ε, and det ≥ ε M00 by Cauchy and Schwarz; rounding may make it less
        determinant = torch.mul(weights, bias, out=self.buffer("determinant", weights))
        determinant.addcmul_(mixed, mixed, value=-1)
        less = determinant < self.epsilon * bias
        if less.any():
            state["clamped"] += less.sum(dim=(1, 2))
            torch.maximum(determinant, self.epsilon * bias, out=determinant)
        tie = torch.div(mixed, bias, out=self.buffer("tie", weights))
        inverse = torch.div(bias, determinant, out=determinant)
        # the inverse takes M0i nW_i from the bias, and the noise M0i xW_i: once for both
        gradient = gradients[0].addcmul_(tie, gradients[1].unsqueeze(2), value=-1).mul_(drift).mul_(inverse)
        moved = gradient.addcmul_(inverse.sqrt_(), normals[0], value=noise)
        bias_step = diagonal(gradients[1], normals[1], state["biases"], drift, noise)
        return moved, bias_step.sub_(torch.linalg.vecdot(tie, moved))


def diagonal(gradient: Tensor, normal: Tensor, metric: Tensor, drift: float, noise: float) -> Tensor:
    """`drift` g / m + `noise` v / √m, in the place of g."""
    return gradient.div_(metric).mul_(drift).add_(normal.mul_(metric.rsqrt()), alpha=noise)


# the variances of weights and of biases; no prior is an infinitely wide one
PRIORS = {
    "1/fan-in": lambda inputs: (1 / inputs, 1.0),
    "1": lambda inputs: (1.0, 1.0),
    "none": lambda inputs: (float("inf"), float("inf")),
}
METRICS = {"euclidean": Euclidean, "rmsprop": RMSprop, "dop": DOP, "qdop": QDOP}


class Langevin(torch.optim.Optimizer):
    """Samples the weights of a stack of networks made of linear layers; `loss.backward()`, then `step()`.

    The loss is the mean of -log p(y|x, θ) over a batch, summed over the stack. What each sample says of the metric
    comes from hooks on the layers; `generators` give each seed's noise.
    """

    def __init__(
        self,
        network: nn.Module,
        generators: Sequence[torch.Generator],
        *,
        metric: Literal["euclidean", "rmsprop", "dop", "qdop"],
        step: float,  # η; it means something else in each metric
        size: int,  # N, training samples
        batch: int,  # samples in a batch
        epsilon: float = 1e-7,  # added to the metric
        prior: Literal["1/fan-in", "1", "none"] = "1/fan-in",  # variance of the weights; that of biases is 1
        temperature: float = 1.0,  # T; 0: no noise, and below 1 not the posterior
        rate: float = 0.5,  # g₀, by which the first batch enters the metric
    ):
        self.layers = linear_layers(network)
        resolve(PRIORS, prior)  # an unknown one is refused here
        self.metric, self.generators = resolve(METRICS, metric)(epsilon), generators
        self.batch, self.prior = batch, prior
        options = {"lr": step, "size": size, "temperature": temperature, "rate": rate}
        super().__init__([{"params": [layer.weight, layer.bias]} for layer in self.layers], options)
        for layer in self.layers:
            self.state[layer.weight] = self.metric.start(layer.weight.data.flatten(2))
            layer.register_forward_hook(self._saw)
        self.told: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def _saw(self, layer: nn.Module, arguments: tuple, output: Tensor) -> None:
        """Once there is a gradient at what comes out of a layer, keep it beside what went in at that pass."""
        if output.requires_grad:
            inputs = arguments[0].detach()
            output.register_hook(lambda delta: self.told.setdefault(layer, []).append((inputs, delta)))

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        self.told.clear()

    def _pass(self, layer: nn.Module) -> tuple[Tensor, Tensor]:
        """What went into a layer, and the gradient at what came out, of the one pass behind its gradient."""
        passes = self.told.pop(layer, [])
        if len(passes) != 1:
            raise ValueError(f"langevin: found {len(passes)} passes with a gradient since the last step; allowed: 1")
        rows = passes[0][0].shape[1]
        samples = rows if isinstance(layer, Linear) else rows % self.batch or self.batch  # a convolution has more rows
        if samples != self.batch:
            raise ValueError(f"langevin: found {rows} rows; allowed: {self.batch}, the batch that it was made for")
        return passes[0]

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Move once; a `closure` is called first, for the gradients, and its loss returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        passes = [self._pass(layer) for layer in self.layers]  # before anything moves
        for layer, inputs_and_gradients, group in zip(self.layers, passes, self.param_groups, strict=True):
            state, rate, size = self.state[layer.weight], group["rate"], group["size"]
            weights = (layer.weight.data.flatten(2), layer.bias.data)
            gradients = (layer.weight.grad.flatten(2), layer.bias.grad)
            self.metric.learn(state, *inputs_and_gradients, gradients, self.batch, rate)
            for gradient, weight, variance in zip(gradients, weights, self.variances(layer), strict=True):
                gradient.add_(weight, alpha=1 / (size * variance))
            noise = (2 * group["lr"] * group["temperature"] / size) ** 0.5
            normals = [self.normal(weight) if noise else torch.zeros_like(weight) for weight in weights]
            for weight, moved in zip(
                weights, self.metric.move(state, gradients, normals, -group["lr"], noise), strict=True
            ):
                weight.add_(moved)
            group["rate"] = rate / (1 + rate**2) ** 0.5  # 1/g² grows by 1
        if not sum(layer.weight.sum() + layer.bias.sum() for layer in self.layers).isfinite():
            cause = (
                f"the step {self.param_groups[0]['lr']:g} is too large here, or ε = {self.metric.epsilon:g} too small"
            )
            raise FloatingPointError(f"{type(self.metric).__name__.lower()}: weights are not finite; {cause}")
        return loss

    def variances(self, layer: nn.Module) -> tuple[float, float]:
        """Of the prior of weights and of biases."""
        return resolve(PRIORS, self.prior)(layer.weight[0, 0].numel())

    def normal(self, like: Tensor) -> Tensor:
        drawn = self.metric.buffer("normal", like)
        for values, generator in zip(drawn, self.generators, strict=True):
            values.normal_(generator=generator)
        return drawn

    def clamped(self) -> Tensor:
        """How often a determinant of QDOP was less than it can be, by seed [S]."""
        return sum(state["clamped"] for state in self.state.values())


def linear_layers(network: nn.Module) -> list[nn.Module]:
    """The layers of a network, which must all be linear ones: `stacked.Linear`, or convolutions on patches."""
    layers = [module for module in network.modules() if isinstance(module, (Linear, Convolution))]
    covered = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for name, parameter in network.named_parameters():
        if id(parameter) not in covered:
            raise ValueError(f"langevin: parameter '{name}' belongs to no linear layer, which alone have a metric")
    return layers
