"""Small trees of results for the path and memory views, and a visitor of them without a browser."""

from pathlib import Path

import numpy as np
import torch
from bokeh.document import Document

from agentomy import kinds, networks, tables
from agentomy.descriptions import Task
from agentomy.environments import control, mazes
from agentomy.explorer import paths
from agentomy.explorer.pages import fill
from agentomy.explorer.results import Results
from agentomy.lenses.paths import extract as checkpoints
from agentomy.networks.recurrent import LSTMNetwork
from agentomy.seeds import Streams
from tests.described import extracted, trained
from tests.explorer.conftest import NETWORK, WORLD, stack

# ---- policies along a random walk, in a task in which they soon fall ------------------------------------------------

TASK, INPUTS, OUTPUTS, WIDTH = "Hopper-v5", 11, 3, 8
GRAM = "gram/hopper.seeds2-4"
UPDATES, SEEDS, EPISODES = [0, 10, 20, 30, 40, 50], [2, 4], 3
BOUNDS = {"low": [-1.0] * OUTPUTS, "high": [1.0] * OUTPUTS}
ACTOR = {"use": "continuous.Actor", "inputs": INPUTS, "outputs": OUTPUTS, "widths": [WIDTH], **BOUNDS}
SHAPES = {
    "layer1.weight": (WIDTH, INPUTS), "layer1.bias": (WIDTH,), "layer2.weight": (OUTPUTS, WIDTH),
    "layer2.bias": (OUTPUTS,),
}  # fmt: skip


class Silent:
    def step(self, *arguments) -> None:
        pass


def drifting() -> dict[str, np.ndarray]:
    """Tensor → [T, S, *shape]."""
    rng = np.random.default_rng(3)
    size = (len(UPDATES), len(SEEDS))
    return {name: rng.normal(size=(*size, *shape)).cumsum(axis=0).astype("f4") for name, shape in SHAPES.items()}


def plant_path(folder: Path) -> Results:
    """A run `hopper` with a decomposed path; a table of its last layer's path lies beside the folder."""
    study, given, weights = folder / "smoke" / "path", {"task": TASK, "episodes": EPISODES}, drifting()
    environment = Task(use="control.mujoco", parameters=given)
    rows = control.mujoco(**given, streams=Streams("path", "hopper", 0))
    tables.write(study / "environments" / "hopper.parquet", kinds.paths.EPISODES, rows, environment)
    pieces = [
        kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=update, **{n: w[t] for n, w in weights.items()})
        for t, update in enumerate(UPDATES)
    ]
    file = study / "training" / "hopper.seeds2-4.parameters.parquet"
    tables.write(file, kinds.common.PARAMETERS, pieces, trained(ACTOR, environment, "hopper"))
    parameters = tables.Table(kinds.common.PARAMETERS, [file])
    tables_of_paths = {"": study / "checkpoints" / f"{GRAM}.parquet", "layer2": folder.parent / "gram-pixels.parquet"}
    for part, place in tables_of_paths.items():
        gram = checkpoints.gram(
            parameters, part=part, run="hopper", streams=Streams("path", "gram", 0), progress=Silent()
        )
        tables.write(place, kinds.paths.GRAM, gram, extracted("hopper", environment, part=part))
    return Results(folder, "smoke")


# ---- maze agents at unequal intervals -------------------------------------------------------------------------------

MOMENTS, LIMIT = [0, 1, 4, 9, 16], 20  # updates; steps of an episode


def plant_mouse(folder: Path) -> Results:
    """A run `corner` without a decomposed path, and test mazes."""
    study, environment = folder / "smoke" / "maze", Task(use="mazes.levels", parameters={"world": WORLD})
    network = {"use": "impala.ImpalaStack", **NETWORK}
    described = trained(network, environment, "corner", max_episode_steps=LIMIT)
    pieces = [
        kinds.common.PARAMETERS.table(seed=np.arange(2), update=moment, **stack(moment).arrays()) for moment in MOMENTS
    ]
    tables.write(study / "training" / "corner.seeds0-1.parameters.parquet", kinds.common.PARAMETERS, pieces, described)
    rows = mazes.levels(world=WORLD, corner=4, count=30, streams=Streams("test", "levels", 0))
    tables.write(study / "environments" / "test.parquet", kinds.maze.LEVELS, rows, environment)
    return Results(folder, "smoke")


# ---- a predictor that counts exactly --------------------------------------------------------------------------------

STEPS, CELLS = 6, 8
PREDICTOR = {"inputs": 2, "width": CELLS, "outputs": {"predictive": 2}, "forget_bias": 0.0}


def counting() -> LSTMNetwork:
    """Two networks that have learned nothing, but whose cells 0 and 1 hold the counts of the two outcomes."""
    stack = LSTMNetwork(2, **PREDICTOR).draw([networks.generator(seed) for seed in range(2)])
    with torch.no_grad():
        for parameter in (stack.encoder.weight, stack.encoder.bias, stack.memory.weight_ih, stack.memory.weight_hh):
            parameter.zero_()
        stack.memory.bias[:] = 0
        # all gates in and forget gates open
        stack.memory.bias[:, :CELLS] = stack.memory.bias[:, CELLS : 2 * CELLS] = 50
        for outcome in range(2):
            stack.encoder.weight[:, outcome, outcome] = 1
            stack.memory.weight_ih[:, 2 * CELLS + outcome, outcome] = 50  # tanh of it is 1
    return stack


def plant_memory(folder: Path) -> Results:
    """A run `cat-2`, untrained and trained: two snapshots, hence no path."""
    study = folder / "smoke" / "bayes"
    parameters = {"concentration": [1.0, 3.0], "steps": STEPS, "episodes": 40}
    environment = Task(use="sequences.categorical", parameters=parameters)
    rng = np.random.default_rng(0)
    rows = kinds.bayes.SEQUENCES.table(
        episode=np.arange(40),
        parameters=rng.random((40, 2)),
        observations=rng.integers(2, size=(40, STEPS)).astype(float),
    )
    tables.write(study / "environments" / "cat-2.parquet", kinds.bayes.SEQUENCES, rows, environment)
    described = trained({"use": "recurrent.LSTMNetwork", **PREDICTOR}, environment, "cat-2")
    untrained = LSTMNetwork(2, **PREDICTOR).draw([networks.generator(seed) for seed in range(2)])
    pieces = [
        kinds.common.PARAMETERS.table(seed=np.array([3, 5]), update=update, **stack.arrays())
        for update, stack in ((0, untrained), (9, counting()))
    ]
    tables.write(study / "training" / "cat-2.seeds3-5.parameters.parquet", kinds.common.PARAMETERS, pieces, described)
    return Results(folder, "smoke")


# ---- a visitor ------------------------------------------------------------------------------------------------------


def opened(results: Results, view: str) -> Document:
    """A page with the tab of a view open, and its first work done."""
    document = Document()
    fill(document, results)
    tabs = document.get_model_by_name("tabs")
    tabs.active = [tab.title for tab in tabs.tabs].index(view)
    settle(document)
    return document


def settle(document: Document) -> None:
    """Do the work that has been announced."""
    while document.session_callbacks:
        for callback in document.session_callbacks:
            callback.callback()


def press(document: Document, *keys: str) -> None:
    bridge = document.get_model_by_name("keys")
    for key in keys:
        bridge.value = f"{int(bridge.value.partition(':')[0] or 0) + 1}:{key}"


def text(document: Document, name: str) -> str:
    return document.get_model_by_name(name).text


def status(document) -> str:
    return text(document, "path-status")


def pressed(document, key: str) -> str:
    """What the view of paths says once the work that a key asks for is done."""
    press(document, key)
    settle(document)
    return status(document)


def chosen(results: Results, label: str = "path: hopper") -> paths.Route:
    return paths.routes(results)[0][label]
