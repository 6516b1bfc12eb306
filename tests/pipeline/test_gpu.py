"""Training on a GPU, where there is one: torch has deterministic kernels for all that agents compute."""

import pytest
import torch

from tests.pipeline.runners import Jobs
from tests.pipeline.test_interruption import AGENTS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.mark.parametrize(("study", "run"), [agent[:2] for agent in AGENTS])
def test_training_twice_gives_the_same_bytes(tmp_path, study, run):
    one, other = (Jobs(tmp_path / name, study, {}, device="cuda") for name in ("one", "other"))
    job = next(iter(one.study.parts("training", run)))
    try:
        assert one.make("training", job) == other.make("training", job)
    finally:
        torch.set_deterministic_debug_mode("default")
