"""What every plug-in on policy paths shares: a sliding window of snapshots, and when it is applied.

S seeds, W snapshots in the window, P parameters of a seed.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from agentomy.agents.protocol import Agent
from agentomy.agents.state import Saved
from agentomy.values import Count


class Window(Saved):
    """An agent whose policy is replaced, from time to time, by one made of its last W snapshots.

    A subclass says how (`replacement`). It knows the agent through its protocol alone and leaves everything else of
    it as it is: moments of its optimiser, critics, targets, random streams.
    """

    saved = ("agent", "update", "applied", "snapshots")

    def __init__(
        self,
        agent: Agent,
        *,
        interval: Count,  # updates before the first snapshot and between two
        window: Count,  # snapshots
        period: Count,  # updates between two applications, rounded up to whole intervals
        scope: str = "all",  # all: one path; layer: one path for each layer
        part: str = "",  # only tensors whose name begins with it
        after: str = "slide",  # slide: the new policy becomes the window's last row; clear: the window begins anew
    ):
        if min(interval, window, period) < 1:
            raise ValueError("interval, window and period must be at least 1")
        self.agent, self.updates, self.network = agent, agent.updates, agent.network
        self.interval, self.window, self.period = interval, window, period
        self.scope, self.part, self.after = scope, part, after
        self.update, self.applied = 0, -period  # the first application is due as soon as the window is full
        self.snapshots: list[np.ndarray] = []  # at most W of [S, P] float32; none is ever changed in place

    def replacement(self, path: np.ndarray, seed: int) -> np.ndarray:
        """The new policy [P], from the path [W, P] of one seed; `seed` is its position in the stack."""
        raise NotImplementedError

    def advance(self) -> Mapping[str, np.ndarray]:
        record = self.agent.advance()
        self.update += 1
        if self.update % self.interval == 0:  # only then: copying parameters takes time
            policy = self.agent.parameters()
            self.snapshots = [*self.snapshots, self._flat(policy)][-self.window :]
            if len(self.snapshots) == self.window and self.update - self.applied >= self.period:
                self._apply(policy)
        return record

    def _apply(self, policy: Mapping[str, np.ndarray]) -> None:
        seeds = range(len(self.snapshots[-1]))
        replaced = np.stack([self._replaced(policy, seed) for seed in seeds])  # [S, P]
        self.agent.load({**policy, **self._tensors(replaced, policy)})
        self.snapshots = [] if self.after == "clear" else [*self.snapshots[:-1], replaced]
        self.applied = self.update

    def _replaced(self, policy: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
        """The new policy of one seed, [P] float32; each layer by itself if the scope says so."""
        path = np.stack([snapshot[seed] for snapshot in self.snapshots])  # [W, P]
        ends = np.cumsum([sum(policy[name][seed].size for name in group) for group in self._groups(policy)])
        pieces = np.split(path, ends[:-1], axis=1)
        return np.concatenate([self.replacement(piece, seed) for piece in pieces]).astype(np.float32)

    def _groups(self, policy: Mapping[str, np.ndarray]) -> list[list[str]]:
        """The names of the tensors that the plug-in changes, grouped by SVD."""
        groups: dict[str, list[str]] = {}
        for name in policy:
            if name.startswith(self.part):
                layer = name.rsplit(".", 1)[0] if self.scope == "layer" else ""
                groups.setdefault(layer, []).append(name)
        if not groups:
            raise ValueError(f"no tensor's name begins with '{self.part}': there are {', '.join(policy)}")
        return list(groups.values())

    def _names(self, policy: Mapping[str, np.ndarray]) -> Iterator[str]:
        return (name for group in self._groups(policy) for name in group)

    def _flat(self, policy: Mapping[str, np.ndarray]) -> np.ndarray:
        """A copy of all these tensors as [S, P] float32; those of a layer lie side by side."""
        tensors = [np.asarray(policy[name], np.float32) for name in self._names(policy)]
        return np.concatenate([tensor.reshape(len(tensor), -1) for tensor in tensors], axis=1)

    def _tensors(self, flat: np.ndarray, policy: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inverse of `_flat`, copied; `policy` tells the shapes."""
        names = list(self._names(policy))
        ends = np.cumsum([policy[name][0].size for name in names])
        pieces = np.split(flat, ends[:-1], axis=1)
        return {name: piece.reshape(policy[name].shape).copy() for name, piece in zip(names, pieces, strict=True)}

    def parameters(self) -> Mapping[str, np.ndarray]:
        return self.agent.parameters()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.agent.load(parameters)
