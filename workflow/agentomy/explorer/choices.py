"""Agents and mazes to choose from, and the widgets to choose them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from bokeh.models import CategoricalSlider, Row, Select, Slider, Spinner

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.mazes import Levels
from agentomy.explorer import readings
from agentomy.explorer.drawing import INNER
from agentomy.explorer.readings import HEADS, Agent
from agentomy.explorer.results import Results, Run
from agentomy.explorer.scenes import Scene
from agentomy.explorer.session import Session
from agentomy.tables import BrokenTable, Table, TableError

GENERATED = "generated here"
OFFERED = 1000  # mazes of a table


def maze_runs(results: Results) -> dict[str, Run]:
    """The maze agents by label; a `TableError` if there is none."""
    runs = {run.label: run for run in results.runs(readings.NETWORK)}
    if not runs:
        raise TableError(f"no trained maze agent: {results.missing('maze', 'train')}")
    return runs


def level_tables(results: Results, world: int) -> Iterator[tuple[str, Table]]:
    """The tables of levels in a world of this size, those named `test` first."""
    for study in results.studies:
        paths = results.paths(study, "environments")
        for name in sorted(paths, key=lambda name: name != "test"):
            try:
                table = results.table(kinds.maze.LEVELS, paths[name])
            except BrokenTable:
                raise
            except TableError:  # another sort of environment
                continue
            if table.description.parameters.get("world") == world:
                yield f"{study}: {name}", table


def levels_of(results: Results, world: int, table: str) -> tuple[Levels, int]:
    """The mazes of a table, and the one to begin with: the first of the largest mazes that has a decision square."""
    for label, rows in level_tables(results, world):
        if label == table:
            levels, decision = mazes.read(rows)[:OFFERED], rows.values("decision_x")[:OFFERED]
            decides = (levels.side == levels.side.max()) & (decision >= 0)
            return levels, int(decides.argmax())
    levels = mazes.generate(np.arange(OFFERED), world)
    return levels, int((levels.side == world).argmax())


def first_scene(results: Results, world: int) -> Scene:
    """The maze to begin with in a world."""
    label = next((label for label, _ in level_tables(results, world)), GENERATED)
    levels, first = levels_of(results, world, label)
    return Scene(levels[[first]])


def longest(runs: dict[str, Run]) -> str:
    """The label of the run of the first study that was trained longest, as the runs that claims are judged on are."""
    study = next(iter(runs.values())).study
    return max((label for label, run in runs.items() if run.study == study), key=lambda label: runs[label].updates[-1])


class RunChoice:
    """Widgets to choose one of several runs, a seed and a snapshot."""

    def __init__(self, runs: dict[str, Run], name: str, first: str):
        self.runs, self.followers = runs, []
        self._left: dict[str, str] = {}  # the snapshot at which each run was left
        self.run = Select(title="agent", options=list(runs), value=first, width=INNER, name=f"{name}-run")
        self.seed = Select(title="seed", width=60, name=f"{name}-seed")
        self.update = CategoricalSlider(
            title="training update", categories=["0"], value="0", width=INNER - 84, name=f"{name}-update"
        )
        self._offering = False
        self._offer()
        self.run.on_change("value", lambda attr, old, new: self._left.update({old: self.update.value}))
        self.run.on_change("value", lambda attr, old, new: self._offer())
        for widget in (self.run, self.seed, self.update):
            widget.on_change("value", lambda attr, old, new: self.changed())

    @property
    def chosen(self) -> Run:
        return self.runs[self.run.value]

    @property
    def file(self) -> Path:
        """The parameters of the chosen seed."""
        return self.chosen.files[int(self.seed.value)]

    def _offer(self) -> None:
        self._offering = True
        seeds = [str(seed) for seed in self.chosen.files]
        updates = [str(update) for update in self.chosen.updates]
        kept = self.seed.value if self.seed.value in seeds else seeds[0]
        self.seed.update(options=seeds, value=kept)
        # the snapshot at which this run was left, at first the last: another run's place says nothing about this one
        left = self._left.get(self.run.value, updates[-1])
        self.update.update(categories=updates, value=left if left in updates else updates[-1])
        self._offering = False

    def changed(self) -> None:
        if not self._offering:
            for follower in self.followers:
                follower()

    @property
    def widgets(self) -> list:
        return [self.run, Row(self.seed, self.update)]


class AgentChoice(RunChoice):
    """Widgets to choose a maze agent, a seed and a snapshot."""

    def __init__(self, session: Session, name: str, first: str | None = None):
        self.session, runs = session, maze_runs(session.results)
        super().__init__(runs, name, first or longest(runs))

    def agent(self) -> Agent:
        return self.snapshots()[int(self.update.value)]

    def snapshots(self) -> dict[int, Agent]:
        """The agent at every update at which there is a snapshot."""
        return readings.load(self.session.results, self.chosen, int(self.seed.value))


class LayerChoice:
    """Widgets to choose the layer, the channel and the output whose saliency is shown."""

    def __init__(self, name: str, changed: Callable[[], None]):
        self.layer = Select(title="layer shown", width=INNER, name=f"{name}-layer")
        self.head = Select(title="saliency of", options=list(HEADS.items()), value="move", width=INNER)
        self.channel = Slider(title="channel", start=0, end=1, step=1, value=0, width=INNER, name=f"{name}-channel")
        for widget in (self.layer, self.head, self.channel):
            widget.on_change("value", lambda attr, old, new: changed())

    def offer(self, agent: Agent) -> None:
        """Offer the layers of an agent, and the channels of the chosen layer."""
        layers = agent.layers
        first = readings.EDITED if readings.EDITED in layers else layers[-1]
        self.layer.update(options=layers, value=self.layer.value if self.layer.value in layers else first)
        last = agent.shapes[self.layer.value][0] - 1
        self.channel.update(end=max(last, 1), value=min(self.channel.value, last))

    def pick(self, channel: int | None) -> None:
        if channel is not None:
            self.channel.value = channel

    @property
    def widgets(self) -> list:
        return [self.layer, self.head, self.channel]


class MazeChoice:
    """Widgets to choose a level from one of the tables or from the generator."""

    def __init__(self, session: Session, scene: Scene, guarded: Callable):
        self.session, self.scene = session, scene
        self.table = Select(title="mazes", width=INNER - 90, name="maze-table")
        self.number = Spinner(title="number", low=0, high=OFFERED - 1, step=1, width=80, name="maze-number")
        self.offer(scene.world)
        self.table.on_change("value", guarded(lambda attr, old, new: self._begin()))
        self.number.on_change("value", guarded(lambda attr, old, new: self._take()))

    def offer(self, world: int) -> None:
        """Offer the tables of a world, and take its first maze if the current maze is of another world."""
        self.world = world
        labels = [*(label for label, _ in level_tables(self.session.results, world)), GENERATED]
        self.table.update(options=labels, value=self.table.value if self.table.value in labels else labels[0])
        self._begin(take=self.scene.world != world)

    def _begin(self, take: bool = True) -> None:
        self.levels, first = levels_of(self.session.results, self.world, self.table.value)
        self.number.update(high=len(self.levels) - 1, value=first)
        if take:
            self._take()

    def begin(self, table: str, number: int) -> None:
        """Take one maze of a table."""
        self.table.value, self.number.value = table, number
        self._take()

    def _take(self) -> None:
        if self.number.value is not None:
            self.scene.take(self.levels[[min(int(self.number.value), len(self.levels) - 1)]])

    @property
    def widgets(self) -> list:
        return [Row(self.table, self.number)]
