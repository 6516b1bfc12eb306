"""What lenses begin with: observations that the trained agent meets, and each agent beside its untrained twins."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from agentomy import names
from agentomy.lenses.behaviour.play import Played, Room
from agentomy.lenses.behaviour.subject import Subject, with_twins
from agentomy.lenses.paths.extract import thinned
from agentomy.lenses.places import channels_first
from agentomy.lenses.snapshots import updates_of
from agentomy.tables import Table

DEFAULT = "steps left"  # what is looked for where nobody says anything else
CHANGES = "changes"  # what is looked for in a picture then


@dataclass(frozen=True)
class Met:
    """Observations [N, *shape] of whole games, with the game [N], the step in it and the steps that are left.

    before: the observation before each of them; of the first of a game itself. state: what an agent remembers before
    each [N, …], after all that came before in the game; None if it never does.
    """

    observations: np.ndarray
    before: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    left: np.ndarray
    state: Tensor | None = None

    def labels(self, use: str | None) -> dict[str, np.ndarray]:
        """Labels [N] by name, of a user's `labels(observations, episode, step)`; or how many steps are left."""
        if use is None:
            return {DEFAULT: self.left.astype(float)}
        labels_given = names.function(use)(self.observations, self.episode, self.step)
        labels = {name: np.asarray(values) for name, values in labels_given.items()}
        for name, values in labels.items():
            if values.shape != self.step.shape:
                raise ValueError(f"labels '{name}': found {[*values.shape]}; allowed: one for each observation, [N]")
        return labels

    def marks(self, use: str | None) -> dict[str, np.ndarray]:
        """Whether each pixel has a label [N, P, Q], by name, of a user's `labels`; or whether it has just changed."""
        if use is None:
            return {CHANGES: channels_first(self.observations != self.before).any(axis=1)}
        marks_given = names.function(use)(self.observations, self.episode, self.step)
        marks = {name: np.asarray(mask) for name, mask in marks_given.items()}
        allowed = channels_first(self.observations)[:, 0].shape
        for name, mask in marks.items():
            if mask.shape != allowed or mask.dtype.kind != "b":
                what = f"found {mask.dtype} {[*mask.shape]}; allowed: true or false for each pixel, {[*allowed]}"
                raise ValueError(f"labels '{name}': {what}")
        return marks


def met(subject: Subject, room: Room, count: int) -> Met:
    """`count` observations at most, equally far apart, of what an agent meets when it does what it thinks best."""
    return chosen_of(subject, room.play(subject, keep=True), count)


def chosen_of(subject: Subject, played: Played, count: int) -> Met:
    """The same of games that somebody played, with what this agent remembers of them."""
    games = played.seen
    places = thinned([(e, t) for e, steps in enumerate(games) for t in range(len(steps))], count)
    episode, step = (np.array(numbers) for numbers in zip(*places, strict=True))
    left = np.array([len(games[e]) - 1 - t for e, t in places])
    observations, before = (np.stack([games[e][max(t - back, 0)] for e, t in places]) for back in (0, 1))
    return Met(observations, before, episode, step, left, remembered(subject, played, episode, step))


def with_memory_of(subject: Subject, played: Played, shown: Met) -> Met:
    """The same observations, with what this agent remembers before each of them."""
    if shown.state is None:
        return shown
    return replace(shown, state=remembered(subject, played, shown.episode, shown.step))


@torch.no_grad()
def remembered(subject: Subject, played: Played, episode: np.ndarray, step: np.ndarray) -> Tensor | None:
    """What an agent remembers before some steps of games [N, …] if it sees all that was met in them."""
    games = played.seen
    state, fresh = subject.start(len(games)), subject.start(len(games))
    if state is None:
        return None
    states = state[:1].expand(len(episode), *state.shape[1:]).clone()
    for t in range(step.max() + 1):
        for e, begun in enumerate(played.anew):
            if t < len(games[e]) and begun[t]:
                state[e] = fresh[e]
        here = torch.from_numpy(np.flatnonzero(step == t)).to(state.device)
        states[here] = state[torch.from_numpy(episode[step == t]).to(state.device)]
        state = subject.read(np.stack([steps[min(t, len(steps) - 1)] for steps in games]), state)[1]
    return states


def beside_twins(
    parameters: Table, room: Room, *, count: int, twins: int, streams, device: str, progress, adapter: str | None = None
) -> Iterator[tuple[dict, Met, Subject]]:
    """(who, what it is shown, agent): of each seed the last snapshot, then its untrained twins on the same.

    Games are the last snapshot's; each twin remembers of them what it makes of them itself, if that depends on it.
    """
    last = updates_of(parameters)[-1:]
    for identity, subject in with_twins(parameters, last, twins, streams, device, progress, adapter):
        if identity["twin"] < 0:
            played = room.play(subject, keep=True)
            shown = chosen_of(subject, played, count)
        elif subject.memory_of_its_own:
            shown = with_memory_of(subject, played, shown)
        yield identity, shown, subject
