"""What a maze agent does and computes in the current maze, with and without an edit of its activations.

Everything is computed by the functions with which the pipeline makes its tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from agentomy import kinds
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import Levels
from agentomy.explorer.results import Results, Run
from agentomy.explorer.scenes import Cell, Scene
from agentomy.lenses.hooks import editing
from agentomy.lenses.snapshots import revived
from agentomy.names import Unfit
from agentomy.papers.maze.extract import edits
from agentomy.papers.maze.extract.features import INPUT, outputs
from agentomy.papers.maze.extract.retargeting import clamp
from agentomy.papers.maze.extract.saliency import gradients
from agentomy.papers.maze.extract.site import Site, place_of, towards
from agentomy.papers.maze.extract.views import open_cells, policy
from agentomy.tables import Table, TableError

NETWORK = "impala.ImpalaStack"
EDITED = "block2.res1.resadd"  # where Mini et al. edit, and where the pipeline does
HEADS = {"move": "log P(most likely move)", "value": "value"}  # of `gradients`
SHORT = {"move": "the likeliest move", "value": "the value"}  # in titles


class Agent:
    """The network of one seed of a run at one snapshot, in a world of some size."""

    def __init__(self, net: nn.Module, painter: Painter):
        self.net, self.painter = net, painter
        self._sites: dict[str, Site] = {}

    @cached_property
    def layers(self) -> list[str]:
        """Every layer that can be shown, beginning with the picture."""
        leaves = [name for name, module in self.net.named_modules() if not list(module.children())]
        return [INPUT, *(name for name in leaves if name not in ("policy", "value"))]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """Channels, rows and columns of each layer."""
        blank = np.zeros((1, self.painter.pixels, self.painter.pixels, 3), np.uint8)
        activations = outputs(self.net, blank, self.layers, "cpu")
        return {layer: maps.shape[1:] for layer, maps in activations.items()}

    @cached_property
    def editable(self) -> list[str]:
        """The layers whose outputs are maps, and whose output is all that later layers depend on."""
        editable = []
        for layer in self.layers[1:]:
            if self.shapes[layer][-1] == 1:
                continue
            try:
                self.site(layer)
            except ValueError:
                continue
            editable.append(layer)
        return editable

    def place(self, layer: str, cell: Cell) -> tuple[int, int]:
        """Row and column at which the maps of a layer show a cell."""
        row, column = place_of(np.array([cell]), self.painter.world, self.shapes[layer][-1])
        return int(row[0]), int(column[0])

    def site(self, layer: str) -> Site:
        if layer not in self._sites:
            self._sites[layer] = Site(self.net, layer, self.painter, "cpu")
        return self._sites[layer]


def load(results: Results, run: Run, seed: int) -> dict[int, Agent]:
    """The agent of a seed at every snapshot, by update; cached as long as the file of its run stays the same."""
    path = run.files[seed]
    return _load(results, path, path.stat().st_mtime_ns, seed, world_of(run))


@lru_cache(maxsize=8)
def _load(results: Results, path: Path, written: int, seed: int, world: int) -> dict[int, Agent]:
    parameters, agents = results.table(kinds.common.PARAMETERS, path), {}
    painter = painter_of(path, parameters, world)
    try:
        for update, seeds, stack in revived(parameters, "cpu"):
            agents[update] = Agent(stack.nets[row_of(path, seeds, seed, update)], painter)
    except Unfit as error:
        raise TableError(f"{path}: not the parameters of a maze network ({error})") from None
    return agents


def painter_of(path: Path, parameters: Table, world: int) -> Painter:
    """What draws mazes as the network of a file of parameters sees them."""
    network = parameters.description.network
    try:
        return Painter(network.get("palette"), world, network.get("pixels", 0))
    except ValueError as error:
        raise TableError(f"{path}: not the parameters of a maze network ({error})") from None


def row_of(path: Path, seeds: np.ndarray, seed: int, update: int) -> int:
    """The place of a seed among those that a file has at an update."""
    rows = np.flatnonzero(seeds == seed)
    if not len(rows):
        raise TableError(f"{path}: no snapshot of seed {seed} at update {update}; allowed: every seed at every update")
    return int(rows[0])


def world_of(run: Run) -> int:
    """The side of the world in which a run was trained, cells."""
    world = run.environment.parameters.get("world") if run.environment else None
    if not isinstance(world, int) or not 3 <= world <= 99 or world % 2 == 0:
        raise TableError(f"{run.label}: its world is {world!r}; allowed: an odd number from 3 to 99")
    return world


@dataclass(frozen=True)
class Edit:
    """A change of a layer's output: multiples of two vectors are added, and one value is clamped."""

    layer: str
    cheese: float = 0.0
    top_right: float = 0.0
    clamp: tuple[int, int, int, float] | None = None  # channel, row, column, value

    def __bool__(self) -> bool:
        return bool(self.cheese or self.top_right or self.clamp)

    def change(self, site: Site, levels: Levels) -> Callable[[Tensor], Tensor]:
        """The edit as a function of activations [N, C, H, W]; the vectors are those of this level."""
        vector = torch.zeros(())
        if self.cheese:
            vector = vector + self.cheese * edits.cheese_vectors(site, levels)
        if self.top_right:
            vector = vector + self.top_right * edits.top_right_vectors(site, levels)

        def changed(activations: Tensor) -> Tensor:
            changed = activations + vector
            if self.clamp:
                channel, row, column, value = self.clamp
                place = tuple(np.full(len(changed), coordinate) for coordinate in (row, column))
                clamp(changed, np.array([channel]), place, np.array([value]))
            return changed

        return changed


@dataclass(frozen=True)
class Side:
    """What is shown of an agent, original or edited. W cells, layer [C, H, W']; maps over cells are [y, x], y up."""

    moves: np.ndarray  # probabilities of the five moves with the mouse at each cell [W, W, 5]; NaN on walls
    values: np.ndarray  # [W, W]
    layer: np.ndarray  # with the mouse where it is [C, H, W']
    saliency: np.ndarray  # |∂ output / ∂ input| summed over colours [P, P]

    def __sub__(self, other: "Side") -> "Side":
        return Side(*(getattr(self, name) - getattr(other, name) for name in ("moves", "values", "layer", "saliency")))


def read(agent: Agent, scene: Scene, layer: str, head: str, edit: Edit) -> tuple[Side, Side]:
    """The agent in the scene: without the edit, and with it."""
    level, cells = open_cells(scene.levels)
    repeated, site = scene.levels[level], agent.site(edit.layer)
    picture = agent.painter.mice(scene.levels, np.array([scene.mouse]), scene.has_cheese)

    def side(change: Callable[[Tensor], Tensor]) -> Side:
        maps = edits.on_cells(scene.levels, level, cells, *site.policy(change(base)))
        with editing(agent.net, edit.layer, change):
            activations = outputs(agent.net, picture, [layer], "cpu")[layer][0]
            saliency = gradients(agent.net, picture, "cpu")[head][0]
        return Side(maps["moves"][0], maps["values"][0], activations, saliency)

    base = site.activations(repeated, cells, scene.has_cheese)
    original = side(lambda activations: activations)
    return original, side(edit.change(site, scene.levels)) if edit else original


def field(agent: Agent, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the five moves [W, W, 5] and values [W, W] with the mouse at each cell; NaN on walls."""
    level, cells = open_cells(scene.levels)
    pictures = agent.painter.mice(scene.levels[level], cells, scene.has_cheese)
    maps = edits.on_cells(scene.levels, level, cells, *policy(agent.net, pictures, "cpu"))
    return maps["moves"][0], maps["values"][0]


def way(moves: np.ndarray, scene: Scene, limit: int) -> list[Cell]:
    """The cells that the mouse passes from where it is, by moves drawn from these probabilities [W, W, 5].

    The random numbers are the same for all policies, so that walks differ only because policies do.
    """
    walker, rng = Scene(scene.levels), np.random.default_rng(0)
    walker.has_cheese, walker.mouse, walker.trail = scene.has_cheese, scene.mouse, [scene.mouse]
    for _ in range(limit):
        x, y = walker.mouse
        if not walker.step(moves[y, x].astype(float), rng):
            break
    return walker.trail


def course(agents: dict[int, Agent], scene: Scene) -> dict[str, np.ndarray]:
    """At every snapshot [S], with the mouse where it is: the probabilities of the moves to the goals, and the value.

    The probability of a goal is that of the move on the shortest way to it; NaN if there is none.
    """
    mouse = np.array([scene.mouse])
    outputs_of_snapshots = [
        policy(agent.net, agent.painter.mice(scene.levels, mouse, scene.has_cheese), "cpu") for agent in agents.values()
    ]
    moves = np.concatenate([probabilities for probabilities, _ in outputs_of_snapshots])
    chances = {}
    for name, goal in (("cheese", scene.levels.cheese), ("corner", scene.levels.corner)):
        move = towards(scene.levels.walls, goal)[0, scene.mouse[1], scene.mouse[0]]
        chances[name] = moves[:, move] if move >= 0 else np.full(len(moves), np.nan)
    return {
        "update": np.array(list(agents)),
        **chances,
        "value": np.concatenate([value for _, value in outputs_of_snapshots]),
    }
