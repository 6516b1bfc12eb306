"""Every agent of the pipeline, small: what the conformance suite asks of each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from agentomy import kinds
from agentomy.agents.plugins.paths import PPTB, Extrapolation, MovingAverage
from agentomy.descriptions import Task
from agentomy.environments import digits
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.agents.test_actor_critic import actor_critic
from tests.agents.test_cloning import Sizes, cloning
from tests.agents.test_double_dqn import Lights, double_dqn
from tests.agents.test_langevin_agents import classifier, langevin_dqn
from tests.agents.test_ppo import ppo
from tests.agents.test_predictor import predictor
from tests.agents.test_rad import Noise
from tests.agents.test_rad import agent as rad
from tests.agents.test_regression import MLP, TIED, regression
from tests.agents.test_td3 import Drift, td3
from tests.agents.test_world_model_agent import agent as world_model
from tests.lenses.l3d_tables import decomposer, toy_subjects

HOPPER = Task(use="control.mujoco", parameters={"task": "Hopper-v5"})
# PPO with the settings of the maze paper; updates in which no episode ends, so that the log says what was before
ORIGINAL = {"reward_scale": None, "precision": "single", "clip_range_vf": 0.2, "palette": "rgb", "scale": "unit"}
ORIGINAL |= {"num_envs": 2, "max_episode_steps": 60}


@cache
def small_images() -> Table:
    return Table(
        kinds.nld.IMAGES,
        rows=digits.images(source="scikit-learn", validation=597, test=600, streams=Streams("test", "digits", 0)),
    )


def classifiers(*seeds: int, **given):
    return classifier(small_images(), *seeds, **given)


def decomposers(*seeds: int, **given):
    return decomposer(toy_subjects(seeds=3), *seeds, **given)


def plugged(plugin: type, *seeds: int, **given):
    streams = [Streams("test", "plug-in", seed) for seed in seeds]
    return plugin(predictor(*seeds, updates=30), streams, interval=2, window=4, period=4, **given)


@dataclass
class Case:
    """An agent, and how long it is looked at: `before` updates, then so many more `behind` them."""

    make: Callable[..., Any]  # of seeds
    before: int
    behind: int
    simulator: Callable[..., Any] | None = None  # in the place of the environment's own
    seeds: tuple[int, ...] = (0, 1)
    # how near a seed in a stack comes to the seed alone (0: the same bits), and in which precision
    alone: float = 1e-7
    double: bool = True
    precise: Callable[..., Any] | None = None  # how it is made then, if otherwise
    # fields of the state that make no difference to what is looked at here; they do in another case, but for counters
    unfelt: set[str] = field(default_factory=set)
    network: tuple[str, ...] = ("net",)  # the fields that loaded parameters replace

    def __call__(self, *seeds: int, **given):
        return self.make(*(seeds or self.seeds), **given)


def by(simulator: type) -> Callable[..., Any]:
    return lambda source, rng: simulator(rng)


def nothing(source, rng):
    return Sizes


STACKED = {"alone": 1e-3, "double": False}  # in single precision a stack's sums are rounded otherwise
CIRCUITS = {"epochs": 8}
STARTS = {**CIRCUITS, "starts": 3, "chunk": 5, "divergence": "code"}
WORLD = {"network": ("world",)}

CASES = {
    "predictor": Case(predictor, 12, 12),
    "actor-critic": Case(actor_critic, 12, 12),
    "cloning by Adam": Case(cloning, 25, 20, nothing, unfelt={"update"}),
    "cloning by SGD": Case(partial(cloning, optimiser="sgd"), 25, 20, nothing, unfelt={"update", "optimiser"}),
    "Double DQN": Case(double_dqn, 32, 15, by(Lights)),
    "Langevin DQN": Case(langevin_dqn, 34, 20, by(Lights), alone=1e-6, unfelt={"exploration"}),
    "Langevin DQN with ε": Case(
        partial(langevin_dqn, explores="epsilon", metric="rmsprop", step=1e-3),
        *(32, 12, by(Lights)),
        alone=1e-6,
        unfelt={"actor"},
    ),
    "classifier by QDOP": Case(partial(classifiers, halved_every=20), 17, 12, **STACKED),
    "classifier with dropout": Case(
        partial(classifiers, method="euclidean", dropout=0.3), 17, 12, unfelt={"optimiser"}, **STACKED
    ),
    "classifier by Adam": Case(partial(classifiers, method="adam", dropout=0.2), 17, 12, **STACKED),
    "TD3": Case(partial(td3, buffer_size=90), 61, 20, by(Drift)),
    "TD3 on Hopper": Case(partial(td3, task=HOPPER), 12, 12),
    "RAD": Case(partial(rad, buffer_size=40), 15, 12, Noise, network=("net", "critics")),
    "RAD with crops": Case(partial(rad, augmentation="crop", image_size=11), 15, 12, Noise, network=("net", "critics")),
    "PPO": Case(ppo, 3, 4, alone=0.0, double=False, unfelt={"scale", "success"}),
    "PPO as published": Case(partial(ppo, **ORIGINAL), 7, 9, alone=0.0, double=False),
    "L3D": Case(
        partial(decomposers, **CIRCUITS), 7, 8, double=False, precise=partial(decomposers, **CIRCUITS, double=True)
    ),
    "L3D with starts": Case(
        partial(decomposers, **STARTS), 7, 8, double=False, precise=partial(decomposers, **STARTS, double=True)
    ),
    "bottleneck": Case(partial(regression, attempts=2, **TIED), 7, 8, **STACKED),
    "perceptron": Case(partial(regression, attempts=2, **MLP), 7, 8, **STACKED),
    "TWM, observation model": Case(
        world_model, 20, 6, unfelt={"simulators", "episode_return", "player", "record"}, **WORLD
    ),
    "TWM, dynamics model": Case(world_model, 40, 6, unfelt={"simulators", "episode_return", "player"}, **WORLD),
    "TWM": Case(world_model, 59, 5, unfelt={"order", "player", "record"}, **WORLD),
    "TWM with memory": Case(
        partial(world_model, policy_input="zh"), 59, 5, unfelt={"order", "record", "episode_return"}, **WORLD
    ),
    "PPTB": Case(partial(plugged, PPTB, keep=2, boost=0.3, trim="hold"), 13, 8, alone=1e-4, unfelt={"random"}),
    "moving average": Case(partial(plugged, MovingAverage), 13, 8, alone=1e-4),
    "extrapolation": Case(partial(plugged, Extrapolation), 13, 8, alone=1e-4),
    "random directions": Case(partial(plugged, PPTB, keep=2, trim="hold", directions="parameters"), 13, 8, alone=1e-4),
}
