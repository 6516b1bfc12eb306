"""What two policies did, side by side: actions and observations of an episode, or ways through a maze."""

import numpy as np
from bokeh.models import Column, ColumnDataSource, LayoutDOM, LinearColorMapper, Span

from agentomy.drawing.style import COLOURS
from agentomy.explorer import readings
from agentomy.explorer.drawing import MORE, SIGNED, WHOLE, Field, heading, marks, no_marks, plot, wrapping
from agentomy.explorer.hands import TRAIL
from agentomy.explorer.players import Episodes, Mazes
from agentomy.explorer.scenes import Scene

SIDES = {"snapshot": "the snapshot", "rebuilt": "the policy at the point"}
SHORT = {"snapshot": "the snapshot", "rebuilt": "at the point"}
STRIP = 480, 130  # of a panel of an episode, pixels
CHANNELS = (
    "#FFFFFF",
    *(COLOURS[name] for name in ("blue", "orange", "green", "vermillion", "sky", "pink", "yellow", "black")),
)


class Behaviour:
    """The panels of both policies; those of episodes or of mazes are seen."""

    def __init__(self):
        self.offered = False  # whether episodes can be played
        self.strips = {
            what: {side: Strip(f"path-{what}-{side}") for side in SIDES} for what in ("actions", "observations")
        }
        self.ways = {side: Way(f"path-way-{side}") for side in SIDES}
        rows = (wrapping(*(strip.figure for strip in strips.values())) for strips in self.strips.values())
        self.episodes = Column(*rows, name="path-strips", **WHOLE)
        self.mazes = wrapping(*(way.figure for way in self.ways.values()), visible=False, name="path-ways")
        self.layout: LayoutDOM = Column(self.episodes, self.mazes, **WHOLE)

    def offer(self, episodes: bool, mazes: bool) -> None:
        """Show the panels of what can be played; those of episodes once they have been."""
        self.offered, self.episodes.visible, self.mazes.visible = episodes, False, mazes

    def show(self, played: dict[str, Episodes | Mazes], step: int, scene: Scene | None) -> None:
        self.episodes.visible = self.offered and bool(played)
        for side, name in SIDES.items():
            record = played.get(side)
            for what, strips in self.strips.items():
                if isinstance(record, Episodes):
                    strips[side].show(getattr(record, what), step, f"{name}: {what}")
                else:
                    strips[side].clear(f"{name}: not played yet")
            if isinstance(record, Mazes):
                self.ways[side].show(record, scene, SHORT[side])
            else:
                self.ways[side].clear(f"{SHORT[side]}: not played yet", scene)


class Way:
    """The policy of a maze agent as arrows on its values, and the way that its mouse takes from where it is."""

    def __init__(self, name: str):
        self.panel = Field("", MORE, name)
        self.figure, self.objects = self.panel.figure, no_marks()
        self.trail = ColumnDataSource({"x": [], "y": []})
        self.figure.line("x", "y", source=self.trail, name="way", line_color=TRAIL, line_width=2, line_alpha=0.6)
        self.panel.mark(self.objects)

    def show(self, played: Mazes, scene: Scene, title: str) -> None:
        moves, values = readings.field(played.agent, scene)
        cells = readings.way(moves, scene, played.limit)
        self.panel.show(values[::-1], np.nanmin(values), np.nanmax(values), scene.world)
        self.panel.point(*heading(moves))
        self.objects.data = marks(scene.levels, scene.mouse, scene.has_cheese)
        self.trail.data = {"x": [float(x) for x, _ in cells], "y": [float(y) for _, y in cells]}
        at_cheese = scene.has_cheese and cells[-1] == scene.cheese
        self.figure.title.text = f"{title}: {len(cells) - 1} steps, {'' if at_cheese else 'no '}cheese"

    def clear(self, title: str, scene: Scene | None) -> None:
        self.figure.title.text = title
        self.trail.data = {"x": [], "y": []}
        if scene:
            nothing = np.where(scene.levels.walls[0], np.nan, 0.0)
            self.panel.show(nothing[::-1], 0, 1, scene.world)
            self.panel.point(*np.full((2, *nothing.shape), np.nan))
            self.objects.data = marks(scene.levels, scene.mouse, scene.has_cheese)


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
            data = {"image": [], "width": [], "height": []}
            if image is not None:
                data = {"image": [np.ascontiguousarray(image)], "width": [image.shape[1]], "height": [image.shape[0]]}
            getattr(self, name).data = data
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
    return {"colours": coloured(*observation[-3:, ::-1])}  # the last of the frames, [3, rows, columns]


def coloured(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """A picture as a browser takes it, from its channels [rows, columns]."""
    red, green, blue = (channel.astype(np.uint32) for channel in (red, green, blue))
    return (255 << 24 | blue << 16 | green << 8 | red).astype(np.uint32)
