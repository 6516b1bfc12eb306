"""A history of stacked frames keeps each frame once, and gives back the stacks that the environment gave."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from agentomy.agents.history import History

DEPTH = 4
ends = st.lists(st.booleans(), max_size=40)


def lived(ended: list[bool], room: int = 0) -> tuple[History, np.ndarray]:
    """A history whose frames are all different, and the stacks that the environment gave [steps + 1, 4, 2, 1]."""
    numbers = iter(range(1000))

    def frame() -> np.ndarray:
        return np.array([[divmod(next(numbers), 250)]], dtype=np.uint8).reshape(1, 2, 1)

    given = [np.repeat(frame(), DEPTH, axis=0)]
    history = History(len(ended) + room, given[0], "cpu", stacked=True)
    for over in ended:
        after = np.repeat(frame(), DEPTH, axis=0) if over else np.concatenate([given[-1][1:], frame()])
        history.add(0, 0.0, False, over, after)
        given.append(after)
    return history, np.stack(given)


@given(ends)
def test_stacks_are_those_that_the_environment_gave(ended):
    history, stacks = lived(ended)
    assert np.array_equal(history.observed(torch.arange(len(stacks))), stacks)
    assert np.array_equal(history.latest, stacks[-1])


@given(ends.filter(lambda each: len(each) >= 3), st.data())
def test_windows_are_of_the_same_stacks(ended, data):
    history, stacks = lived(ended)
    steps = data.draw(st.integers(1, len(ended)))
    starts = torch.arange(history.starts(steps))
    seen = history.windows(starts, steps).observations.numpy()
    assert np.array_equal(seen, np.stack([stacks[start : start + steps + 1] for start in starts]))


@given(before=ends, after=ends)
def test_a_restored_history_gives_the_same_stacks_and_goes_on(before, after):
    broken, _ = lived(before)
    unbroken, stacks = lived(before + after)
    resumed, _ = lived([True, False], room=len(before + after))  # of something else
    resumed.restore(broken.state())
    for over, stack in zip(after, stacks[len(before) + 1 :], strict=True):
        resumed.add(0, 0.0, False, over, stack)
    numbers = torch.arange(len(stacks))
    assert torch.equal(resumed.observed(numbers), unbroken.observed(numbers))


def test_each_frame_is_kept_once():
    frames = History(1000, np.zeros((4, 64, 64), np.uint8), "cpu", stacked=True)
    assert (frames.kept.dtype, frames.kept.nbytes) == (torch.uint8, 1001 * 64 * 64)


def test_grids_are_kept_whole():
    grids = History(10, np.zeros((10, 10, 4), bool), "cpu")
    grids.add(0, 0.0, False, False, np.ones((10, 10, 4), bool))
    assert grids.latest.all()
    assert not grids.observed(torch.tensor([0])).any()
