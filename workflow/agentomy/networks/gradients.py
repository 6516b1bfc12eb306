"""Per-sample gradients of the divergence between an output and a reference output, and what is rebuilt of them.

After L3D (arXiv 2504.00194), section 2.
"""

import json
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from agentomy import networks
from agentomy.names import resolve
from agentomy.networks.readings import ONE_BY_ONE, READINGS
from agentomy.tables import Table, TableError, tensors

TINY = 1e-30


def mse(output: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference: [..., outputs] → [...]; the paper's text, for toy models."""
    return (output - reference).square().mean(dim=-1)


def code(output: Tensor, reference: Tensor) -> Tensor:
    """Mean of y (y - reference), of which only the reference is held: what the authors' code takes for toy models."""
    return (output * (output - reference)).mean(dim=-1)


def kl(output: Tensor, reference: Tensor) -> Tensor:
    """KL(reference ‖ output) of distributions given by logits, nats."""
    reference, output = torch.log_softmax(reference, dim=-1), torch.log_softmax(output, dim=-1)
    return (reference.exp() * (reference - output)).sum(dim=-1)


DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "code": code, "kl": kl}


class Gradients:
    """∇ of D(f(xᵢ, W), f(x_ref, W)) with respect to W, of a stack of frozen networks at their inputs."""

    def __init__(self, subjects: Table, seeds: list[int], divergence: str, beginnings: list | None, device: str):
        """Take the networks of some seeds; `beginnings` of tensor names say what counts as W (None: every tensor)."""
        subjects = subjects.where(seed=seeds)
        present = subjects.values("seed").tolist()
        if len(present) < len(seeds):
            raise TableError(f"{subjects.kind.name}: found seeds {present}; wanted {seeds}")
        subjects = subjects.with_rows(subjects.arrow().take([present.index(seed) for seed in seeds]))
        rows = subjects.arrow()
        reading = rows["reading"][0].as_py()
        self.reading = resolve(READINGS, reading)
        self.divergence = resolve(DIVERGENCES, divergence)
        # its own weights stay as they are: readings are given others
        count = 1 if reading in ONE_BY_ONE else len(rows)
        self.stack = networks.build(json.loads(rows["network"][0].as_py()), count, device)
        all_tensors = {name: torch.from_numpy(np.array(array)).to(device) for name, array in tensors(rows).items()}
        self.weights = named(all_tensors, beginnings)
        self.fixed = {name: tensor for name, tensor in all_tensors.items() if name not in self.weights}
        shape = json.loads(rows["shape"][0].as_py())
        self.inputs = torch.from_numpy(subjects.array("inputs", -1, *shape).copy()).to(device)
        self.samples = self.inputs.shape[1]
        self.outputs = self.read(self.weights, self.inputs)  # [S, samples, outputs]

    @torch.no_grad()
    def read(self, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Outputs [S, B, outputs] at inputs [S, B, *shape], with some other weights."""
        return self.reading(self.stack, {**self.fixed, **weights}, inputs)

    def __call__(self, rows: np.ndarray, references: np.ndarray) -> dict[str, Tensor]:
        """Gradients by tensor [S, B, *shape], at inputs by their rows [S, B] and those of their references [S, B]."""
        seeds = torch.arange(len(rows)).unsqueeze(1)
        inputs, targets = self.inputs[seeds, torch.tensor(rows)], self.outputs[seeds, torch.tensor(references)]

        def of_sample(weights: Mapping[str, Tensor], x: Tensor, reference: Tensor) -> Tensor:
            """Summed over seeds: they share no weight."""
            output = self.reading(self.stack, {**self.fixed, **weights}, x.unsqueeze(1)).squeeze(1)
            return self.divergence(output, reference).sum()

        gradients = vmap(grad(of_sample), in_dims=(None, 1, 1))(self.weights, inputs, targets)
        # samples come first: with out_dims=1 a weight that the output does not depend on is an error
        return {name: gradient.transpose(0, 1) for name, gradient in gradients.items()}


def named(all_tensors: Mapping[str, Tensor], beginnings: list | None) -> dict[str, Tensor]:
    """Those whose names begin in one of these ways, or all (None)."""
    chosen = {
        name: tensor for name, tensor in all_tensors.items() if beginnings is None or name.startswith(tuple(beginnings))
    }
    for beginning in beginnings or []:
        if not any(name.startswith(beginning) for name in all_tensors):
            raise ValueError(f"tensors: found none that begins with '{beginning}'; allowed: {', '.join(all_tensors)}")
    return chosen


def others(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """For each row of a batch another one of it, at random: a reference that is the sample itself has no gradient."""
    count = len(rows)
    return rows[(np.arange(count) + rng.integers(1, max(count, 2), size=count)) % count]


def largest(coefficients: Tensor, share: float) -> Tensor:
    """Which entries of each batch [..., B, K] belong to the largest share of it, by size: one threshold for the batch.

    Of equal ones just as many as are wanted.
    """
    flat = coefficients.detach().abs().flatten(-2)
    chosen = flat.topk(round(share * flat.shape[-1]), dim=-1, sorted=False).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(-1, chosen, True).view(coefficients.shape)
