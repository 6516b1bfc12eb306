"""A small tree of results with an imported agent: its parameters, returns, use of layers, path, and a game."""

from pathlib import Path

import numpy as np

from agentomy import kinds, tables
from agentomy.descriptions import Task
from agentomy.environments import gym
from agentomy.explorer.results import Results
from agentomy.foreign_agents import spaces
from agentomy.foreign_agents.architecture import Architecture, Branch
from agentomy.lenses.paths.extract import gram
from agentomy.networks.foreign.stack import Agents
from agentomy.seeds import Streams
from tests.described import extracted, trained
from tests.explorer.agents import Silent

RUN, STEPS, UPDATES, TWINS = "cart", 6, (100, 200, 300, 400), 4
WORLD = {"id": "CartPole-v1", "episodes": 3}
LAYERS, QUANTITIES = ("policy.body.0", "policy.body.2"), ("dead", "dormant", "effective rank", "stable rank")


def architecture(**more) -> Architecture:
    env = gym.environment(WORLD["id"])
    observation, action = spaces.from_gymnasium(env.observation_space), spaces.from_gymnasium(env.action_space)
    return Architecture(family="PPO", observation=observation, action=action, activation="Tanh",
                        policy=Branch(hidden=[4, 4], outputs=2), head="logits", **more)  # fmt: skip


def plant(folder: Path, world: dict | None = None, frames: bool = True, custom: dict | None = None) -> Results:
    """A run `cart` of the study `mine`; it need not be true: what is shown is what the tables say."""
    study, rng = folder / "smoke" / "mine", np.random.default_rng(0)
    environment = Task(use="gym.make", parameters=world or WORLD)
    of = architecture()
    arguments = {"frames": 1, "scaled": None, "architecture": of.model_dump()}
    network, arrays = {"use": "foreign.stack.Agents", **arguments}, Agents(1, **arguments).arrays()
    if custom:
        network = {**network, "architecture": {**network["architecture"], "custom": custom}}
    rows = [
        kinds.common.PARAMETERS.table(
            seed=np.array([0]),
            update=update,
            **{name: rng.normal(size=weight.shape).astype("f4") for name, weight in arrays.items()},
        )
        for update in UPDATES
    ]
    described, file = trained(network, environment, RUN), f"{RUN}.seeds0-0"
    tables.write(study / "training" / f"{file}.parameters.parquet", kinds.common.PARAMETERS, rows, described)
    log = {"run": RUN, "seed": 0, "update": np.array(UPDATES), "value": np.array([20.0, 30, 35, 50])}
    pieces = [kinds.common.LOG.table(quantity=name, **log) for name in ("noted return", "monitored return")]
    tables.write(study / "training" / f"{file}.log.parquet", kinds.common.LOG, pieces, described)
    seeds = {"episode": np.arange(3), "reset_seed": np.arange(3), "observation": rng.normal(size=(3, 4))}
    tables.write(study / "environments" / "world.parquet", kinds.paths.EPISODES,
                 kinds.paths.EPISODES.table(**seeds), environment)  # fmt: skip
    about = extracted(RUN, environment)

    def write(sort: str, kind, pieces) -> None:
        tables.write(study / "checkpoints" / sort / f"{file}.parquet", kind, pieces, about)

    write("returns", kinds.behaviour.GAME_RETURNS, [
        kinds.behaviour.GAME_RETURNS.table(
            **keys, mode=mode, episode=np.arange(3), **{"return": rng.normal(update / 10, 3, 3)}, length=5,
            ended="terminated",
        )
        for update, keys in everybody() for mode in ("deterministic", "stochastic")
    ])  # fmt: skip
    write("units", kinds.behaviour.UNITS, [
        kinds.behaviour.UNITS.table(**keys, layer=layer, quantity=np.array(QUANTITIES), value=rng.random(4))
        for _, keys in everybody() for layer in LAYERS
    ])  # fmt: skip
    write("watched", kinds.inside.WATCHED, [game(rng, frames, **keys) for _, keys in everybody() if keys["twin"] < 1])
    parameters = tables.Table(kinds.common.PARAMETERS, [study / "training" / f"{file}.parameters.parquet"])
    way = gram(parameters, part="policy", run=RUN, streams=Streams("mine", "gram", 0), progress=Silent())
    tables.write(study / "checkpoints" / "gram" / f"{file}.parquet", kinds.paths.GRAM, way,
                 extracted(RUN, environment, part="policy"))  # fmt: skip
    return Results(folder, "smoke")


def everybody():
    """(update, keys) of the snapshots and of the twins."""
    for update in UPDATES:
        yield update, {"run": RUN, "seed": 0, "update": update, "agent": "trained", "twin": -1}
    for twin in range(TWINS):
        yield 0, {"run": RUN, "seed": 0, "update": 0, "agent": "untrained", "twin": twin}


def game(rng, frames: bool, **keys):
    """Six steps: at step t, entry t of what it sees has all of the saliency, and the frame is that red."""
    shares = np.eye(4)[np.arange(STEPS) % 4] if keys["twin"] < 0 else np.full((STEPS, 4), 0.25)
    size = (20, 30) if frames else (0, 0)
    return kinds.inside.WATCHED.table(
        **keys, step=np.arange(STEPS), reward=np.arange(STEPS, dtype=float), action=np.ones((STEPS, 1)), rows=1,
        columns=4, seen=rng.normal(size=(STEPS, 1, 4)), choice=shares, value=np.zeros((STEPS, 0)),
        frame_rows=size[0], frame_columns=size[1],
        frame=np.broadcast_to(np.arange(STEPS)[:, None, None, None] * [40, 0, 0], (STEPS, *size, 3)),
    )  # fmt: skip
