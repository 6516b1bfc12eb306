"""The path view: an agent's way along its directions beside random walks, and policies rebuilt from points near it."""

from collections.abc import Callable
from html import escape

import numpy as np
from bokeh.events import Pan, PanEnd, Tap
from bokeh.models import (
    Button,
    Column,
    ColumnDataSource,
    Div,
    LayoutDOM,
    LinearColorMapper,
    Row,
    Select,
    Slider,
    Span,
    Spinner,
)

from agentomy.drawing.style import COLOURS, GREY
from agentomy.explorer import paths, players
from agentomy.explorer.behaviour import SIDES, Behaviour
from agentomy.explorer.choices import RunChoice, first_scene
from agentomy.explorer.drawing import (
    INNER,
    STRONG,
    TIGHT,
    WHOLE,
    beside,
    help_text,
    legend,
    line,
    message,
    plot,
    reason,
    said_why,
    wrapping,
)
from agentomy.explorer.paths import Route, Walk
from agentomy.explorer.players import Episodes, Mazes
from agentomy.explorer.readings import world_of
from agentomy.explorer.scenes import Scene
from agentomy.explorer.session import Session, Work

NAME = "path"
KEPT = 16  # directions of which policies are rebuilt, at first
# The study plays all episodes of a task side by side. Fewer are quicker, but the same episode then goes another way
# where a task is chaotic, since float32 products are rounded otherwise: only with all are returns the study's.
EPISODES = 10
MOST = 1000  # episodes or mazes that can be played
SMALL = 16  # side of a picture of a maze, pixels: up to here a hundred are played at first, beyond ten
PIXELS = "pixels.PixelActor"  # whose episodes are slow
STEP = 0.03  # of the point, in shares of the plane's extent, at a key
# of the path and its nulls: a colour, a dash, a width
PATHS = {
    "real": (COLOURS["blue"], "solid", 2.5),
    "walk": (COLOURS["vermillion"], "dashed", 1.5),
    "shuffled": (COLOURS["black"], "dotted", 1.5),
}
POINT = COLOURS["orange"]
# of a path: what of each snapshot is decomposed, and the directions of the plane at first. Raw paths have a first
# direction that hardly changes: the mean of the parameters.
VARIANTS = {"delta": ("change since the start", (1, 2)), "raw": ("the parameters", (2, 3))}
EXPLAINED = (
    "Direction i is the i-th singular vector of the path (a snapshot a row), the one along which it goes farthest "
    "first; U[:, i] is where each snapshot is along it. The policy is rebuilt from the first k."
)
HELP = (
    "<b>Drag</b> the point (orange) in the plane of two directions, or click there: when it is let go, the policy of "
    "the first k directions, with these two coordinates in place of the snapshot's, is rebuilt and plays. Keys: "
    "<kbd>←</kbd> <kbd>↓</kbd> <kbd>↑</kbd> <kbd>→</kbd> move the point, <kbd>Enter</kbd> play, <kbd>r</kbd> back to "
    "the snapshot, <kbd>[</kbd> <kbd>]</kbd> a snapshot back or on, <kbd>,</kbd> <kbd>.</kbd> a step of the episode. "
    "Numbers in the plane are mean returns, or shares of test mazes whose cheese it gets. Nulls: a random walk with "
    "each parameter's own step sizes; the real steps in shuffled order. Behaviour: the first episode, played greedily, "
    "vermillion 1, white 0, blue -1, of an action's bounds or an observation's largest size; or, in the maze of the "
    "maze tab, the policy on its values and the mouse's way, its moves sampled with the same luck on both sides."
)


def view(session: Session) -> LayoutDOM:
    return PathView(session).layout


class PathView:
    """The widgets and panels, and what connects them."""

    def __init__(self, session: Session):
        self.session = session
        self.routes, problems = paths.routes(session.results)
        runs = {label: route.run for label, route in self.routes.items()}
        self.choice = RunChoice(runs, NAME, next(iter(self.routes)))
        self.refresh = session.drawing(NAME, self._draw)
        self.walk: Walk | None = None  # of the chosen run and seed, once it is read or made
        self.of: tuple[str, str] | None = None  # the run and seed
        self.point = (0.0, 0.0)
        self.played: dict[str, Episodes | Mazes] = {}
        self.asked: tuple | None = None  # what has been played
        self.scenes: dict[int, Scene] = {}  # mazes of other worlds than that of the current maze
        self._widgets()
        self._panels()
        self.work = Work(session.document, self.status)
        self.choice.followers.append(self._chosen)
        session.follow_scene(self.refresh)
        for key, act in self._keys().items():
            session.on_key(NAME, key, self._once_known(act))
        self._chosen()
        explained = Div(text=EXPLAINED, width=INNER, styles={"color": "#555", "font-size": "12px"})
        controls = [
            *self.choice.widgets, self.variant, Row(self.across, self.up), Row(self.kept, self.count), explained,
            Row(self.playing, self.back), self.why, self.step,
        ]  # fmt: skip
        about = help_text(HELP, "Paths of agents", "path")
        shown = [wrapping(self.plane, Column(*self.courses)), self.behaviour.layout, about]
        head = [message(problem) for problem in problems]
        self.layout = Column(*head, beside(controls, self.status, *shown), **WHOLE)

    # ---- what is on the page -----------------------------------------------------------------------------------

    def _widgets(self) -> None:
        half = INNER // 2 - 6
        self.across, self.up, self.kept, self.count = (
            Spinner(title=title, low=1, high=high, step=1, value=value, width=half, name=f"path-{name}")
            for title, name, value, high in (
                ("direction across", "across", 1, 999), ("direction up", "up", 2, 999),
                ("directions kept, k", "kept", KEPT, 999), ("episodes, at most", "episodes", EPISODES, MOST),
            )
        )  # fmt: skip
        self.variant = Select(
            title="path shown", width=INNER, value="delta", name="path-variant",
            options=[(name, f"{what} ({name})") for name, (what, _) in VARIANTS.items()],
        )  # fmt: skip
        self.step = Slider(title="step of the episode", start=0, end=1, step=1, value=0, width=INNER, name="path-step")
        self.playing, self.back = (Button(label=label, width=half, stylesheets=[TIGHT], name=f"path-{label.split()[0]}")
                                   for label in ("play it", "back to snapshot"))  # fmt: skip
        self.status, self.why = line("path-status"), reason("path-reason")
        self.playing.on_click(self._once_known(self.play))
        self.back.on_click(self._once_known(self._back))
        for widget in (self.across, self.up, self.kept):
            widget.on_change("value", lambda attr, old, new: self._path_changed())
        self.count.on_change("value", lambda attr, old, new: self._forget() or self.refresh())
        self.variant.on_change("value", lambda attr, old, new: self._turned())
        self.step.on_change("value", lambda attr, old, new: self.refresh())

    def _panels(self) -> None:
        self.plane = plot("", "", "", "path-plane", 420, 330)
        self.way = ColumnDataSource({"x": [], "y": [], "update": []})
        self.now, self.held = ColumnDataSource({"x": [], "y": []}), ColumnDataSource({"x": [], "y": []})
        self.scored = ColumnDataSource({"x": [], "y": [], "said": []})
        self.times = LinearColorMapper(palette=STRONG[16:], low=0, high=1)
        self.plane.x_range.range_padding = 0.2  # for numbers beside the last points
        self.plane.line("x", "y", source=self.way, color=GREY, line_alpha=0.6)
        self.plane.scatter("x", "y", source=self.way, size=5, color={"field": "update", "transform": self.times})
        self.plane.scatter("x", "y", source=self.scored, marker="x", size=8, color=POINT, line_width=2)
        self.plane.text("x", "y", "said", source=self.scored, x_offset=6, y_offset=-4, text_font_size="8pt")
        self.plane.scatter(
            "x", "y", source=self.now, marker="square", size=12, fill_alpha=0, line_color="black", line_width=2
        )
        self.plane.scatter("x", "y", source=self.held, size=14, color=POINT, line_color="black")
        self.plane.on_event(Pan, lambda event: self._put(event.x, event.y) if self.walk else None)
        self.plane.on_event(PanEnd, self._once_known(self.play))
        self.plane.on_event(Tap, self._tapped)
        self.courses = [plot("", "training update", "", f"path-course-{name}", 540, 165) for name in ("across", "up")]
        self.lines, self.spans = [], []
        for panel in self.courses:
            self.lines.append({name: ColumnDataSource({"update": [], "course": []}) for name in PATHS})
            for name, (colour, dash, width) in PATHS.items():
                panel.line("update", "course", source=self.lines[-1][name], line_color=colour, line_dash=dash,
                           line_width=width, legend_label=name)  # fmt: skip
            self.spans.append(Span(dimension="height", line_color=GREY, line_dash="dashed"))
            panel.add_layout(self.spans[-1])
            legend(panel)
        self.behaviour = Behaviour()

    def _keys(self) -> dict[str, Callable[[], None]]:
        return {
            "ArrowLeft": lambda: self._move(-1, 0), "ArrowRight": lambda: self._move(1, 0),
            "ArrowDown": lambda: self._move(0, -1), "ArrowUp": lambda: self._move(0, 1),
            "Enter": self.play, "r": self._back, "[": lambda: self._turn(-1), "]": lambda: self._turn(1),
            ",": lambda: self._look(-1), ".": lambda: self._look(1),
        }  # fmt: skip

    # ---- drawing -----------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if self.walk is None:
            what = "reading" if self.route.grams else "decomposing"
            self.work.ask(f"{what} the path of {self.choice.run.value} …", self.session.guarded(self._know, self.why))
            return
        self._show_path(self.walk)
        longest = max(
            (len(played.observations) for played in self.played.values() if isinstance(played, Episodes)), default=1
        )
        self.step.update(end=max(longest - 1, 1), value=min(self.step.value, max(longest - 1, 1)))
        self.behaviour.show(self.played, self.step.value, self._scene() if self.mouse else None)

    def _show_path(self, walk: Walk) -> None:
        spectrum = walk.spectra[self.variant.value]["real"]
        across, up = self.directions
        x, y = (spectrum.courses[:, number - 1] for number in (across, up))
        self.way.data = {"x": x, "y": y, "update": walk.updates}
        self.times.update(low=float(walk.updates[0]), high=float(walk.updates[-1]))
        self.now.data = {"x": x[[self.place]], "y": y[[self.place]]}
        self.held.data = {"x": [self.point[0]], "y": [self.point[1]]}
        self.plane.title.text = f"{VARIANTS[self.variant.value][0]}, light to dark; □ the snapshot"
        self.plane.xaxis.axis_label, self.plane.yaxis.axis_label = f"U[:, {across}]", f"U[:, {up}]"
        for panel, lines, span, number in zip(self.courses, self.lines, self.spans, (across, up), strict=True):
            for name, source in lines.items():
                source.data = {
                    "update": walk.updates, "course": walk.spectra[self.variant.value][name].courses[:, number - 1]
                }  # fmt: skip
            shares = ", ".join(
                f"{name} {100 * spectrum.share(number):.1f} %"
                for name, spectrum in walk.spectra[self.variant.value].items()
            )
            panel.title.text = f"U[:, {number}], {self.variant.value}; share of singular values: {shares}"
            span.location = float(walk.updates[self.place])

    def _tell(self) -> None:
        invited = "Nothing played yet: drag the point, or press Enter." if self.walk else ""
        nothing = "" if players.why_not(self.route.run) else invited
        told = "; ".join(f"{SIDES[side]}: {played.said}" for side, played in self.played.items())
        self.status.text = escape(told if self.played else nothing)

    # ---- what is chosen ----------------------------------------------------------------------------------------

    @property
    def route(self) -> Route:
        return self.routes[self.choice.run.value]

    @property
    def mouse(self) -> bool:
        return players.is_mouse(self.route.run)

    @property
    def place(self) -> int:
        """Which snapshot of the path is chosen."""
        return self.walk.place(int(self.choice.update.value))

    @property
    def directions(self) -> tuple[int, int]:
        """The two of the plane; those kept are at least as many."""
        most = len(self.walk.updates)
        across, up = (int(min(max(widget.value or 1, 1), most)) for widget in (self.across, self.up))
        return across, up

    @property
    def courses_of_path(self) -> np.ndarray:
        return self.walk.spectra[self.variant.value]["real"].courses

    @property
    def coordinates(self) -> np.ndarray:
        """Those of the policy [k]: the snapshot's, and the point's in the plane."""
        across, up = self.directions
        kept = int(min(max(self.kept.value or 1, across, up), len(self.walk.updates)))
        coordinates = self.courses_of_path[self.place, :kept].copy()
        coordinates[[across - 1, up - 1]] = self.point
        return coordinates

    def _scene(self) -> Scene:
        """The current maze, or a maze of the agent's own world if that is another."""
        world, shared = world_of(self.route.run), self.session.scene
        if shared and shared.world == world:
            return shared
        if world not in self.scenes:
            self.scenes[world] = first_scene(self.session.results, world)
        return self.scenes[world]

    # ---- what happens ------------------------------------------------------------------------------------------

    def _once_known(self, act: Callable[[], None]) -> Callable[..., None]:
        """An act that does nothing while there is no path."""
        return lambda *event: act() if self.walk else None

    def _chosen(self) -> None:
        """Another run, seed or snapshot."""
        of = self.choice.run.value, self.choice.seed.value
        if of != self.of:
            self.of, self.walk = of, None
            self._run_changed()
        self._path_changed()

    def _run_changed(self) -> None:
        """Show nothing until the path is known; say what can be played, and how much of it at first."""
        courses = [source for lines in self.lines for source in lines.values()]
        for source in (self.way, self.now, self.held, *courses):
            source.data = {name: [] for name in source.data}
        run, playable = self.route.run, not players.why_not(self.route.run)
        self.why.text = said_why(players.why_not(run))
        self.playing.disabled, self.step.visible = not playable, playable and not self.mouse
        self.behaviour.offer(playable and not self.mouse, playable and self.mouse)
        if self.mouse:
            few = 100 if run.network.get("pixels") in range(SMALL + 1) else 10
            self.count.update(title="test mazes", high=MOST, value=few)
        else:
            few = 1 if run.network.get("use") == PIXELS else EPISODES
            self.count.update(title="episodes, at most", high=MOST, value=few)

    def _know(self) -> None:
        """Read or make the path."""
        try:
            self.walk = paths.walk(self.session.results, self.route, int(self.choice.seed.value))
            self._path_changed()
        finally:
            self._tell()

    def _path_changed(self) -> None:
        """Another path, snapshot or plane: the point is where the snapshot is."""
        self.scored.data = {"x": [], "y": [], "said": []}
        self._forget()
        if self.walk:
            self._back()
        self.refresh()

    def _turned(self) -> None:
        """Another variant of the path: begin in a plane of it where something is to be seen."""
        most = len(self.walk.updates) if self.walk else 999
        across, up = (min(direction, most) for direction in VARIANTS[self.variant.value][1])
        self.across.value, self.up.value = across, up
        self._path_changed()

    def _forget(self) -> None:
        self.played, self.asked = {}, None
        self._tell()

    def _back(self) -> None:
        across, up = self.directions
        courses = self.courses_of_path[self.place]
        self._put(courses[across - 1], courses[up - 1])
        self.refresh()

    def _put(self, x: float, y: float) -> None:
        self.point = float(x), float(y)
        self.held.data = {"x": [self.point[0]], "y": [self.point[1]]}

    def _move(self, right: int, up: int) -> None:
        extent = [max(np.ptp(self.way.data[axis]), 1e-3) for axis in "xy"]
        self._put(self.point[0] + STEP * extent[0] * right, self.point[1] + STEP * extent[1] * up)

    def _tapped(self, event: Tap) -> None:
        if self.walk and not self.work.busy:
            self._put(event.x, event.y)
            self.play()

    def play(self) -> None:
        """Rebuild the policy at the point, and let it and the snapshot play, unless they have."""
        if not players.why_not(self.route.run) and self._wanted() != self.asked:
            count = int(self.count.value or 1)
            what = f"{count} {'test maze' if self.mouse else 'episode'}{'s' * (count > 1)}"
            self.work.ask(f"playing up to {what} …", self._once_known(self.session.guarded(self._play, self.why)))

    def _wanted(self) -> tuple:
        return self.variant.value, self.place, int(self.count.value or 1), *self.coordinates

    def _play(self) -> None:
        count, wanted = int(self.count.value or 1), self._wanted()
        try:
            player = players.player(self.session.results, self.route, int(self.choice.seed.value))
            with players.playing(self.route.run.label):
                if "snapshot" not in self.played:
                    self.played["snapshot"] = player.play(player.snapshot(self.place), count)
                theta = player.rebuilt(self.place, self.coordinates, self.courses_of_path, self.variant.value)
                self.played["rebuilt"] = player.play(theta, count)
            self.asked, said = wanted, f"{self.played['rebuilt'].score:.4g}"
            self.scored.stream({"x": [self.point[0]], "y": [self.point[1]], "said": [said]})
        finally:
            self._tell()
        self.refresh()

    def _turn(self, by: int) -> None:
        slider = self.choice.update
        place = list(slider.categories).index(slider.value) + by
        if 0 <= place < len(slider.categories):
            slider.value = slider.categories[place]

    def _look(self, by: int) -> None:
        self.step.value = min(max(self.step.value + by, 0), self.step.end)
