"""The ring keeps the last transitions of each seed, draws from those alone, and comes back bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agentomy.agents import restart
from agentomy.agents.replay import Replay

FIELDS = {"frame": ((2, 3), torch.uint8), "reward": ((), torch.float64), "choice": ((), torch.int64)}
sizes = st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(0, 20))  # seeds, capacity, transitions


def lived(seeds: int, steps: int, offset: int = 0) -> list[dict[str, np.ndarray]]:
    """Transitions of which all fields tell seed and step."""
    numbers_by_step = [np.arange(seeds) * 64 + step for step in range(offset, offset + steps)]
    return [
        {
            "frame": np.broadcast_to(numbers[:, None, None], (seeds, 2, 3)).astype(np.uint8),
            "reward": numbers / 8,
            "choice": numbers,
        }
        for numbers in numbers_by_step
    ]


def filled(seeds: int, capacity: int, steps: int) -> Replay:
    replay = Replay(seeds, capacity, FIELDS, "cpu")
    for step in lived(seeds, steps):
        replay.add(**step)
    return replay


def rngs(seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(seeds)]


@given(sizes)
def test_it_holds_the_last_transitions_of_each_seed_and_no_others(size):
    seeds, capacity, steps = size
    replay = filled(*size)
    assert len(replay) == min(capacity, steps)
    if steps:
        drawn = replay.sample(rngs(seeds), 200)
        for seed in range(seeds):
            expected = set(range(64 * seed + steps - len(replay), 64 * seed + steps))
            assert set(drawn["choice"][seed].tolist()) == expected


@given(sizes.filter(lambda size: size[2] > 0))
def test_the_fields_of_a_drawn_transition_belong_together_and_keep_type_and_shape(size):
    drawn = filled(*size).sample(rngs(size[0]), 5)
    for name, (shape, dtype) in FIELDS.items():
        assert drawn[name].shape == (size[0], 5, *shape)
        assert drawn[name].dtype == dtype
    assert torch.equal(drawn["reward"] * 8, drawn["choice"].double())
    assert torch.equal(drawn["frame"], drawn["choice"].to(torch.uint8)[..., None, None].expand(-1, -1, 2, 3))


@given(size=sizes.filter(lambda size: size[2] > 0), later=st.integers(0, 9))
def test_a_restored_ring_goes_on_bit_for_bit(size, later, tmp_path_factory):
    seeds, capacity, steps = size
    unbroken, resumed, broken = filled(*size), Replay(seeds, capacity, FIELDS, "cpu"), filled(*size)
    state = broken.state()
    for step in lived(seeds, 9, offset=40):
        broken.add(**step)  # what is done after a state was taken must not change the state
    path = tmp_path_factory.mktemp("ring") / "state"
    restart.save(path, state, "")
    resumed.restore(restart.load(path, ""))
    for step in lived(seeds, later, offset=steps):
        unbroken.add(**step)
        resumed.add(**step)
    one, other = (replay.sample(rngs(seeds), 20) for replay in (unbroken, resumed))
    for name in FIELDS:
        assert torch.equal(one[name], other[name])


def test_a_state_holds_only_what_is_filled():
    assert filled(2, 1000, 3).state()["frame"].shape == (2, 3, 2, 3)


def test_a_seed_draws_in_a_stack_what_it_draws_alone():
    stack, alone = filled(3, 5, 12), filled(1, 5, 12)
    drawn = stack.sample(rngs(3), 20)["choice"][0]
    assert torch.equal(drawn, alone.sample(rngs(1), 20)["choice"][0])


def test_all_transitions_are_drawn_equally_often():
    drawn = filled(1, 5, 12).sample(rngs(1), 50_000)["choice"][0] - 7
    assert torch.bincount(drawn).numpy() / 50_000 == pytest.approx(0.2, abs=0.01)
