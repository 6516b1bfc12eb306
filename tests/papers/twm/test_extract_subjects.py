"""World models that are decomposed, and the layout of their tensors (TWM)."""

import json

import numpy as np
import pytest

from agentomy import kinds, tables
from agentomy.papers.twm.extract import layout, worlds
from agentomy.papers.twm.extract.subjects import of_worlds
from agentomy.tables import Table
from tests import in_memory
from tests.papers.twm.small_worlds import SEEDS, UPDATES, WINDOW, last_world
from tests.small_runs import streams


def windows_of(given, trained: bool = True) -> Table:
    return in_memory.of_pieces(kinds.subnetworks.SUBJECTS, of_worlds(**given, count=12, steps=60, trained=trained))


@pytest.mark.parametrize("trained", [True, False])
def test_windows_are_steps_that_each_world_model_lived_one_after_another(given, parameters, episodes, trained):
    rows, update = windows_of(given, trained), UPDATES[-1] if trained else 0
    own_worlds = {seed: world for _, seed, world in worlds.worlds(parameters, "cpu", {update})}
    assert rows.values("seed").tolist() == list(SEEDS)
    windows = rows.array("inputs", 12, WINDOW + 1, 64 + 3)
    for seed, of_seed in zip(SEEDS, windows, strict=True):
        lived, _ = worlds.fresh(own_worlds[seed], episodes.description, 60, streams(), (seed, update), "cpu")
        told = np.stack([lived.actions[1:], lived.rewards[:-1], lived.ended[:-1]], axis=-1)
        places = [
            np.flatnonzero((sliding == window[:, 64:]).all(axis=(1, 2)))
            for window in of_seed
            for sliding in [np.stack([told[first : first + WINDOW + 1] for first in range(60 - WINDOW - 1)])]
        ]
        assert sum(len(place) > 0 for place in places) >= 11  # all but the window from the first step on
        np.testing.assert_array_equal(of_seed[..., :64].reshape(12, -1, 8, 8).sum(axis=-1), 1)
    assert not np.array_equal(windows[0], windows[1])


def test_a_world_model_that_has_not_learned_is_the_first_snapshot(given, parameters):
    first = next(worlds.worlds(parameters, "cpu", {0}))[2].arrays()
    before, after = (tables.tensors(windows_of(given, trained).arrow()) for trained in (False, True))
    np.testing.assert_array_equal(
        before["dynamics.transformer.content_bias"][:1], first["dynamics.transformer.content_bias"]
    )
    assert not np.array_equal(before["dynamics.transformer.content_bias"], after["dynamics.transformer.content_bias"])


def test_more_windows_than_steps_are_refused(given):
    with pytest.raises(ValueError, match="steps: found 60; allowed: count \\+ 9 or more"):
        next(of_worlds(**given, count=55, steps=60))


def test_the_layout_has_every_tensor_and_all_parameters(given, parameters):
    rows = in_memory.of_pieces(kinds.twm.LAYOUT, layout.tensors_of(parameters, run="r")).where(seed=1)
    world = last_world(parameters)
    assert rows.values("tensor").tolist() == list(world.state_dict())
    assert rows.values("size").sum() == sum(weights.numel() for weights in world.parameters())
    shapes = [tuple(json.loads(shape)) for shape in rows.values("shape")]
    assert shapes == [tuple(weights.shape[1:]) for weights in world.state_dict().values()]
