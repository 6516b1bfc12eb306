"""Encoder → LSTM → decoder → read-outs, for a stack of seeds at once (`networks.stacked`).

Outside, arrays are [S, B, T, features] (seeds, episodes, steps).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from agentomy.networks.stacked import Linear, Stack, draw_uniform


class LSTM(nn.Module):
    """S long short-term memories side by side; gates in PyTorch's order: input, forget, cell, output."""

    def __init__(self, seeds: int, width: int):
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(seeds, 4 * width, width))
        self.weight_hh = nn.Parameter(torch.zeros(seeds, 4 * width, width))
        self.bias = nn.Parameter(torch.zeros(seeds, 4 * width))

    def forward(self, inputs: Tensor) -> Tensor:
        """Hidden states of whole episodes from a zero state: [S, T, B, N] → [S, T, B, N].

        Seed by seed, since PyTorch's kernel for whole sequences takes one network: it is as fast as the matrix
        products in it, and a stacked loop over steps with a hand-written gradient was slower.
        """
        zero = inputs.new_zeros(1, *inputs.shape[2:])
        no_bias = torch.zeros_like(self.bias[0])  # the kernel wants two biases, of which only the sum matters
        hidden = []
        for x, w_ih, w_hh, bias in zip(inputs, self.weight_ih, self.weight_hh, self.bias, strict=True):
            weights = (w_ih, w_hh, bias, no_bias)
            options = {"num_layers": 1, "dropout": 0.0, "train": True, "bidirectional": False, "batch_first": False}
            hidden.append(torch.lstm(x, (zero, zero), weights, has_biases=True, **options)[0])
        return torch.stack(hidden)

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """The next hidden and cell state of all seeds at once, all [S, B, N]."""
        gates = torch.baddbmm(self.bias.unsqueeze(1), inputs, self.weight_ih.transpose(1, 2))
        gates = torch.baddbmm(gates, hidden, self.weight_hh.transpose(1, 2))
        i, f, g, o = gates.chunk(4, dim=2)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * tanh(g)
        return torch.sigmoid(o) * tanh(cell), cell


def tanh(x: Tensor) -> Tensor:
    """tanh x = 2σ(2x) - 1: on a CPU PyTorch's sigmoid is several times faster than its tanh."""
    return 2 * torch.sigmoid(2 * x) - 1


class LSTMNetwork(Stack):
    """The paper's body (encoder → LSTM → decoder, all of one width) with one linear read-out per entry of `outputs`.

    `seeds` is the size of the stack.
    """

    def __init__(
        self,
        seeds: int,
        *,
        inputs: int,
        width: int,
        outputs: Mapping[str, int],
        forget_bias: float = 0.0,
        zero: Sequence[str] = (),  # read-outs that start at zero, so that an untrained policy is uniform
    ):
        super().__init__()
        self.width, self.forget_bias, self.zero = width, forget_bias, tuple(zero)
        self.encoder = Linear(seeds, inputs, width)
        self.memory = LSTM(seeds, width)
        self.decoder = Linear(seeds, width, width)
        self.readouts = nn.ModuleDict({name: Linear(seeds, width, size) for name, size in outputs.items()})

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "LSTMNetwork":
        """Draw each seed's weights from its own generator: uniform within ±1/√(inputs of the layer), as in PyTorch."""
        fans = {name: self.width for name, _ in self.named_parameters()}
        fans |= dict.fromkeys(("encoder.weight", "encoder.bias"), self.encoder.weight.shape[2])
        for name, parameter in self.named_parameters():
            draw_uniform(parameter, fans[name], generators)
        # With +1 the cell starts as a near-integrator, which is what counting needs (Jozefowicz et al. 2015).
        self.memory.bias[:, self.width : 2 * self.width] += self.forget_bias
        for name in self.zero:
            self.readouts[name].weight.zero_()
            self.readouts[name].bias.zero_()
        return self

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Outputs of whole episodes: inputs [S, B, T, inputs] → each read-out [S, B, T, outputs]."""
        seeds, episodes, steps = inputs.shape[:3]
        rows = inputs.transpose(1, 2).reshape(seeds, steps * episodes, -1)  # steps first, as the LSTM goes
        hidden = self.memory(relu(self.encoder(rows)).view(seeds, steps, episodes, self.width))
        outputs = self.read_out(hidden)
        return {name: values.transpose(1, 2) for name, values in outputs.items()}

    @torch.no_grad()
    def states(self, inputs: Tensor) -> Tensor:
        """Memory states (h, c) after each step of whole episodes: inputs [S, B, T, inputs] → [S, B, T, 2N]."""
        states, state = [], self.start(inputs.shape[1])
        for x in inputs.unbind(dim=2):
            state = self.advance(state, x)
            states.append(state)
        return torch.stack(states, dim=2)

    def start(self, episodes: int) -> Tensor:
        """The empty memory [S, B, 2N]."""
        weight = self.memory.weight_hh
        return weight.new_zeros(len(weight), episodes, 2 * self.width)

    def advance(self, state: Tensor, inputs: Tensor) -> Tensor:
        """The next memory state: state [S, B, 2N] and inputs [S, B, inputs] → [S, B, 2N]."""
        hidden, cell = state.chunk(2, dim=2)
        return torch.cat(self.memory.step(relu(self.encoder(inputs)), hidden, cell), dim=2)

    @torch.no_grad()
    def step(self, state: Tensor, inputs: Tensor, *names: str) -> tuple[dict[str, Tensor], Tensor]:
        """One step of acting: state [S, B, 2N], inputs [S, B, inputs] → outputs (those named, or all), next state."""
        state = self.advance(state, inputs)
        return self.read_out(state[:, :, : self.width], *names), state

    def read_out(self, hidden: Tensor, *names: str) -> dict[str, Tensor]:
        """Outputs at given hidden states: h [S, ..., N] → each read-out named (or all) [S, ..., outputs]."""
        between = hidden.shape[1:-1]
        decoded = relu(self.decoder(hidden.reshape(len(hidden), -1, self.width)))
        return {name: self.readouts[name](decoded).unflatten(1, between) for name in names or self.readouts}
