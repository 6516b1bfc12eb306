"""Extraction is by stack: what is taken from two stacks of a run is, put together, what is taken from both at once.

All functions of the package that take networks, on networks that nobody trained, in stacks of two seeds and one.
"""

import importlib
import inspect
import pkgutil
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from agentomy import kinds, lenses, names, networks, papers, tables
from agentomy.agents.world_model import WorldModelAgent
from agentomy.descriptions import Task
from agentomy.environments import arcade, bandits, control, digits, gym, sequences, superposition
from agentomy.foreign_agents.architecture import Architecture, Branch
from agentomy.foreign_agents.spaces import Space
from agentomy.networks.continuous import Actor
from agentomy.networks.foreign.stack import Agents
from agentomy.networks.impala import ImpalaStack
from agentomy.networks.q_network import QNetwork
from agentomy.networks.recurrent import LSTMNetwork
from agentomy.networks.subnetworks import Subnetworks
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained
from tests.lenses.l3d_tables import BOTTLENECK, drawn, sparse_inputs, subject_table
from tests.papers.maze.maze_agents import level_table
from tests.papers.nld.test_extract import AVERAGED, random_weights
from tests.small_runs import environment

torch.set_num_threads(1)
STACKS, UPDATES = ([0, 1], [2]), (0, 10, 20, 30, 40, 50, 60)
ENVIRONMENT = Streams("test", "environment", 0)
ACTOR = {"use": networks.use(Actor), "inputs": 11, "outputs": 3, "widths": [8], "low": [-1.0] * 3, "high": [1.0] * 3}
IMPORTED = Architecture(
    family="PPO",
    observation=Space(sort="box", shape=[4]),
    action=Space(sort="discrete", sizes=[2]),
    activation="Tanh",
    policy=Branch(hidden=[6, 5], outputs=2),
    head="logits",
)
IMPORTED = {"use": networks.use(Agents), "frames": 1, "scaled": None, "architecture": IMPORTED.model_dump()}
MAZE = {"use": networks.use(ImpalaStack), "pixels": 9, "palette": "planes", "channels": [4, 4], "pools": [1]}
MAZE |= {"hidden": 8, "actions": 5, "scale": "planes"}
LSTM = {"use": networks.use(LSTMNetwork), "inputs": 3, "width": 6, "forget_bias": 0.0, "outputs": {"predictive": 3}}
PLAYER = {**LSTM, "outputs": {"policy": 2, "value": 1}}
SMALL = {"size": "xs", "interactions": 80, "prefill": 60, "total_budget": 1584.0, "pretraining_budget": 1200.0}
SMALL |= {"batch": 4, "length": 6, "imagination_batch": 8, "horizon": 3}
LANGEVIN = {"method": "dop", "step": 0.02, "epsilon": 1e-3, "batch": 60, "prior": "1/fan-in"}
MAPS = {"train_episodes": 20, "test_episodes": 10, "fit_steps": 5}
EDIT = {"layer": "block2.res1.resadd", "count": 4}
RANKED = {**EDIT, "ranking": 20, "threshold": 0.5}
SUBNETWORKS = {"use": networks.use(Subnetworks), "count": 3, "rank": 1}


# ---- runs ------------------------------------------------------------------------------------------------------------


def run_of(network: dict, first: dict[str, np.ndarray], stacks=STACKS, **parameters):
    """A run's parameters, weights that wander at random from the first [seeds, *shape], as a table a stack."""
    rng, tables_of = np.random.default_rng(1), [[] for _ in stacks]
    for update in UPDATES:
        for pieces, seeds in zip(tables_of, stacks, strict=True):
            arrays = {name: array[seeds] for name, array in first.items()}
            pieces.append(kinds.common.PARAMETERS.table(seed=np.array(seeds), update=update, **arrays))
        first = {name: array + 0.1 * rng.normal(size=array.shape).astype("f4") for name, array in first.items()}
    return tables_of, trained(network, **parameters)


def random(network: dict) -> tuple:
    return run_of(network, drawn(network, seeds=3, spread=0.3))


@cache
def decomposition():
    subject = subject_table(BOTTLENECK, drawn(BOTTLENECK, 3), sparse_inputs(40, 4))
    shapes = {name: list(array.shape[1:]) for name, array in drawn(BOTTLENECK, 3).items()}
    network = {**SUBNETWORKS, "shapes": shapes}
    return run_of(network, drawn(network, 3), divergence="mse", keep=0.3, batch=16, tensors=None), subject


@cache
def world_models():
    agent = WorldModelAgent(games(), [Streams("test", "twm", seed) for seed in range(3)], "cpu", **SMALL)
    return run_of(agent.network, agent.parameters())


# ---- environments ----------------------------------------------------------------------------------------------------


@cache
def hopper():
    given = {"task": "Hopper-v5", "episodes": 2}
    rows = control.mujoco(**given, streams=ENVIRONMENT)
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="control.mujoco", parameters=given))


@cache
def games():
    given = {"game": "breakout", "episodes": 2, "trails": False}
    rows = arcade.minatar(**given, streams=ENVIRONMENT)
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="arcade.minatar", parameters=given))


@cache
def poles():
    given = {"id": "CartPole-v1", "episodes": 5, "max_episode_steps": 12}
    rows = gym.make(**given, streams=ENVIRONMENT)
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="gym.make", parameters=given))


@cache
def categorical():
    return environment(
        kinds.bayes.SEQUENCES, sequences.categorical, "sequences.categorical", concentration=[1.0, 1.0, 1.0]
    )


@cache
def arms():
    prior = [[1.0, 1.0], [1.0, 1.0]]
    return environment(kinds.bayes.BANDITS, bandits.bernoulli, "bandits.bernoulli", prior=prior)


@cache
def images():
    rows = digits.images(source="scikit-learn", validation=10, test=1587, streams=ENVIRONMENT)
    return Table(kinds.nld.IMAGES, rows=rows)


@cache
def mazes():
    return level_table(80, corner=4)


@cache
def points():
    return Table(
        kinds.subnetworks.POINTS,
        rows=superposition.features(inputs=4, task="same", train=30, decomposed=12, streams=ENVIRONMENT),
    )


@cache
def demonstrations():
    rng = np.random.default_rng(2)
    episodes = [
        {
            "seed": seed,
            "observations": rng.normal(size=(1, 20 + seed, 11)),
            "actions": rng.normal(size=(1, 20 + seed, 3)),
        }
        for seed in range(3)
    ]
    rows = [
        kinds.paths.DEMONSTRATIONS.table(run="expert", episode=0, **episode, **{"return": 0.0}) for episode in episodes
    ]
    return Table(kinds.paths.DEMONSTRATIONS, rows=pa.concat_tables(rows))


CLASSIFIER = {**AVERAGED, "sizes": [64, 8, 6, 10]}


@cache
def classifiers():
    pair = random_weights(np.random.default_rng(0), CLASSIFIER["sizes"])
    return run_of(
        CLASSIFIER, {name: np.concatenate([weights, weights[:1] / 2]) for name, weights in pair.items()}, **LANGEVIN
    )


RUNS = {  # name → (parameters by stack, their description), and by what name functions take the environment
    "predictor": lambda: (random(LSTM), {"sequences": categorical()}),
    "player": lambda: (random(PLAYER), {"bandits": arms()}),
    "actor": lambda: (random(ACTOR), {"episodes": hopper()}),
    "imported": lambda: (random(IMPORTED), {"episodes": poles()}),
    "clone": lambda: (random(ACTOR), {"demonstrations": demonstrations()}),
    "values": lambda: (random({"use": networks.use(QNetwork), "channels": 3, "actions": 3}), {"episodes": games()}),
    "mouse": lambda: (random(MAZE), {"levels": mazes()}),
    "toy": lambda: (random(BOTTLENECK), {"points": points()}),
    "decomposition": lambda: (decomposition()[0], {"subjects": decomposition()[1]}),
    "classifier": lambda: (classifiers(), {"images": images()}),
    "world": lambda: (world_models(), {"episodes": games()}),
}
CASES = {  # function → run, parameters
    "papers.bayes.extract.predictions.predictions": ("predictor", {}),
    "papers.bayes.extract.play.play": ("player", {"discount": 0.95}),
    "papers.bayes.extract.memory.of_predictors": ("predictor", {"episodes": 10}),
    "papers.bayes.extract.memory.of_bandits": ("player", {"episodes": 10, "discount": 0.95}),
    "papers.bayes.extract.maps.of_predictors": ("predictor", {**MAPS, "keep_states": True}),
    "papers.bayes.extract.maps.of_bandits": ("player", {**MAPS, "discount": 0.95, "drive": "network"}),
    "lenses.behaviour.extract.returns": ("actor", {"most": 2}),
    "lenses.behaviour.extract.seen": ("actor", {"count": 20}),
    "lenses.behaviour.units.units": ("actor", {"most": 2, "twins": 1, "count": 20}),
    "lenses.inside.probes.probes": ("imported", {"twins": 1, "count": 30}),
    "lenses.inside.saliency.saliency": ("imported", {"twins": 1, "count": 20}),
    "lenses.inside.edits.edits": ("imported", {"twins": 1, "count": 20}),
    "lenses.inside.watch.watched": ("imported", {"twins": 1, "steps": 5}),
    "lenses.inside.features.features": ("values", {"twins": 1, "count": 6}),
    "lenses.rollouts.returns": ("actor", {"every": 20}),
    "lenses.rollouts.reconstructed": ("actor", {"directions": [1, 2], "snapshots_per_period": 2}),
    "lenses.rollouts.demonstrations": ("actor", {"episodes_per_seed": 2}),
    "lenses.paths.extract.gram": ("actor", {}),
    "lenses.paths.extract.moves": ("actor", {"probe_states": 15}),
    "lenses.paths.extract.moves_of_clones": ("clone", {"probe_states": 5}),
    "papers.nld.extract.doubt.disagreement_by_ball_position": ("values", {"burn_in": 20, "states": 8}),
    "papers.twm.extract.layout.tensors_of": ("actor", {}),
    "papers.maze.extract.rollouts.outcomes": (
        "mouse",
        {"max_episode_steps": 10, "conditions": ["cheese", "no cheese"], "snapshots": "ends"},
    ),
    "papers.maze.extract.features.features": (
        "mouse",
        {"layers": ["input", "block1.conv", "relufc"], "count": 4, "smallest_side": 5},
    ),
    "papers.maze.extract.saliency.saliency": ("mouse", {"count": 4, "smallest_side": 5}),
    "papers.maze.extract.probes.probes": ("mouse", {"layers": ["relufc"], "count": 4, "cells": 2, "smallest_side": 5}),
    "papers.maze.extract.edits.fields": ("mouse", {**EDIT, "region": 4, "coefficients": [-1, 1]}),
    "papers.maze.extract.edits.transfers": ("mouse", {**EDIT, "region": 4}),
    "papers.maze.extract.channels.channels": ("mouse", {"layers": ["block1.conv", "block2.res1.resadd"], "count": 10}),
    "papers.maze.extract.channels.resampled": ("mouse", RANKED),
    "papers.maze.extract.retargeting.retargets": (
        "mouse",
        {**RANKED, "several": 2, "strengths": {"one": 6, "several": 2, "all": 1}},
    ),
    "lenses.subjects.of_points": ("toy", {}),
    "papers.maze.extract.subjects.of_mazes": ("mouse", {"count": 20, "smallest_side": 5}),
    "lenses.subjects.of_observations": ("actor", {"count": 20, "twins": 2}),
    "lenses.subjects.of_sequences": ("predictor", {"count": 9, "steps": 6}),
    "papers.twm.extract.subjects.of_worlds": ("world", {"count": 12, "steps": 30}),
    "lenses.subnetworks.extract.subnetworks": ("decomposition", {}),
    "lenses.subnetworks.extract.impacts": ("decomposition", {"references": 2}),
    "lenses.subnetworks.extract.moved": ("decomposition", {"deltas": [-0.5, 0.5], "count": 7}),
    "lenses.subnetworks.extract.moved_in_pairs": ("decomposition", {"deltas": [-0.5, 0.5], "count": 7}),
    "papers.nld.extract.langevin.predictive": ("classifier", {"burn_in": 20, "train": 40}),
    "papers.nld.extract.langevin.classes": ("classifier", {"burn_in": 20}),
    "papers.nld.extract.langevin.noise": ("classifier", {"batches": 2}),
    "papers.nld.extract.theory.invariance": ("classifier", {"steps": 3, "train": 100, "scaled": 3.0, "shifted": 1.0}),
    "papers.nld.extract.theory.stationary": ("classifier", {"shares": [0.01, 0.1], "train": 100}),
    "papers.nld.extract.theory.operations": ("classifier", {}),
    "papers.twm.extract.world_model.returns": ("world", {"snapshots": 2}),
    "papers.twm.extract.world_model.imagined": ("world", {"rollouts": 2, "horizon": 3, "steps": 12}),
    "papers.twm.extract.world_model.reconstructions": ("world", {"pictures": 2, "steps": 12}),
    "papers.twm.extract.world_model.attention": ("world", {"steps": 30}),
    "papers.twm.extract.world_model.model_losses": ("world", {"snapshots": 2, "steps": 30, "length": 6}),
}


def extractions() -> set[str]:
    """Every function of the package that takes networks and gives a table."""
    uses = set()
    modules = [
        module for room in (lenses, papers) for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    ]
    for module in modules:
        place = importlib.import_module(module.name)
        for function, defined in vars(place).items():
            takes = getattr(defined, "__annotations__", {})
            whole = takes.get("parameters") is kinds.common.PARAMETERS and isinstance(takes.get("return"), tables.Kind)
            if whole and defined.__module__ == place.__name__:
                uses.add(f"{place.__name__.removeprefix('agentomy.')}.{function}")
    return uses


def test_every_extraction_is_tried_here():
    assert extractions() == set(CASES)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run → (a file a stack, environment): only those that are asked for are made."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def files_of(name: str):
        (stacks, description), environment = RUNS[name]()
        paths = [folder / f"{name}.{number}.parquet" for number in range(len(stacks))]
        for path, pieces in zip(paths, stacks, strict=True):
            tables.write(path, kinds.common.PARAMETERS, pieces, description)
        return paths, environment

    return files_of


@pytest.fixture
def precise(request):
    """In doubles, where in singles the order of a sum could make another episode."""
    torch.set_default_dtype(torch.float64 if CASES[request.getfixturevalue("use")][0] == "actor" else torch.float32)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("precise")
@pytest.mark.parametrize("use", CASES)
def test_pieces_together_are_the_whole(runs, use):
    run, parameters = CASES[use]
    paths, environment = runs(run)
    function = names.place("", use)
    provided = {
        "run": "r",
        "device": "cpu",
        "streams": Streams("test", "r", 0),
        "progress": Progress("test", every=1e9),
    }
    given = {**environment, **parameters, **provided}
    given = {key: value for key, value in given.items() if key in inspect.signature(function).parameters}

    def extracted(files: list) -> pa.Table:
        rows = function(Table(kinds.common.PARAMETERS, files), **given)
        return rows if isinstance(rows, pa.Table) else pa.concat_tables(rows)

    whole, pieces = extracted(paths), [extracted([path]) for path in paths]
    assert all(len(piece) for piece in pieces)
    assert_same(pa.concat_tables(pieces), whole)


def assert_same(one: pa.Table, other: pa.Table) -> None:
    """The same rows to rounding, in an order in which only seeds may change places."""
    assert one.schema == other.schema
    exact = [field.name for field in one.schema if not (is_float(field.type) or is_list(field.type))]
    frames = [rows.to_pandas(ignore_metadata=True) for rows in (one, other)]
    sorted_by = [frame.sort_values("seed", kind="stable").reset_index(drop=True) for frame in frames]
    pd.testing.assert_frame_equal(*(frame[exact] for frame in sorted_by))
    for field in one.schema:
        if field.name not in exact:
            columns = (np.concatenate([np.ravel(x) for x in frame[field.name]]) for frame in sorted_by)
            np.testing.assert_allclose(*columns, rtol=1e-3, atol=1e-4, err_msg=field.name)


def is_float(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind)


def is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or isinstance(kind, pa.FixedShapeTensorType)


def test_this_would_show_a_draw_that_depends_on_the_stack():
    """One generator for all seeds, as it must not be: the third seed gets other numbers in a stack of its own."""
    together = np.random.default_rng(0).random(3)
    apart = [*together[:2], np.random.default_rng(0).random()]
    one, other = (pa.table({"seed": [0, 1, 2], "run": ["r"] * 3, "value": values}) for values in (apart, together))
    with pytest.raises(AssertionError, match="value"):
        assert_same(one, other)
    assert_same(one.take([2, 0, 1]), one)
