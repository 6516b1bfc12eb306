"""The transformer is the paper's equations, written out slowly; it never sees what it may not, however it is read."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import layer_norm

from agentomy.networks import generator
from agentomy.networks.transformer_xl import TransformerXL

WIDTH, HEADS, HEAD = 8, 2, 3
BATCH, STEPS, EACH = 2, 6, 3  # tokens that make a step


def drawn(seed: int = 0, **changes) -> TransformerXL:
    sizes = {
        "width": WIDTH,
        "layers": 2,
        "heads": HEADS,
        "head": HEAD,
        "feedforward": 10,
        "window": 100,
        "dropout": 0.0,
    }
    net = TransformerXL(1, **sizes | changes)
    net.draw([generator(seed)])
    return net.double()


def stream(steps: int = STEPS, end: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Random tokens, their steps and their episodes; in the first stream an episode ends with step `end`."""
    tokens = torch.randn(BATCH, EACH * steps, WIDTH, generator=generator(1), dtype=torch.float64)
    step_of = torch.arange(steps).repeat_interleave(EACH)
    episodes = torch.zeros(BATCH, EACH * steps, dtype=torch.long)
    if end is not None:
        episodes[0, step_of > end] = 1
    return tokens, step_of, episodes


def influence(net: TransformerXL, tokens: Tensor, steps: Tensor, episodes: Tensor) -> Tensor:
    """Whether token k of a stream has any influence on the output at token i: bool [B, N, N]."""
    tokens = tokens.clone().requires_grad_()
    output, _ = net(tokens, steps, episodes)
    weights = torch.randn(WIDTH, generator=generator(2), dtype=torch.float64)  # the sum of a layer norm is constant
    rows = [
        torch.autograd.grad((output[:, i] @ weights).sum(), tokens, retain_graph=True)[0] for i in range(len(steps))
    ]
    return torch.stack(rows, dim=1).ne(0).any(dim=-1)


def slow(net: TransformerXL, tokens: Tensor, steps: Tensor, episodes: Tensor) -> Tensor:
    """The same outputs, one pair of tokens and one head at a time."""

    def position(distance: int) -> Tensor:
        angles = [distance / 10_000 ** (2 * k / WIDTH) for k in range(WIDTH // 2)]
        return torch.tensor([*map(math.sin, angles), *map(math.cos, angles)], dtype=torch.float64)

    x = tokens
    for layer in net.layers:
        w_query, w_key, w_value = layer.attention.query_key_value.weight.view(3, HEADS, HEAD, WIDTH)
        w_distance = layer.attention.distance.weight.view(HEADS, HEAD, WIDTH)
        attended = torch.zeros(*x.shape[:2], HEADS, HEAD, dtype=torch.float64)
        for b in range(len(x)):
            for i in range(len(steps)):
                for h in range(HEADS):
                    scores, values = [], []
                    for j in range(i + 1):
                        if episodes[b, i] == episodes[b, j] and steps[i] - steps[j] <= net.window:
                            query, key = w_query[h] @ x[b, i], w_key[h] @ x[b, j]
                            distance = w_distance[h] @ position(i - j)
                            score = (query + net.content_bias[0, h]) @ key + (
                                query + net.distance_bias[0, h]
                            ) @ distance
                            scores.append(score / math.sqrt(WIDTH))
                            values.append(w_value[h] @ x[b, j])
                    attended[b, i, h] = torch.stack(scores).softmax(dim=0) @ torch.stack(values)
        x = layer_norm(x + attended.flatten(2) @ layer.attention.output.weight[0].T, [WIDTH])
        inner = x @ layer.linear1.weight[0].T + layer.linear1.bias
        inner = inner / (1 + torch.exp(-inner))
        x = layer_norm(x + inner @ layer.linear2.weight[0].T + layer.linear2.bias, [WIDTH])
    return x


@pytest.mark.parametrize(("window", "end"), [(100, None), (2, None), (2, 1)])
def test_outputs_are_those_of_the_equations_written_out(window, end):
    net, reading = drawn(window=window), stream(end=end)
    torch.testing.assert_close(net(*reading)[0], slow(net, *reading), rtol=1e-5, atol=1e-6)


def test_a_token_is_influenced_by_itself_and_by_all_before_it_and_by_none_after_it():
    tokens = EACH * STEPS
    expected = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    assert torch.equal(influence(drawn(), *stream()), expected.expand(BATCH, -1, -1))


def test_one_layer_sees_the_steps_of_its_window_and_two_layers_see_twice_as_far():
    reading = stream()
    back = reading[1][:, None] - reading[1]
    order = torch.ones_like(back, dtype=torch.bool).tril()
    for layers in (1, 2):
        expected = order & (back <= 2 * layers)
        assert torch.equal(influence(drawn(layers=layers, window=2), *reading)[0], expected)


def test_nothing_before_an_episodes_end_influences_anything_after_it():
    tokens, steps, episodes = stream(end=2)
    seen = influence(drawn(), tokens, steps, episodes)
    after = steps > 2
    assert not seen[0][after][:, ~after].any()
    assert seen[1][after][:, ~after].any()
    alone, _ = drawn()(tokens[:1, after], steps[after], episodes[:1, after])
    whole, _ = drawn()(tokens[:1], steps, episodes[:1])
    torch.testing.assert_close(whole[:, after], alone)


@settings(max_examples=25)
@given(
    cuts=st.sets(st.integers(1, EACH * STEPS - 1)), end=st.none() | st.integers(0, STEPS - 2), window=st.integers(1, 7)
)
def test_a_stream_read_in_pieces_gives_what_the_whole_stream_gives(cuts, end, window):
    net = drawn(window=window).float()
    tokens, steps, episodes = stream(end=end)
    tokens = tokens.float()
    outputs, memory = [], None
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(steps)], strict=True):
        output, memory = net(tokens[:, start:stop], steps[start:stop], episodes[:, start:stop], memory)
        outputs.append(output)
    whole, everything = net(tokens, steps, episodes)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip([*memory.keys, *memory.values], [*everything.keys, *everything.values], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_a_memory_as_long_as_the_window_is_as_good_as_all_that_was_read():
    net, (tokens, steps, episodes) = drawn(window=2), stream(end=1)
    whole, _ = net(tokens, steps, episodes)
    memory = None
    for step in range(STEPS):
        now = steps == step
        output, memory = net(tokens[:, now], steps[now], episodes[:, now], memory)
        memory = memory.last(2 * EACH)
        assert memory.keys[0].shape[2] == len(memory.steps) == memory.episodes.shape[1] <= 2 * EACH
        torch.testing.assert_close(output, whole[:, now])


def test_a_memory_holds_what_was_learnt_from_tokens_that_it_no_longer_holds():
    """That is what a Transformer-XL has over one that reads its context again: the reach grows with each layer."""
    net, (tokens, steps, episodes) = drawn(window=2), stream()
    changed = tokens.clone()
    changed[:, steps == 0] += 1
    ends = []
    for reading in (tokens, changed):
        _, memory = net(reading[:, steps < 3], steps[steps < 3], episodes[:, steps < 3])
        now = steps == 3
        ends.append(net(reading[:, now], steps[now], episodes[:, now], memory.last(2 * EACH))[0])
    assert not torch.allclose(*ends)


@pytest.mark.parametrize("read", [0, 1, 4, EACH * 3])
def test_the_last_layer_can_be_read_at_every_third_token_alone(read):
    net, (tokens, steps, episodes) = drawn(window=2), stream(end=1)
    whole, _ = net(tokens, steps, episodes)
    _, memory = net(tokens[:, :read], steps[:read], episodes[:, :read])
    rest = tokens[:, read:], steps[read:], episodes[:, read:]
    some, remembered = net(*rest, memory, every=EACH)
    everything, all_remembered = net(*rest, memory)
    last = (len(steps) - 1 - read) % EACH
    torch.testing.assert_close(some, everything[:, last::EACH])
    torch.testing.assert_close(some, whole[:, read:][:, last::EACH], rtol=1e-5, atol=1e-5)
    for mine, theirs in ((remembered.keys, all_remembered.keys), (remembered.values, all_remembered.values)):
        torch.testing.assert_close(mine, theirs)


def test_only_distances_matter_and_not_when_a_stream_began():
    net, (tokens, steps, episodes) = drawn(), stream()
    other = torch.ones_like(episodes)
    _, memory = net(tokens.flip(1), steps, other)  # another episode was read before
    late, _ = net(tokens, steps + STEPS, episodes, memory)
    torch.testing.assert_close(late, net(tokens, steps, episodes)[0])


def test_the_order_of_what_was_read_matters():
    net, (tokens, steps, episodes) = drawn(), stream()
    swapped = tokens.clone()
    swapped[:, [0, 1]] = tokens[:, [1, 0]]
    assert not torch.allclose(net(swapped, steps, episodes)[0][:, -1], net(tokens, steps, episodes)[0][:, -1])


def test_attention_weights_can_be_read_and_are_a_distribution_over_what_is_seen():
    net, (tokens, steps, episodes) = drawn(), stream(end=2)
    read = []
    net.layers[1].attention.softmax.register_forward_hook(lambda module, inputs, output: read.append(output))
    net(tokens, steps, episodes)
    (weights,) = read
    assert weights.shape == (BATCH, HEADS, len(steps), len(steps))
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))
    assert not weights[0][:, steps > 2][:, :, steps <= 2].any()


def test_dropout_comes_from_the_given_generator_and_without_one_there_is_none():
    net, reading = drawn(dropout=0.3), stream()
    plain = drawn(dropout=0.0)(*reading)[0]
    assert torch.equal(net(*reading)[0], plain)
    first, again, other = (net(*reading, noise=[generator(seed)])[0] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, plain)


def test_all_weights_are_drawn_from_the_given_generator():
    one, same, other = (drawn(seed).state_dict() for seed in (0, 0, 1))
    for name, values in one.items():
        assert torch.equal(values, same[name])
        assert "norm" in name or not torch.equal(values, other[name])
    assert one["layers.0.linear1.weight"].abs().max() <= WIDTH**-0.5
    assert one["content_bias"].any()
    assert one["distance_bias"].any()
