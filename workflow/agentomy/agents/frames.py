"""A replay buffer of single frames for one seed; it puts observations of stacked frames together by index.

If stacks were kept, it would hold every frame once for each place in an observation and in the next one.
"""

import numpy as np

from agentomy.agents.state import Saved


class Frames(Saved):
    """The last `capacity` frames uint8 [C, H, W], with the action taken at each; they are numbered from 0 on.

    Memory that is never written to is never touched, so a ring that stays half empty costs half its memory.
    """

    saved = ("seen", "dropped", "done")

    def __init__(self, capacity: int, shape: tuple[int, ...], actions: int, stack: int):
        self.capacity, self.stack = capacity, stack
        self.fields = {
            "frame": np.empty((capacity, *shape), dtype=np.uint8),
            "start": np.empty(capacity, dtype=np.int64),  # number of the first frame of its episode
            "action": np.empty((capacity, actions)),
            "reward": np.empty(capacity),
            "nonterminal": np.empty(capacity),  # 0 where the task ended after the action
            # A queue beside the frames: the numbers of those at which an action was taken, to draw transitions from.
            "acted": np.empty(capacity, dtype=np.int64),
        }
        self.seen, self.dropped, self.done = 0, 0, 0  # frames; transitions whose frames are gone; transitions

    def __len__(self) -> int:
        """How many transitions can be drawn."""
        return self.done - self.dropped

    def begin(self, frame: np.ndarray) -> None:
        """Store the first frame of an episode."""
        self.push(frame, self.seen)

    def add(self, action: np.ndarray, reward: float, terminated: bool, frame: np.ndarray) -> None:
        """Store what was done at the newest frame, and the next frame."""
        newest = (self.seen - 1) % self.capacity
        for name, value in (("action", action), ("reward", reward), ("nonterminal", not terminated)):
            self.fields[name][newest] = value
        self.fields["acted"][self.done % self.capacity] = self.seen - 1
        self.done += 1
        self.push(frame, self.fields["start"][newest])

    def push(self, frame: np.ndarray, start: int) -> None:
        oldest = self.seen + 1 - self.capacity  # number of the oldest frame that will be left
        while len(self) and self.window(self.fields["acted"][[self.dropped % self.capacity]]).min() < oldest:
            self.dropped += 1
        self.fields["frame"][self.seen % self.capacity] = frame
        self.fields["start"][self.seen % self.capacity] = start
        self.seen += 1

    def window(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of the stacked frames up to each frame and of the one after it: [B] → [B, stack + 1].

        An episode's first frame stands for those before it.
        """
        starts = self.fields["start"][numbers % self.capacity]
        return np.maximum(numbers[:, None] + np.arange(1 - self.stack, 2), starts[:, None])

    def observation(self) -> np.ndarray:
        """The newest frames, oldest first, [stack × C, H, W]."""
        numbers = self.window(np.array([self.seen - 1]))[0, :-1]
        return np.concatenate(self.fields["frame"][numbers % self.capacity])

    def sample(self, rng: np.random.Generator, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Transitions drawn with replacement: windows, actions [batch, a], rewards and nonterminal [batch].

        A window [(stack + 1) × C, H, W] is an observation without its last frame, and the next one without its first.
        """
        drawn = self.dropped + rng.integers(len(self), size=batch)
        numbers = self.fields["acted"][drawn % self.capacity]
        frames = self.fields["frame"][self.window(numbers) % self.capacity]  # [batch, stack + 1, C, H, W]
        windows = frames.reshape(batch, -1, *frames.shape[3:])
        return windows, *(self.fields[name][numbers % self.capacity] for name in ("action", "reward", "nonterminal"))

    def filled(self) -> dict[str, np.ndarray]:
        return {name: values[: min(self.seen, self.capacity)] for name, values in self.fields.items()}
