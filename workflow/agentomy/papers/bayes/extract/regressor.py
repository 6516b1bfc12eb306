"""Regressions from one set of vectors to another, several at a time: the maps of section 6.3."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from agentomy.networks.stacked import Linear

HIDDEN = (64, 128, 64)
LEARNING_RATE = 3e-3  # with the decay it reaches in half the steps what the usual 1e-3 does
BATCH = 200


class Perceptron(nn.Module):
    """G multilayer perceptrons side by side, [G, rows, inputs] → [G, rows, outputs]; each drawn by its generator."""

    def __init__(self, sizes: tuple[int, ...], generators: list[torch.Generator]):
        super().__init__()
        self.layers = nn.ModuleList(Linear(len(generators), *pair) for pair in pairwise(sizes))
        with torch.no_grad():
            for layer in self.layers:
                bound = layer.weight.shape[2] ** -0.5
                for weight, bias, generator in zip(layer.weight, layer.bias, generators, strict=True):
                    weight.uniform_(-bound, bound, generator=generator)
                    bias.uniform_(-bound, bound, generator=generator)

    def forward(self, values: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            values = torch.relu(layer(values))
        return self.layers[-1](values)


class Standardised:
    """Brings vectors [G, rows, size] to the zero mean and unit variance that the training rows have then, and back."""

    def __init__(self, rows: np.ndarray):
        self.mean, self.scale = rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)
        self.scale[self.scale < 1e-8] = 1.0  # an entry that never changes

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return (rows - self.mean) / self.scale

    def back(self, rows: np.ndarray) -> np.ndarray:
        return rows * self.scale + self.mean


def linear(train: np.ndarray, target: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Least squares with an intercept: train [G, rows, a] → target [G, rows, b], applied to test [G, rows, a]."""
    mapped = []
    for x, y, z in zip(train, target, test, strict=True):
        design = np.column_stack([np.ones(len(x)), x])
        weights = np.linalg.lstsq(design, y, rcond=None)[0]
        mapped.append(np.column_stack([np.ones(len(z)), z]) @ weights)
    return np.stack(mapped)


def perceptron(
    train: np.ndarray, target: np.ndarray, test: np.ndarray, steps: int, generators: list[torch.Generator], device: str
) -> np.ndarray:
    """The same by perceptrons with hidden layers 64-128-64, fitted by Adam with a cosine decay."""
    inputs, outputs = Standardised(train), Standardised(target)
    model = Perceptron((train.shape[2], *HIDDEN, target.shape[2]), generators).to(device)
    models = torch.arange(len(generators), device=device).unsqueeze(1)
    x, y = (torch.tensor(rows, dtype=torch.float32, device=device) for rows in (inputs(train), outputs(target)))
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = [torch.randint(x.shape[1], (BATCH,), generator=generator) for generator in generators]
        batch = torch.stack(rows).to(device)
        # a sum over the models, so that each is fitted as if it were alone
        loss = (model(x[models, batch]) - y[models, batch]).square().mean(dim=(1, 2)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        mapped = model(torch.tensor(inputs(test), dtype=torch.float32, device=device))
    return outputs.back(mapped.cpu().numpy().astype(np.float64))
