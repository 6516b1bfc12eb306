"""Attention is what the heads give, and planted attention is found (TWM)."""

import numpy as np
import pytest
import torch

from agentomy import kinds, networks
from agentomy.networks.transformer_xl import TransformerXL
from agentomy.papers.twm.extract import world_model
from tests import in_memory
from tests.papers.twm.small_worlds import SEEDS, UPDATES, WINDOW, last_world, noise, stream


def test_attention_of_a_head_adds_up_to_one_and_covers_the_window(given):
    rows = in_memory.of_pieces(kinds.twm.ATTENTION, world_model.attention(**given, steps=150)).frame()
    sums = rows.groupby(["seed", "update", "view", "layer", "head"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    assert len(sums) == len(SEEDS) * 2 * 2 * 2 * 4
    assert set(rows["update"]) == {UPDATES[0], UPDATES[-1]}
    by_age = rows.groupby("modality")["age"].agg(["min", "max"])
    assert by_age.to_dict("index") == {
        "a": {"min": 0, "max": WINDOW},
        "r": {"min": 1, "max": WINDOW},
        "z": {"min": 0, "max": WINDOW},
    }
    assert (rows.loc[rows["view"] == "mean", "readers"] > 1).all()


@pytest.mark.parametrize("reward_tokens", [True, False])
def test_planted_attention_is_found_at_its_age_and_modality(parameters, episodes, monkeypatch, reward_tokens):
    """The tokens themselves say what they are; who attends to one of them alone is planted in the softmax."""
    description = {**parameters.description.network, "reward_tokens": reward_tokens}
    world = networks.build(description, 1).draw(noise())
    lived = stream(world, episodes, 100)
    tokens = 2 + reward_tokens
    wanted = [(0, "a"), (3, "z"), (8, "a"), *([(1, "r"), (8, "r")] if reward_tokens else [])]
    for age, modality in wanted:
        back = tokens * age + {"a": 0, "z": 1, "r": -1}[modality]  # tokens before the reader

        class Planted(torch.nn.Module):
            def __init__(self, apart, back=back):
                super().__init__()
                self.apart, self.back = apart, back

            def forward(self, scores):
                seen = torch.zeros_like(scores)
                rows = torch.arange(scores.shape[-2])
                columns = scores.shape[-1] - 1 - self.apart * rows.flip(0) - self.back
                keep = columns >= 0
                seen[..., rows[keep], columns[keep]] = 1
                return seen

        *layers, last = world.dynamics.transformer.layers
        for layer in layers:
            layer.attention.softmax = Planted(1)
        last.attention.softmax = Planted(tokens)  # in the last layer actions alone read
        weights, modalities, ages = world_model.attended(world, lived, noise())
        mean = weights.mean(dim=(0, 1, 2)).numpy()
        assert [(int(ages[k]), str(modalities[k])) for k in mean.nonzero()[0]] == [(age, modality)]


def test_readers_are_actions_before_which_a_whole_window_is_of_one_episode(parameters, episodes):
    world = last_world(parameters)
    lived = stream(world, episodes, 150)
    weights, _, _ = world_model.attended(world, lived, noise())
    plain = sum(not lived.ended[t - WINDOW : t].any() for t in range(WINDOW, 150))
    assert len(weights) == plain
    np.testing.assert_allclose(weights.sum(dim=-1), 1, rtol=1e-5)  # nothing of what they see was left out
    with pytest.raises(ValueError, match="steps: found 5; allowed: more than the 8"):
        world_model.attended(world, stream(world, episodes, 5), noise())


def test_where_episodes_are_shorter_than_the_window_readers_are_at_their_ends():
    ended = [step % 4 == 3 for step in range(20)]
    assert world_model.with_a_past(ended, 8) == [11, 15, 19]
    assert world_model.with_a_past([False] * 12, 8) == [8, 9, 10, 11]
    assert world_model.with_a_past([False, False, True] + [False] * 6, 3) == [6, 7, 8]


def test_reading_attention_leaves_the_transformer_without_hooks(parameters, episodes):
    world = last_world(parameters)
    world_model.attended(world, stream(world, episodes), noise())
    assert not any(module._forward_hooks for module in world.modules())
    assert isinstance(world.dynamics.transformer, TransformerXL)
