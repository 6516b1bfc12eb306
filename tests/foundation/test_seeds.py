"""Random streams depend on study, run, seed and purpose, and on nothing else."""

import hypothesis.strategies as st
import torch
from hypothesis import given

from agentomy import networks
from agentomy.seeds import Streams

NAMES = st.text(min_size=1, max_size=5)


@given(names=st.lists(st.tuples(NAMES, NAMES, st.integers(0, 9), NAMES), min_size=2, max_size=5, unique=True))
def test_streams_of_different_names_differ(names):
    entropies = {Streams(study, run, seed).entropy(purpose) for study, run, seed, purpose in names}
    assert len(entropies) == len(names)


def test_streams_are_the_same_in_every_process_and_version():
    # written down once: a change of the derivation would silently change every result
    assert Streams("bayes", "cat-3", 0).entropy("weights") == 0xCD99606C1585F7379F6CBD5215B16F36
    assert Streams("bayes", "cat-3", 0).numpy("weights").integers(1000, size=3).tolist() == [709, 530, 614]


def test_torch_streams_repeat():
    entropy = Streams("a", "b", 1).entropy("c")
    draw = [torch.rand(3, generator=networks.generator(entropy)) for _ in range(2)]
    assert torch.equal(*draw)


def test_a_seed_of_a_run_has_streams_of_its_own_that_do_not_depend_on_who_asks():
    run = Streams("study", "run", 0)
    assert run.for_seed(3) == Streams("study", "run", 3) == run.for_seed(7).for_seed(3)
    assert run.for_seed(3).entropy("x") != run.for_seed(4).entropy("x")
