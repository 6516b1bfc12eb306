"""A run of small world models in MinAtar, made once for all tests of what is taken from them."""

import numpy as np
import pytest
import torch

from agentomy import kinds, tables
from agentomy.agents.world_model import WorldModelAgent
from agentomy.descriptions import Task
from agentomy.environments import arcade
from agentomy.papers.twm.extract import worlds
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained
from tests.small_runs import streams

torch.set_num_threads(1)
GIVEN = {"game": "breakout", "episodes": 3, "trails": False}
SMALL = {"size": "xs", "interactions": 80, "prefill": 60, "total_budget": 1584.0, "pretraining_budget": 1200.0}
SMALL |= {"batch": 4, "length": 6, "imagination_batch": 8, "horizon": 3}
SEEDS, UPDATES = (0, 1), (0, 20, 40)
WINDOW = 8  # of size xs


@pytest.fixture(scope="session")
def episodes() -> Table:
    rows = arcade.minatar(**GIVEN, streams=streams("environment"))
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="arcade.minatar", parameters=GIVEN))


@pytest.fixture(scope="session")
def parameters(episodes, tmp_path_factory) -> Table:
    """A run of two seeds, in one stack."""
    agent = WorldModelAgent(episodes, [Streams("test", "twm", seed) for seed in SEEDS], "cpu", **SMALL)
    pieces = []
    for update in range(UPDATES[-1] + 1):
        if update in UPDATES:
            pieces.append(kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=update, **agent.parameters()))
        agent.advance()
    path = tmp_path_factory.mktemp("run") / "run.parquet"
    tables.write(path, kinds.common.PARAMETERS, pieces, trained(agent.network))
    return Table(kinds.common.PARAMETERS, [path])


@pytest.fixture
def given(parameters, episodes):
    return {"parameters": parameters, "episodes": episodes, "run": "r", "device": "cpu", "streams": streams()}


def last_world(parameters, seed: int = 0):
    return next(world for _, number, world in worlds.worlds(parameters, "cpu", {UPDATES[-1]}) if number == seed)


def stream(world, episodes, steps: int = 120) -> worlds.Lived:
    return worlds.fresh(world, episodes.description, steps, streams(), (0, 0), "cpu")[0]


def noise(seed: int = 5) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed)]
