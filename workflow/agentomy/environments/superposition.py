"""Regression on sparse features: what the toy models of superposition learn (Elhage et al. 2022; L3D, section 3)."""

from typing import Literal

import numpy as np

from agentomy import kinds
from agentomy.values import Count, Rate


def features(
    *,
    inputs: Count,  # number of features
    task: Literal["same", "mixed", "squared"],  # x → x; x → xA with A uniform in (0, 3); x → x²
    train: Count,  # points to learn from
    decomposed: Count,  # points for the gradients
    block: Count = 1,  # features that are switched on and off together
    active: Rate = 0.05,  # probability that a block is on
    low: float = 0.0,  # a feature that is on is uniform in (low, high)
    high: float = 1.0,  # … and this
    streams,
) -> kinds.subnetworks.POINTS:
    """Points whose blocks of features are on or off by themselves; a point of zeros is drawn again.

    `unit` rows are the single features at 1: in `mixed` tasks their targets are the rows of A.
    """
    if inputs % block:
        raise ValueError(f"superposition: inputs: found {inputs}; allowed: multiples of the block, {block}")
    matrix = streams.numpy("coefficients").uniform(0, 3, (inputs, inputs))
    answer = {"same": lambda x: x, "mixed": lambda x: x @ matrix, "squared": np.square}[task]
    tables = []
    for split, count in (("train", train), ("decomposed", decomposed), ("unit", inputs)):
        rng = streams.numpy(split)
        x = np.eye(inputs) if split == "unit" else sparse(rng, count, inputs, block, active, low, high)
        tables.append((np.full(count, split), np.arange(count), x, answer(x)))
    split, sample, x, y = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    return kinds.subnetworks.POINTS.table(sample=sample, split=split, inputs=x, targets=y)


def sparse(
    rng: np.random.Generator, count: int, inputs: int, block: int, active: float, low: float, high: float
) -> np.ndarray:
    """Points [count, inputs] of which none is all zero; values inside a block are independent."""
    points = np.zeros((count, inputs))
    empty = np.arange(count)
    while len(empty):
        on = np.repeat(rng.random((len(empty), inputs // block)) < active, block, axis=1)
        points[empty] = on * rng.uniform(low, high, on.shape)
        empty = empty[~on.any(axis=1)]
    return points
