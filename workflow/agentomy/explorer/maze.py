"""The maze view: change a maze and an agent's activations, and see at once what the policy makes of it."""

from time import perf_counter

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    Button,
    Checkbox,
    ColumnDataSource,
    LayoutDOM,
    Row,
    Select,
    Slider,
    Toggle,
)

from agentomy.explorer import passing, readings
from agentomy.explorer.choices import AgentChoice, LayerChoice, MazeChoice
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
    line,
    reason,
    said_why,
    wrapping,
)
from agentomy.explorer.hands import Hands, cell_at
from agentomy.explorer.readings import SHORT, Edit, Side
from agentomy.explorer.scenes import Cell
from agentomy.explorer.session import Session
from agentomy.kinds.maze import MAZE_MOVES

NAME = "maze"
PACE = 250  # of playing, milliseconds a step
HELP = (
    "<b>Click</b> a cell to build or break a wall, <b>drag</b> the mouse (grey) or the cheese (orange), drag elsewhere "
    "to draw walls. Keys: <kbd>←↓↑→</kbd> move the cursor, <kbd>space</kbd> wall, <kbd>m</kbd> mouse and "
    "<kbd>c</kbd> cheese to the cursor, <kbd>s</kbd> step, <kbd>p</kbd> play, <kbd>r</kbd> back to the start, "
    "<kbd>k</kbd> clamp at the cursor. ★ is the top-right cell. Panels with an edit and the difference that it makes "
    "appear with the first edit."
)


def view(session: Session) -> LayoutDOM:
    return MazeView(session).layout


class MazeView:
    """The widgets and panels, and what connects them."""

    def __init__(self, session: Session):
        self.session, self.scene = session, passing.scene_of(session)
        self.passes = passing.first(session.results)
        self.choice = AgentChoice(session, "maze", self.passes and self.passes.run)
        self.mazes = MazeChoice(session, self.scene, session.guarded)
        if self.passes and self.passes.table in self.mazes.table.options:
            self.mazes.begin(self.passes.table, self.passes.number)
        self.hands = Hands(session, self.scene, NAME)
        self.rng, self.playing, self.showing = np.random.default_rng(), None, False
        self.place: Cell = self.scene.cheese  # where a channel is clamped
        self.original: Side | None = None
        self.refresh = session.drawing(NAME, self._draw)
        self._panels()
        self._widgets()
        self.scene.followers.append(self.refresh)
        self.choice.followers.append(session.guarded(self._agent_changed))
        self.refresh()

    # ---- what is on the page -----------------------------------------------------------------------------------

    def _panels(self) -> None:
        self.clamped = ColumnDataSource({"x": [], "y": [], "width": [], "height": []})
        self.fields = [
            Field("policy on values", MORE, "field-original"),
            Field("edited", MORE, "field-edited"),
            Field("difference", SIGNED, "field-difference"),
        ]
        self.saliency = Panel("saliency", STRONG, "saliency")
        self.maps = [Panel(title, SIGNED, f"layer-{title}") for title in ("original", "edited", "difference")]
        self.all = Mosaic("all-channels")
        for panel in [*self.fields, self.saliency]:
            self.hands.hold(panel.figure)
        for panel in [*self.fields, self.saliency, *self.maps]:
            panel.mark(self.hands.objects)
        for panel in self.maps:
            panel.figure.rect(
                "x", "y", "width", "height", source=self.clamped, fill_alpha=0, line_color="black", line_width=2
            )
            panel.figure.on_event(Tap, lambda event: self._clamp_at(cell_at(event)))
        self.all.figure.on_event(Tap, lambda event: self.looks.pick(self.all.channel_at(event)))

    def _widgets(self) -> None:
        agent, wide, self.status = self.choice.agent(), INNER, line("status")
        self.looks = LayerChoice("maze", self.refresh)
        self.where = Select(title="layer edited", width=wide, name="edit-layer")
        self._offer_layers(agent)
        self.cheese = Slider(title="cheese vector ×", start=-5, end=5, step=0.25, value=0, width=wide, name="cheese")
        self.top_right = Slider(
            title="top-right vector ×", start=-5, end=5, step=0.25, value=0, width=wide, name="top-right"
        )
        self.clamp = Checkbox(label="clamp this channel where outlined, to", active=False, name="clamp")
        self.value = Slider(title="value", start=-10, end=10, step=0.1, value=5.5, width=wide, name="clamp-value")
        step, start, as_given, plain = (
            Button(label=label, width=width, name=name, margin=(4, 1, 4, 1), stylesheets=[TIGHT])
            for label, width, name in (
                ("step", 42, "step"), ("to start", 60, "start"), ("maze as given", 94, "given"),
                ("no edits", 80, "plain"),
            )
        )  # fmt: skip
        self.play = Toggle(label="play", width=42, name="play", margin=(4, 1, 4, 1), stylesheets=[TIGHT])
        for widget in (self.where, self.cheese, self.top_right, self.value):
            widget.on_change("value", lambda attr, old, new: self.refresh())
        self.clamp.on_change("active", lambda attr, old, new: self.refresh())
        step.on_click(self._step)
        start.on_click(self.scene.restart)
        as_given.on_click(lambda: self.scene.take(self.scene.given))
        plain.on_click(self._no_edits)
        self.play.on_change("active", lambda attr, old, on: self._play(on))
        for key, act in (("s", self._step), ("r", self.scene.restart), ("k", self._clamp_at_cursor)):
            self.session.on_key(NAME, key, act)
        self.session.on_key(NAME, "p", lambda: self.play.update(active=not self.play.active))
        show = Button(
            label="show me: it passes the cheese", width=INNER, name="show-me", button_type="primary",
            disabled=not self.passes,
        )  # fmt: skip
        self.why = reason("show-reason")
        self.why.text = "" if self.passes else said_why(passing.NONE)
        show.on_click(self.session.guarded(self._show_me, self.why))
        controls = [
            show, self.why, *self.choice.widgets, *self.mazes.widgets, *self.hands.widgets,
            Row(step, self.play, start, as_given),
            *self.looks.widgets, self.where, self.cheese, self.top_right,
            self.clamp, self.value, plain,
        ]  # fmt: skip
        rows = (
            wrapping(*(panel.figure for panel in panels))
            for panels in ([*self.fields, self.saliency], [*self.maps, self.all])
        )
        self.layout = beside(controls, self.status, *rows, help_text(HELP, "The maze", "maze"))

    def _offer_layers(self, agent: readings.Agent) -> None:
        self.looks.offer(agent)
        editable = agent.editable
        first = readings.EDITED if readings.EDITED in editable else editable[-1]
        self.where.update(options=editable, value=self.where.value if self.where.value in editable else first)

    # ---- what happens ------------------------------------------------------------------------------------------

    def _agent_changed(self) -> None:
        agent, world = self.choice.agent(), readings.world_of(self.choice.chosen)
        self._offer_layers(agent)
        if world != self.mazes.world:
            self.mazes.offer(world)
        self.refresh()

    @property
    def edit(self) -> Edit:
        place = self.choice.agent().place(self.where.value, self.place)
        channels = self.choice.agent().shapes[self.where.value][0]
        clamp = (min(self.looks.channel.value, channels - 1), *place, self.value.value) if self.clamp.active else None
        return Edit(self.where.value, self.cheese.value, self.top_right.value, clamp)

    def _draw(self) -> None:
        began = perf_counter()
        agent = self.choice.agent()
        if agent.painter.world != self.scene.world:
            return  # a maze of its world is on its way
        self.looks.offer(agent)
        self.original, self.edited = readings.read(
            agent, self.scene, self.looks.layer.value, self.looks.head.value, self.edit
        )
        spent = perf_counter() - began
        self._show()
        self._tell(spent)

    def _show(self) -> None:
        world = self.scene.world
        sides = [self.original, self.edited, self.edited - self.original]
        both = np.stack([self.original.values, self.edited.values])
        most = np.nanmax(np.abs(sides[2].values)) or 1
        ranges = [(np.nanmin(both), np.nanmax(both))] * 2 + [(-most, most)]
        for panel in (*self.fields[1:], *self.maps[1:]):
            panel.figure.visible = bool(self.edit)
        self.fields[0].figure.title.text = f"policy on values{', original' * bool(self.edit)}"
        for panel, side, (low, high) in zip(self.fields, sides, ranges, strict=True):
            panel.show(side.values[::-1], low, high, world)
            panel.point(*heading(side.moves))
        saliency = self.edited.saliency
        self.saliency.show(saliency, 0, saliency.max(), world)
        self.saliency.figure.title.text = f"saliency of {SHORT[self.looks.head.value]}{', edited' * bool(self.edit)}"
        self._show_layer(sides)

    def _show_layer(self, sides: list[Side]) -> None:
        world = self.scene.world
        channel = self.looks.channel.value
        most = max(np.abs(side.layer[channel]).max() for side in sides[:2])
        for panel, side in zip(self.maps, sides, strict=True):
            channel_map = side.layer[channel]
            limit = np.abs(channel_map).max() if side is sides[2] else most
            panel.show(channel_map, -limit, limit, world)
        self.maps[0].figure.title.text = f"{self.looks.layer.value}, channel {channel}"
        self.all.show_all(self.edited.layer)
        self.all.figure.title.text = f"all {self.all.channels} channels{', edited' * bool(self.edit)}; click one"
        size = self.choice.agent().shapes[self.where.value][-1]
        row, column = self.choice.agent().place(self.where.value, self.place)
        pixel = world / size
        self.clamped.data = {
            "x": [(column + 0.5) * pixel - 0.5], "y": [world - (row + 0.5) * pixel - 0.5],
            "width": [pixel], "height": [pixel],
        }  # fmt: skip

    def _tell(self, spent: float) -> None:
        x, y = self.scene.mouse
        moves, value = self.edited.moves[y, x], self.edited.values[y, x]
        policy = ", ".join(f"{name} {chance:.2f}" for name, chance in zip(MAZE_MOVES, moves, strict=True))
        state, steps = "", len(self.scene.trail) - 1
        if self.scene.done:
            state = f"the cheese is reached after {steps} steps; "
        elif self.scene.passed:
            state = f"after {steps} steps it is at the top-right cell and has left the cheese behind; "
        self.status.text = (
            f"{state}at the mouse: P = {policy}; value {value:.2f}"
            f"{' (under the edit)' * bool(self.edit)} · computed in {1000 * spent:.0f} ms"
        )

    def _clamp_at(self, cell: Cell) -> None:
        if self.scene.inside(cell):
            self.place = cell
            self.refresh()

    def _clamp_at_cursor(self) -> None:
        self._clamp_at(self.scene.cursor)
        self.clamp.active = True

    def _show_me(self) -> None:
        """Let the agent that passes the cheese do so, in a maze where it does, from the start."""
        shown, choice = self.passes, self.choice
        self.play.active = False
        self._no_edits()
        choice.run.value, choice.seed.value = shown.run, str(shown.seed)
        choice.update.value = choice.update.categories[-1]
        self.mazes.begin(shown.table, shown.number)
        self.scene.show_cheese(True)
        self.rng = np.random.default_rng(passing.LUCK)
        self.showing = self.play.active = True

    def _no_edits(self) -> None:
        self.cheese.value = self.top_right.value = 0
        self.clamp.active = False

    def _step(self) -> None:
        x, y = self.scene.mouse
        goes_on = self.scene.step(self.edited.moves[y, x].astype(float), self.rng)
        if not goes_on or (self.showing and self.scene.passed):
            self.play.active = self.showing = False

    def _play(self, on: bool) -> None:
        if self.playing:
            self.session.document.remove_periodic_callback(self.playing)
            self.playing = None
        if on:
            if self.scene.done:
                self.scene.restart()
            self.playing = self.session.document.add_periodic_callback(self._step, PACE)
