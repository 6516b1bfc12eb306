"""How often a sampling rule draws each interaction of a growing replay buffer, without any network.

A start index that was drawn v times before is drawn with probability softmax(-v/τ), without replacement (TWM, balanced
sampling); τ → ∞ is uniform sampling.
"""

import numpy as np

from agentomy import kinds
from agentomy.values import Count, Natural, Positive


def simulated(
    *,
    samplers: dict[str, Positive | None],  # name → temperature τ, in visits; null samples uniformly
    capacity: Count,  # interactions at the end
    prefill: Count,  # interactions before the first update
    updates: Count,  # spread evenly over the interactions after the prefill
    starts: Count,  # distinct indices that an update draws
    invalid: Natural,  # newest interactions, from which a sequence would be too short
    seeds: Count,  # buffers that are simulated with each rule
    streams,
    progress,
) -> kinds.twm.VISITS:
    """How often every interaction was drawn by the end, for each sampling rule and seed."""
    if not 0 < starts <= prefill - invalid or not prefill <= capacity:
        setting = f"{starts} starts of {prefill} - {invalid} interactions, up to {capacity}"
        raise ValueError(f"visits: found {setting}; allowed: starts ≤ prefill - invalid, prefill ≤ capacity")
    counts = []
    for number, (name, temperature) in enumerate(samplers.items()):
        if temperature is not None and not temperature > 0:
            raise ValueError(f"visits: samplers.{name}: found {temperature}; allowed: a temperature above 0, or null")
        for seed in range(seeds):
            progress.begin(number * seeds + seed, len(samplers) * seeds, name)
            rng = streams.numpy(f"{name} {seed}")
            counts.append(visits(rng, temperature, sizes(capacity, prefill, updates) - invalid, starts, capacity))
    return kinds.twm.VISITS.table(
        sampler=np.repeat(list(samplers), seeds * capacity),
        seed=np.tile(np.repeat(np.arange(seeds), capacity), len(samplers)),
        interaction=np.tile(np.arange(capacity), len(samplers) * seeds),
        visits=np.concatenate(counts),
    )


def sizes(capacity: int, prefill: int, updates: int) -> np.ndarray:
    """The number of interactions in the buffer at each update [updates]."""
    return prefill + np.arange(updates) * (capacity - prefill) // updates


def visits(
    rng: np.random.Generator, temperature: float | None, valid: np.ndarray, starts: int, capacity: int
) -> np.ndarray:
    """Visits [capacity] after updates that draw `starts` of the first `valid` [updates] indices each."""
    counts = np.zeros(capacity, dtype=np.int64)
    near = np.inf
    for size in valid:
        if temperature is None:
            drawn = rng.choice(size, starts, replace=False, shuffle=False)
        else:
            drawn, near = top(rng, counts[:size] / -temperature, starts, near)
        counts[drawn] += 1
    return counts


def top(rng: np.random.Generator, logits: np.ndarray, count: int, near: float) -> tuple[np.ndarray, float]:
    """Gumbel top-k: `count` distinct indices with probabilities softmax(logits), without replacement.

    The indices of the smallest log E - logit, with E exponential (-log E is a Gumbel variable). `near` is a guess of
    a bound that `count` of them lie below, which spares sorting the rest. Returns the indices and the next guess.
    """
    keys = np.log(rng.standard_exponential(len(logits))) - logits
    close = np.flatnonzero(keys < near)
    if len(close) < count:
        close = np.arange(len(keys))
    chosen = close[np.argpartition(keys[close], count - 1)[:count]]
    return chosen, keys[chosen].max() + np.log(2)
