"""The path view: a policy's way along its directions beside random walks, and policies rebuilt from points near it."""

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

from agentomy.explorer import paths
from agentomy.explorer.choices import INNER, WIDTH, RunChoice
from agentomy.explorer.drawing import SIGNED, STRONG, TIGHT, legend, plot
from agentomy.explorer.paths import Episodes, Player, Walk
from agentomy.explorer.session import Session
from agentomy.figures.style import COLOURS, GREY

NAME = "path"
KEPT = 16  # directions of which policies are rebuilt, at first
# The study plays all episodes of a task side by side. Fewer are quicker, but the same episode then goes another way
# where a task is chaotic, since float32 products are rounded otherwise: only with all are returns the study's.
EPISODES = 10
STEP = 0.03  # of the point, in shares of the plane's extent, at a key
# of the path and its nulls: a colour, a dash, a width
PATHS = {
    "real": (COLOURS["blue"], "solid", 2.5),
    "walk": (COLOURS["vermillion"], "dashed", 1.5),
    "shuffled": (COLOURS["black"], "dotted", 1.5),
}
SIDES = ("snapshot", "rebuilt")
NAMES = {"snapshot": "the snapshot", "rebuilt": "the policy at the point"}
STRIP = 480, 130  # of a panel of behaviour, pixels
POINT = COLOURS["orange"]
CHANNELS = (
    "#FFFFFF",
    *(COLOURS[name] for name in ("blue", "orange", "green", "vermillion", "sky", "pink", "yellow", "black")),
)
HELP = (
    "<b>Drag</b> the point (orange) in the plane of two directions, or click there: when it is let go, the policy of "
    "the first k directions, with these two coordinates in place of the snapshot's, is rebuilt and plays. Keys: "
    "<kbd>←↓↑→</kbd> move the point, <kbd>Enter</kbd> play, <kbd>r</kbd> back to the snapshot, <kbd>[</kbd> "
    "<kbd>]</kbd> a snapshot back or on, <kbd>,</kbd> <kbd>.</kbd> a step of the episode. Numbers in the plane are "
    "mean returns. Nulls: a random walk with each parameter's own step sizes; the real steps in shuffled order. "
    "Behaviour, of the first episode: vermillion 1, white 0, blue -1, of an action's bounds or an observation's "
    "largest size."
)


def view(session: Session) -> LayoutDOM:
    return PathView(session).layout


class PathView:
    """The widgets and panels, and what connects them."""

    def __init__(self, session: Session):
        self.session, self.routes = session, paths.routes(session.results)
        self.choice = RunChoice(
            {label: route.run for label, route in self.routes.items()}, NAME, next(iter(self.routes))
        )
        self.refresh = session.drawing(NAME, self._draw)
        self.point = (0.0, 0.0)
        self.played: dict[str, Episodes] = {}
        self._widgets()
        self._panels()
        self.choice.run.on_change("value", lambda attr, old, new: self._few())
        self.choice.followers.append(session.guarded(self._path_changed))
        for key, act in {
            "ArrowLeft": lambda: self._move(-1, 0), "ArrowRight": lambda: self._move(1, 0),
            "ArrowDown": lambda: self._move(0, -1), "ArrowUp": lambda: self._move(0, 1),
            "Enter": self.play, "r": self._back, "[": lambda: self._turn(-1), "]": lambda: self._turn(1),
            ",": lambda: self._look(-1), ".": lambda: self._look(1),
        }.items():  # fmt: skip
            session.on_key(NAME, key, act)
        self._few()
        self._path_changed()
        controls = [
            *self.choice.widgets, Row(self.across, self.up), Row(self.kept, self.count), Row(self.playing, self.back),
            self.variant, self.step,
        ]  # fmt: skip
        shown = [Row(self.plane, Column(*self.courses))]
        shown += [Row(*(strips[side].figure for side in SIDES)) for strips in (self.acts, self.sights)]
        self.layout = Row(Column(*controls, width=WIDTH), Column(self.status, *shown, Div(text=HELP, width=980)))

    # ---- what is on the page -----------------------------------------------------------------------------------

    def _widgets(self) -> None:
        half = INNER // 2 - 6
        self.across, self.up, self.kept, self.count = (
            Spinner(title=title, low=1, high=high, step=1, value=value, width=half, name=f"path-{name}")
            for title, name, value, high in (
                ("direction across", "across", 1, 999), ("direction up", "up", 2, 999),
                ("directions kept, k", "kept", KEPT, 999), ("episodes, at most", "episodes", EPISODES, EPISODES),
            )
        )  # fmt: skip
        self.variant = Select(
            title="time courses of", width=INNER, value="raw", name="path-variant",
            options=[("raw", "the path (raw)"), ("delta", "changes from its start (delta)")],
        )  # fmt: skip
        self.step = Slider(title="step of the episode", start=0, end=1, step=1, value=0, width=INNER, name="path-step")
        self.playing, self.back = (Button(label=label, width=half, stylesheets=[TIGHT], name=f"path-{label.split()[0]}")
                                   for label in ("play it", "back to the snapshot"))  # fmt: skip
        self.status = Div(text="", width=980, name="path-status")
        self.playing.on_click(lambda: self.play())
        self.back.on_click(self._back)
        for widget in (self.across, self.up, self.kept):
            widget.on_change("value", self.session.guarded(lambda attr, old, new: self._path_changed()))
        self.count.on_change("value", lambda attr, old, new: self._forget() or self.refresh())
        self.variant.on_change("value", lambda attr, old, new: self.refresh())
        self.step.on_change("value", lambda attr, old, new: self.refresh())

    def _panels(self) -> None:
        self.plane = plot("", "", "", "path-plane", 420, 330)
        self.way = ColumnDataSource({"x": [], "y": [], "update": []})
        self.now, self.held = ColumnDataSource({"x": [], "y": []}), ColumnDataSource({"x": [], "y": []})
        self.scored = ColumnDataSource({"x": [], "y": [], "said": []})
        self.times = LinearColorMapper(palette=STRONG[16:], low=0, high=1)
        self.plane.line("x", "y", source=self.way, color=GREY, line_alpha=0.6)
        self.plane.scatter("x", "y", source=self.way, size=5, color={"field": "update", "transform": self.times})
        self.plane.scatter("x", "y", source=self.scored, marker="x", size=8, color=POINT, line_width=2)
        self.plane.text("x", "y", "said", source=self.scored, x_offset=6, y_offset=-4, text_font_size="8pt")
        self.plane.scatter(
            "x", "y", source=self.now, marker="square", size=12, fill_alpha=0, line_color="black", line_width=2
        )
        self.plane.scatter("x", "y", source=self.held, size=14, color=POINT, line_color="black")
        self.plane.on_event(Pan, lambda event: self._put(event.x, event.y))
        self.plane.on_event(PanEnd, lambda event: self.play())
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
        self.acts = {side: Strip(f"path-actions-{side}") for side in SIDES}
        self.sights = {side: Strip(f"path-observations-{side}") for side in SIDES}

    def _draw(self) -> None:
        walk, place = self.walk, self.place
        spectrum = walk.spectra["raw"]["real"]
        across, up = self.directions
        x, y = (spectrum.courses[:, number - 1] for number in (across, up))
        self.way.data = {"x": x, "y": y, "update": walk.updates}
        self.times.update(low=float(walk.updates[0]), high=float(walk.updates[-1]))
        self.now.data = {"x": x[[place]], "y": y[[place]]}
        self.held.data = {"x": [self.point[0]], "y": [self.point[1]]}
        self.plane.title.text = "raw path, light to dark along training; square: the snapshot"
        self.plane.xaxis.axis_label, self.plane.yaxis.axis_label = f"U[:, {across}]", f"U[:, {up}]"
        for panel, lines, span, number in zip(self.courses, self.lines, self.spans, (across, up), strict=True):
            for name, source in lines.items():
                source.data = {
                    "update": walk.updates, "course": walk.spectra[self.variant.value][name].courses[:, number - 1]
                }  # fmt: skip
            shares = ", ".join(
                f"{name} {100 * each.share(number):.1f} %" for name, each in walk.spectra[self.variant.value].items()
            )
            panel.title.text = f"U[:, {number}], {self.variant.value}; share of singular values: {shares}"
            span.location = float(walk.updates[place])
        self._show_play()

    def _show_play(self) -> None:
        longest = max((len(each.observations) for each in self.played.values()), default=1)
        self.step.update(end=max(longest - 1, 1), value=min(self.step.value, max(longest - 1, 1)))
        for side in SIDES:
            episodes = self.played.get(side)
            for strip, what in ((self.acts[side], "actions"), (self.sights[side], "observations")):
                strip.clear(f"{NAMES[side]}: not played yet") if episodes is None else strip.show(
                    getattr(episodes, what), self.step.value, f"{NAMES[side]}: {what}"
                )

    def _tell(self) -> None:
        said = []
        for side, episodes in self.played.items():
            low, high = episodes.returns.min(), episodes.returns.max()
            count = f"{len(episodes.returns)} episode{'s' * (len(episodes.returns) > 1)}"
            spread = f", from {low:.4g} to {high:.4g}" if len(episodes.returns) > 1 else ""
            said.append(
                f"{NAMES[side]}: mean return {_returns(episodes)} (n = {count}{spread}; "
                f"{episodes.lengths.mean():.0f} steps)"
            )
        self.status.text = "; ".join(said) or "Nothing played yet: drag the point, or press Enter."

    # ---- what happens ------------------------------------------------------------------------------------------

    @property
    def route(self) -> paths.Route:
        return self.routes[self.choice.run.value]

    @property
    def walk(self) -> Walk:
        return paths.walk(self.session.results, self.route, int(self.choice.seed.value))

    @property
    def place(self) -> int:
        """Which snapshot of the path is chosen."""
        return self.walk.place(int(self.choice.update.value))

    @property
    def player(self) -> Player:
        return paths.player(self.session.results, self.route, int(self.choice.seed.value))

    @property
    def directions(self) -> tuple[int, int]:
        """The two of the plane; those kept are at least as many."""
        most = len(self.walk.updates)
        across, up = (int(min(max(widget.value or 1, 1), most)) for widget in (self.across, self.up))
        return across, up

    @property
    def coordinates(self) -> np.ndarray:
        """Those of the policy [k]: the snapshot's, and the point's in the plane."""
        across, up = self.directions
        kept = int(min(max(self.kept.value or 1, across, up), len(self.walk.updates)))
        found = self.walk.spectra["raw"]["real"].courses[self.place, :kept].copy()
        found[[across - 1, up - 1]] = self.point
        return found

    def _path_changed(self) -> None:
        """Another path, snapshot or plane: the point is where the snapshot is."""
        self.scored.data = {"x": [], "y": [], "said": []}
        self._forget()
        self._back()

    def _few(self) -> None:
        """Episodes of pixels are slow: one of them at first."""
        self.count.value = 1 if self.route.part else EPISODES

    def _forget(self) -> None:
        self.played = {}
        self._tell()

    def _back(self) -> None:
        across, up = self.directions
        courses = self.walk.spectra["raw"]["real"].courses[self.place]
        self._put(courses[across - 1], courses[up - 1])
        self.refresh()

    def _put(self, x: float, y: float) -> None:
        self.point = float(x), float(y)
        self.held.data = {"x": [self.point[0]], "y": [self.point[1]]}

    def _move(self, right: int, up: int) -> None:
        extent = [max(np.ptp(self.way.data[axis]), 1e-3) for axis in "xy"]
        self._put(self.point[0] + STEP * extent[0] * right, self.point[1] + STEP * extent[1] * up)

    def _tapped(self, event: Tap) -> None:
        self._put(event.x, event.y)
        self.play()

    def play(self) -> None:
        """Rebuild the policy at the point, and let it and the snapshot play."""
        self.session.guarded(self._play)()

    def _play(self) -> None:
        player, count = self.player, int(self.count.value or 1)
        courses = self.walk.spectra["raw"]["real"].courses
        with paths.playing(self.route.run.label):
            if "snapshot" not in self.played:
                self.played["snapshot"] = player.play(player.snapshot(self.place), count)
            theta = player.rebuilt(self.place, self.coordinates, courses)
            self.played["rebuilt"] = player.play(theta, count)
        self.scored.stream({"x": [self.point[0]], "y": [self.point[1]], "said": [_returns(self.played["rebuilt"])]})
        self._tell()
        self.refresh()

    def _turn(self, by: int) -> None:
        slider = self.choice.update
        place = list(slider.categories).index(slider.value) + by
        if 0 <= place < len(slider.categories):
            slider.value = slider.categories[place]

    def _look(self, by: int) -> None:
        self.step.value = min(max(self.step.value + by, 0), self.step.end)


def _returns(episodes: Episodes) -> str:
    return f"{episodes.returns.mean():.4g}"


class Strip:
    """A panel of what was done or seen in an episode: entries over steps, or the picture at one step."""

    def __init__(self, name: str):
        self.figure = plot("", "", "", name, *STRIP)
        self.figure.yaxis.visible = self.figure.grid.visible = False
        self.mapper = LinearColorMapper(palette=SIGNED, low=-1, high=1)
        self.kinds = LinearColorMapper(palette=CHANNELS, low=0, high=len(CHANNELS))
        self.entries, self.picture = (ColumnDataSource({"image": [], "width": [], "height": []}) for _ in range(2))
        self.colours = ColumnDataSource({"image": [], "width": [], "height": []})
        at = {"x": 0, "y": 0, "dw": "width", "dh": "height"}
        self.figure.image("image", source=self.entries, color_mapper=self.mapper, **at)
        self.figure.image("image", source=self.picture, color_mapper=self.kinds, **at)
        self.figure.image_rgba("image", source=self.colours, **at)
        self.now = Span(dimension="height", line_color="black", line_dash="dotted")
        self.figure.add_layout(self.now)
        self.figure.x_range.range_padding = self.figure.y_range.range_padding = 0

    def clear(self, title: str) -> None:
        self._fill(title)

    def show(self, values: np.ndarray, step: int, title: str) -> None:
        """Actions [A, T]; observations [T, entries], or pictures: [T, rows, columns, kinds] or [T, 3 × frames, …]."""
        if values.ndim == 2:
            matrix = values if title.endswith("actions") else standardised(values).T
            self.now.location = step + 0.5
            self._fill(f"{title} over the steps, one a row", entries=matrix[::-1])
        else:
            step = min(step, len(values) - 1)
            self._fill(f"{title}, step {step}", **pictured(values[step]))

    def _fill(self, title: str, **images: np.ndarray) -> None:
        self.figure.title.text = title
        for name in ("entries", "picture", "colours"):
            image = images.get(name)
            given = {"image": [], "width": [], "height": []}
            if image is not None:
                given = {"image": [np.ascontiguousarray(image)], "width": [image.shape[1]], "height": [image.shape[0]]}
            getattr(self, name).data = given
        self.now.visible = "entries" in images
        square = bool({"picture", "colours"} & set(images))
        self.figure.update(min_border_right=STRIP[0] - STRIP[1] + 30 if square else 5)  # the title needs the width
        self.figure.xaxis.visible = not square


def standardised(observations: np.ndarray) -> np.ndarray:
    """Observations [T, entries], each entry by its largest size in the episode."""
    return (observations / np.maximum(np.abs(observations).max(axis=0), 1e-12)).astype(np.float32)


def pictured(observation: np.ndarray) -> dict[str, np.ndarray]:
    """A picture for `Strip`, its first row at the bottom: of kinds (0: nothing) or of colours."""
    if observation.dtype == bool or observation.shape[-1] < min(observation.shape[:2]):  # [rows, columns, kinds]
        kinds = np.where(observation.any(axis=-1), observation.argmax(axis=-1) + 1, 0)
        return {"picture": kinds[::-1].astype(np.float32)}
    red, green, blue = observation[-3:].astype(np.uint32)[:, ::-1]  # the last of the frames, [3, rows, columns]
    return {"colours": (255 << 24 | blue << 16 | green << 8 | red).astype(np.uint32)}
