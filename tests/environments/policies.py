"""Exact values of policies, for tests: the slow and plain way."""

from collections.abc import Callable

import numpy as np

from agentomy.environments import bandits


def policy_value(
    task: bandits.Bernoulli, steps: int, policy: Callable[[np.ndarray], np.ndarray], discount: float = 1.0
) -> float:
    """Expected return of an episode when `policy` gives the probability of arm 1 [...] from statistics [..., 4].

    Forwards, by the probability of being in each state (s0, f0, s1, f1) after each pull.
    """
    reached, value = {(0, 0, 0, 0): 1.0}, 0.0
    for t in range(steps):
        states, chances = np.array(list(reached), float), np.array(list(reached.values()))
        pulled, wins = policy(states), task.posterior_mean(states)
        value += discount**t * chances @ ((1 - pulled) * wins[:, 0] + pulled * wins[:, 1])
        following: dict[tuple, float] = {}
        for arm, pull in enumerate((1 - pulled, pulled)):
            for entry, win in ((2 * arm, wins[:, arm]), (2 * arm + 1, 1 - wins[:, arm])):
                for state, chance in zip(states + np.eye(4)[entry], chances * pull * win, strict=True):
                    following[tuple(state)] = following.get(tuple(state), 0.0) + chance
        reached = following
    return float(value)
