"""What lenses begin with: observations that the trained agent meets, and each agent beside its untrained twins."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agentomy import names
from agentomy.lenses.behaviour.extract import standing
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Subject, subjects
from agentomy.lenses.paths.extract import thinned
from agentomy.lenses.places import channels_first
from agentomy.lenses.rollouts import updates_of
from agentomy.tables import Table

DEFAULT = "steps left"  # what is looked for where nobody says anything else
CHANGES = "changes"  # what is looked for in a picture then


@dataclass(frozen=True)
class Met:
    """Observations [N, *shape] of whole games, with the game [N], the step in it and the steps that are left.

    before: the observation before each of them; of the first of a game itself.
    """

    observations: np.ndarray
    before: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    left: np.ndarray

    def labels(self, use: str | None) -> dict[str, np.ndarray]:
        """Labels [N] by name, of a user's `labels(observations, episode, step)`; or how many steps are left."""
        if use is None:
            return {DEFAULT: self.left.astype(float)}
        found = names.function(use)(self.observations, self.episode, self.step)
        labels = {name: np.asarray(each) for name, each in found.items()}
        for name, each in labels.items():
            if each.shape != self.step.shape:
                raise ValueError(f"labels '{name}': found {[*each.shape]}; allowed: one for each observation, [N]")
        return labels

    def marks(self, use: str | None) -> dict[str, np.ndarray]:
        """Whether each pixel has a label [N, P, Q], by name, of a user's `labels`; or whether it has just changed."""
        if use is None:
            return {CHANGES: channels_first(self.observations != self.before).any(axis=1)}
        found = names.function(use)(self.observations, self.episode, self.step)
        marks = {name: np.asarray(each) for name, each in found.items()}
        allowed = channels_first(self.observations)[:, 0].shape
        for name, each in marks.items():
            if each.shape != allowed or each.dtype.kind != "b":
                what = f"found {each.dtype} {[*each.shape]}; allowed: true or false for each pixel, {[*allowed]}"
                raise ValueError(f"labels '{name}': {what}")
        return marks


def met(subject: Subject, room: Room, count: int) -> Met:
    """`count` observations at most, equally far apart, of what an agent meets when it does what it thinks best."""
    if subject.start(1) is not None:
        raise ValueError("found an agent that sees several frames; allowed: one that sees a single observation")
    games = room.play(subject, keep=True).seen
    places = thinned([(e, t) for e, steps in enumerate(games) for t in range(len(steps))], count)
    episode, step = (np.array(each) for each in zip(*places, strict=True))
    left = np.array([len(games[e]) - 1 - t for e, t in places])
    observations, before = (np.stack([games[e][max(t - back, 0)] for e, t in places]) for back in (0, 1))
    return Met(observations, before, episode, step, left)


def beside_twins(
    parameters: Table, room: Room, *, count: int, twins: int, streams, device: str, progress
) -> Iterator[tuple[dict, Met, Subject]]:
    """(who, what it is shown, agent): of each seed the last snapshot, then its untrained twins on the same."""
    every = updates_of(parameters)
    for update, seed, subject in subjects(parameters, device, every[-1:]):
        shown = met(subject, room, count)
        yield {"seed": seed, "update": update, "agent": standing(update, every), "twin": -1}, shown, subject
        number = twins if subject.distinct else min(twins, 1)
        for twin in range(number):
            progress.step(twin, number, "twins")
            drawn = subject.twin(streams.of(seed).entropy(f"twin {twin}"))
            yield {"seed": seed, "update": 0, "agent": "untrained", "twin": twin}, shown, drawn
