"""The time slider: the same maze, layer and channel at every snapshot of two agents, side by side."""

from functools import lru_cache

import numpy as np
import pandas as pd
from bokeh.events import Tap
from bokeh.models import (
    Checkbox,
    ColumnDataSource,
    DataRange1d,
    Div,
    LayoutDOM,
    Row,
    Select,
    Span,
    Toggle,
)
from bokeh.plotting import figure

from agentomy import kinds
from agentomy.drawing.style import COLOURS, GREY
from agentomy.explorer import readings
from agentomy.explorer.activations import Files, written
from agentomy.explorer.choices import AgentChoice, LayerChoice
from agentomy.explorer.drawing import (
    INNER,
    MORE,
    SIGNED,
    STRONG,
    TIGHT,
    Field,
    Mosaic,
    Panel,
    beside,
    heading,
    help_text,
    legend,
    wrapping,
)
from agentomy.explorer.hands import Hands
from agentomy.explorer.passing import scene_of
from agentomy.explorer.readings import EDITED, SHORT, Edit, Side
from agentomy.explorer.results import Results
from agentomy.explorer.session import Session
from agentomy.tables import TableError

NAME = "along training"
PACE = 900  # of playing, milliseconds a snapshot
OBJECTS = ("cheese", "corner", "mouse", "wall", "floor")  # of kinds.maze_edits.CHANNELS
LOOKS = {"A": (COLOURS["blue"], "solid"), "B": (COLOURS["vermillion"], "dashed")}
HELP = (
    "The maze is that of the maze tab; change it on the panels here or there. Drag a time slider, or focus it and use "
    "<kbd>←</kbd> <kbd>→</kbd>. Keys: <kbd>[</kbd> <kbd>]</kbd> a snapshot back or on, <kbd>p</kbd> play, and those of "
    "the maze tab to change the maze."
)


def view(session: Session) -> LayoutDOM:
    return TrainingView(session).layout


class Lane:
    """One of the two agents: its widgets and its row of panels."""

    def __init__(self, session: Session, letter: str, hands: Hands, looks: LayerChoice):
        self.letter, self.choice = letter, AgentChoice(session, f"training-{letter}")
        name = f"training-{letter}"
        self.field = Field("policy on values", MORE, f"{name}-field")
        self.saliency = Panel("saliency", STRONG, f"{name}-saliency")
        self.map = Panel("channel", SIGNED, f"{name}-map")
        self.all = Mosaic(f"{name}-all")
        for panel in (self.field, self.saliency):
            hands.hold(panel.figure)
        for panel in (self.field, self.saliency, self.map):
            panel.mark(hands.objects)
        self.all.figure.on_event(Tap, lambda event: looks.pick(self.all.channel_at(event)))
        self.panels = [panel.figure for panel in (self.field, self.saliency, self.map, self.all)]

    def show(self, side: Side, looks: LayerChoice, world: int) -> None:
        """Draw what was read of the agent; `values` and channels have scales of their own."""
        self.field.show(side.values[::-1], np.nanmin(side.values), np.nanmax(side.values), world)
        self.field.point(*heading(side.moves))
        self.field.figure.title.text = f"{self.letter}: policy on values, update {self.choice.update.value}"
        self.saliency.show(side.saliency, 0, side.saliency.max(), world)
        self.saliency.figure.title.text = f"{self.letter}: saliency of {SHORT[looks.head.value]}"
        channel_map = side.layer[looks.channel.value]
        limit = np.abs(channel_map).max()
        self.map.show(channel_map, -limit, limit, world)
        self.map.figure.title.text = f"{self.letter}: {looks.layer.value}, channel {looks.channel.value}"
        self.all.show_all(side.layer)
        self.all.figure.title.text = f"{self.letter}: all {self.all.channels} channels; click one"


class TrainingView:
    """Two lanes of panels over one maze, and what changes along training below them."""

    def __init__(self, session: Session):
        self.session, self.scene, self.playing = session, scene_of(session), None
        self.hands = Hands(session, self.scene, NAME)
        self.refresh = session.drawing(NAME, self._draw)
        self.looks = LayerChoice("training", self.refresh)
        self.lanes = [Lane(session, letter, self.hands, self.looks) for letter in LOOKS]
        self.lanes[1].choice.update.value = self.lanes[1].choice.update.categories[0]
        self.together = Checkbox(label="move both in time", active=False, name="training-together")
        self.play = Toggle(label="play", width=60, name="training-play", stylesheets=[TIGHT])
        self.object = Select(title="AUC of the channel for", options=list(OBJECTS), value="cheese", width=INNER)
        self._courses()
        for number, lane in enumerate(self.lanes):
            lane.choice.followers.append(self._follower(number))
        self.object.on_change("value", lambda attr, old, new: self.refresh())
        self.play.on_change("active", lambda attr, old, on: self._play(on))
        for key, act in (("[", lambda: self._turn(-1)), ("]", lambda: self._turn(1)), ("p", self._press_play)):
            session.on_key(NAME, key, act)
        self.scene.followers.append(self.refresh)
        self.refresh()
        controls = [
            Div(text="<b>A</b>", margin=0), *self.lanes[0].choice.widgets,
            Div(text="<b>B</b>", margin=0), *self.lanes[1].choice.widgets,
            Row(self.play, self.together), *self.hands.widgets, *self.looks.widgets, self.object,
        ]  # fmt: skip
        plots = wrapping(self.chances, self.values, self.auc)
        rows = (wrapping(*lane.panels) for lane in self.lanes)
        self.layout = beside(controls, *rows, plots, help_text(HELP, "Along training", "maze"))

    def _follower(self, number: int):
        def follow() -> None:
            other = self.lanes[1 - number].choice.update
            now = self.lanes[number].choice.update.value
            if self.together.active and now in other.categories and other.value != now:
                other.value = now  # which draws both
            else:
                self.refresh()

        return follow

    # ---- along training ----------------------------------------------------------------------------------------

    def _courses(self) -> None:
        """The plots against updates: probabilities of the two goals' moves, the value, a channel's AUC."""
        width = 350
        self.chances, self.values, self.auc = (
            figure(title=title, width=width, height=190, toolbar_location=None, tools="", name=f"course-{name}",
                   x_axis_label="training update", y_range=limits)
            for name, title, limits in (
                ("chances", "at the mouse: P(a move towards …)", (-0.03, 1.03)),
                ("values", "at the mouse: value", DataRange1d()),
                ("auc", "AUC", (-0.03, 1.03)),
            )
        )  # fmt: skip
        self.course, self.now = {}, {}
        for lane in self.lanes:
            colour, dash = LOOKS[lane.letter]
            columns = {key: [] for key in ("update", "cheese", "corner", "value")}
            source, auc = ColumnDataSource(columns), ColumnDataSource({"update": [], "auc": []})
            self.course[lane.letter] = source, auc
            for goal, goal_colour in (("cheese", COLOURS["orange"]), ("corner", COLOURS["blue"])):
                self.chances.line(
                    "update", goal, source=source, line_color=goal_colour, line_dash=dash, line_width=2,
                    legend_label=f"{goal}, {lane.letter}",
                )  # fmt: skip
            for plot, column, data in ((self.values, "value", source), (self.auc, "auc", auc)):
                plot.line(
                    "update", column, source=data, line_color=colour, line_dash=dash, line_width=2,
                    legend_label=lane.letter,
                )  # fmt: skip
                plot.scatter("update", column, source=data, color=colour, size=5)
            self.now[lane.letter] = Span(dimension="height", line_color=colour, line_dash=dash, line_alpha=0.5)
            for plot in (self.chances, self.values, self.auc):
                plot.add_layout(self.now[lane.letter])
        self.auc.add_layout(Span(location=0.5, dimension="width", line_color=GREY, line_dash="dotted"))
        for plot in (self.chances, self.values, self.auc):
            plot.title.update(text_font_size="9pt", text_font_style="normal")
            plot.axis.axis_label_text_font_size = "8pt"
            legend(plot)

    def _draw(self) -> None:
        runs = [lane.choice.chosen for lane in self.lanes]
        for run in runs:
            if readings.world_of(run) != self.scene.world:
                raise TableError(
                    f"{run.label} lives in a world of side {readings.world_of(run)}, the maze in hand has "
                    f"{self.scene.world}; allowed: agents of the same world, or another maze in the maze tab"
                )
        for lane, run in zip(self.lanes, runs, strict=True):
            agents = lane.choice.snapshots()
            agent = lane.choice.agent()
            self.looks.offer(agent)
            edit = Edit(EDITED if EDITED in agent.editable else agent.editable[-1])
            side, _ = readings.read(agent, self.scene, self.looks.layer.value, self.looks.head.value, edit)
            lane.show(side, self.looks, self.scene.world)
            source, auc = self.course[lane.letter]
            source.data = readings.course(agents, self.scene)
            auc.data = self._auc(run, int(lane.choice.seed.value))
            self.now[lane.letter].location = int(lane.choice.update.value)
        where = f"{self.looks.layer.value}, channel {self.looks.channel.value}"
        measured = any(len(auc.data["update"]) for _, auc in self.course.values())
        self.auc.title.text = f"AUC, {self.object.value}: {where if measured else 'not measured'}"

    def _auc(self, run, seed: int) -> dict[str, np.ndarray]:
        """How well the channel tells the object along training, as the pipeline has measured it."""
        files = tuple(self.session.results.pieces(run.study).get("channels", ()))
        if not files:
            return {"update": np.array([]), "auc": np.array([])}
        frame = _channels(self.session.results, files, written(files))
        wanted = {
            "run": run.name, "seed": seed, "layer": self.looks.layer.value, "channel": self.looks.channel.value,
            "object": self.object.value,
        }  # fmt: skip
        rows = frame[np.logical_and.reduce([frame[name] == value for name, value in wanted.items()])]
        rows = rows.sort_values("update")
        return {"update": rows["update"].to_numpy(), "auc": rows["auc"].to_numpy()}

    # ---- time --------------------------------------------------------------------------------------------------

    def _turn(self, by: int) -> bool:
        """Move in time, A alone or both; returns whether there was anywhere to go."""
        moved = False
        for lane in self.lanes if self.together.active else self.lanes[:1]:
            slider = lane.choice.update
            place = list(slider.categories).index(slider.value) + by
            if 0 <= place < len(slider.categories):
                slider.value, moved = slider.categories[place], True
        return moved

    def _press_play(self) -> None:
        self.play.active = not self.play.active

    def _play(self, on: bool) -> None:
        if self.playing:
            self.session.document.remove_periodic_callback(self.playing)
            self.playing = None
        if on:
            if not self._turn(1):  # at the end: from the beginning
                for lane in self.lanes if self.together.active else self.lanes[:1]:
                    lane.choice.update.value = lane.choice.update.categories[0]
            self.playing = self.session.document.add_periodic_callback(self._on, PACE)

    def _on(self) -> None:
        if not self._turn(1):
            self.play.active = False


@lru_cache(maxsize=4)
def _channels(results: Results, files: Files, written: tuple[int, ...]) -> pd.DataFrame:
    return results.table(kinds.maze_edits.CHANNELS, *files).frame()
