"""How the groups of a layer's pixels look: pictures pixel by pixel, the scatter, and the list of groups."""

from collections.abc import Callable
from html import escape

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, GridPlot, HoverTool, LassoSelectTool, TapTool, WheelZoomTool
from bokeh.plotting import figure

from agentomy.drawing.style import COLOURS, GREY
from agentomy.explorer.activations import near, patch
from agentomy.explorer.drawing import WALL
from agentomy.explorer.labels import PALETTE, Labelling, colours
from agentomy.explorer.tours import Tour
from agentomy.kinds.maze_pixels import SHOWS
from agentomy.lenses import grouping
from agentomy.papers.maze.measure.pixel_groups import Level

SIDE = 288  # of a panel, pixels
SHOWN = dict(zip(SHOWS, ("#FFFFFF", WALL, "#8A8A8A", COLOURS["orange"]), strict=True))  # as in the other views
DARK = {PALETTE["black"], PALETTE["blue"], PALETTE["vermillion"], PALETTE["green"], SHOWN["mouse"]}
# beside its colour every group has a number and, in the scatter, a marker: no colour is needed to tell it
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star")
NUMBERED = 12  # up to so many rows of pixels, numbers are drawn
DIM = 0.25  # what is not selected
LAYER = ("x", "y", "u", "v", "row", "column", "group", "name", "colour", "ink", "sign", "marker", "patch", "true",
         "true_ink", "true_sign")  # fmt: skip
BEFORE = ("x", "y", "row", "column", "what", "colour", "ink", "sign")
OF_PIXEL = [("pixel", "row @row, column @column"), ("group", "@group @name"), ("3 × 3 patch", "@patch")]


class Linked:
    """The four panels; what is selected in one is lit in all, and `brushed` is called."""

    def __init__(self, brushed: Callable[[], None]):
        self.brushed, self.cursor = brushed, (0, 0)
        self.pixels, self.before, self.at = blank(LAYER), blank(BEFORE), blank(("x", "y"))
        groups, truth = ("colour", "ink", "sign"), ("true", "true_ink", "true_sign")
        self.of_layer = picture("groups-layer", self.pixels, groups, OF_PIXEL)
        self.of_before = picture("groups-before", self.before, groups, [OF_PIXEL[0], ("shows", "@what")])
        self.of_truth = picture("groups-truth", self.pixels, truth, OF_PIXEL)
        self.of_truth.title.text = "true types of 3 × 3 patches"
        self.points = scatter("groups-scatter", self.pixels)
        dotted = {"fill_alpha": 0, "line_color": "black", "line_dash": "dotted", "line_width": 2}
        self.of_layer.rect("x", "y", 0.8, 0.8, source=self.at, **dotted)
        self.pixels.selected.on_change("indices", lambda attr, old, new: self.light())
        self.before.selected.on_change("indices", lambda attr, old, new: self._light_from_before())
        self.layout = GridPlot(
            children=[(self.of_layer, 0, 0), (self.points, 0, 1), (self.of_before, 1, 0), (self.of_truth, 1, 1)],
            toolbar_location=None,
        )

    def enter(self, tour: Tour) -> None:
        """Begin with other points: nothing selected, the cursor at the top left."""
        self.tour, self.cursor, radius = tour, (0, 0), 1.05 * tour.radius
        window(self.points, (-radius, -radius), (radius, radius))
        self.pixels.selected.indices = []

    def show(self, layer: str, level: Level, labelling: Labelling, step: int) -> None:
        """The layer's pixels, their groups, and their points after so many steps of the tour."""
        self.shape = level.patches.shape
        seen, share = self.tour.seen(step)
        self.pixels.data = of_layer(level, labelling, seen)
        self._say(step, share)
        for panel in (self.of_layer, self.of_truth):
            window(panel, (-0.5, -0.5), (self.shape[1] - 0.5, self.shape[0] - 0.5))
        self.of_layer.title.text = f"{layer}: groups"
        self.move(0, 0)

    def show_picture(self, shown: np.ndarray) -> None:
        """The picture [P, P], before the first layer."""
        self.of_before.title.text = "before it: the picture (M mouse, C cheese)"
        self._show_before(of_picture(shown), shown.shape)

    def show_before(self, layer: str, shape: tuple[int, int], labelling: Labelling) -> None:
        """The groups of the layer before."""
        self.of_before.title.text = f"before it: {layer}, groups"
        self._show_before(of_groups(shape, labelling), shape)

    def _show_before(self, columns: dict, shape: tuple[int, int]) -> None:
        self.before.data, self.near = columns, near(self.shape, shape)
        window(self.of_before, (-0.5, -0.5), (shape[1] - 0.5, shape[0] - 0.5))

    def turn(self, step: int) -> None:
        """Show the points after so many steps of the tour."""
        seen, share = self.tour.seen(step)
        all_pixels = slice(0, len(seen))
        self.pixels.patch({"u": [(all_pixels, seen[:, 0])], "v": [(all_pixels, seen[:, 1])]})
        self._say(step, share)

    def _say(self, step: int, share: float) -> None:
        what = f"grand tour, step {step}" if step else "principal components"
        self.points.title.text = f"{what}: {share:.0%} of variance"

    @property
    def selected(self) -> np.ndarray:
        """The selected pixels' indices."""
        return np.array(sorted(self.pixels.selected.indices), int)

    def select(self, pixels: np.ndarray | list) -> None:
        """Select pixels: a mask [N] of them, or none."""
        self.pixels.selected.indices = np.flatnonzero(pixels).tolist()

    def light(self) -> None:
        """Light what lies before the selected pixels."""
        self.before.selected.indices = self._lit
        self.brushed()

    @property
    def _lit(self) -> list[int]:
        return np.flatnonzero(self.near[self.selected].any(axis=0)).tolist()

    def _light_from_before(self) -> None:
        chosen = sorted(self.before.selected.indices)
        if chosen != self._lit:  # else it was not brushed there
            self.select(self.near[:, chosen].any(axis=1))

    def move(self, down: int, right: int) -> None:
        """Move the cursor, but not out of the layer."""
        row, column = np.clip(np.add(self.cursor, (down, right)), 0, np.subtract(self.shape, 1)).tolist()
        self.cursor = row, column
        self.at.data = {"x": [column], "y": [self.shape[0] - 1 - row]}

    def toggle(self) -> None:
        """Select the pixel at the cursor, or leave it."""
        chosen = np.isin(np.arange(np.prod(self.shape)), self.selected)
        chosen[np.ravel_multi_index(self.cursor, self.shape)] ^= True
        self.select(chosen)


def blank(columns: tuple[str, ...]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns})


def picture(name: str, source: ColumnDataSource, looks: tuple[str, str, str], tips: list[tuple[str, str]]) -> figure:
    """A panel with a square a pixel, row 0 at the top; `looks`: columns of its colour, its text's, and its text."""
    colour, ink, sign = looks
    panel = _panel(name)
    squares = panel.rect(
        "x", "y", 1, 1, source=source, fill_color=colour, line_color="#C0C0C0", line_width=0.5,
        selection_line_color="black", selection_line_width=2, nonselection_fill_alpha=DIM, nonselection_line_alpha=DIM,
    )  # fmt: skip
    panel.text(
        "x", "y", text=sign, source=source, text_color=ink, text_align="center", text_baseline="middle",
        text_font_size="9px", nonselection_text_alpha=0.5,
        nonselection_text_color="black",
    )  # fmt: skip
    _tools(panel, squares, tips, BoxSelectTool(renderers=[squares]))
    return panel


def scatter(name: str, source: ColumnDataSource) -> figure:
    """A panel with a marker a pixel."""
    panel = _panel(name)
    marks = panel.scatter(
        "u", "v", source=source, marker="marker", size=10, fill_color="colour", line_color="#444444",
        selection_line_color="black", selection_line_width=2, nonselection_alpha=DIM,
    )  # fmt: skip
    lasso = LassoSelectTool(renderers=[marks], continuous=False)
    _tools(panel, marks, OF_PIXEL, lasso)
    wheel = WheelZoomTool()
    panel.add_tools(wheel)
    panel.toolbar.active_scroll = wheel
    return panel


def _panel(name: str) -> figure:
    panel = figure(
        name=name, frame_width=SIDE, frame_height=SIDE, toolbar_location=None, tools="", min_border=4,
        x_range=(-0.5, 0.5), y_range=(-0.5, 0.5),
    )  # fmt: skip
    panel.axis.visible = panel.grid.visible = False
    panel.outline_line_color = GREY
    panel.title.update(text_font_size="9pt", text_font_style="normal")
    return panel


def _tools(panel: figure, renderer, tips: list[tuple[str, str]], drag) -> None:
    tap = TapTool(renderers=[renderer], mode="replace")
    panel.add_tools(tap, drag, HoverTool(renderers=[renderer], tooltips=tips))
    panel.toolbar.active_tap, panel.toolbar.active_drag = tap, drag


def window(panel: figure, low: tuple[float, float], high: tuple[float, float]) -> None:
    """What a panel shows."""
    panel.x_range.update(start=low[0], end=high[0])
    panel.y_range.update(start=low[1], end=high[1])


def grid(shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Where the pixels of a picture [H, W] are, row by row."""
    row, column = (indices.ravel() for indices in np.indices(shape))
    return {"x": column.astype(float), "y": shape[0] - 1.0 - row, "row": row, "column": column}


def of_layer(level: Level, labelling: Labelling, seen: np.ndarray) -> dict[str, list | np.ndarray]:
    """What the panels show of a layer's pixels, whose points are seen at [N, 2]."""
    shape, groups = level.patches.shape, labelling.groups
    types = grouping.by_size(level.patches.ravel())
    shades, true = [PALETTE[number] for number in labelling.colours], [PALETTE[number] for number in colours(types)]
    return {
        **grid(shape), "u": seen[:, 0], "v": seen[:, 1], "group": groups,
        "name": [labelling.names[group] for group in groups], "colour": [shades[group] for group in groups],
        "ink": [ink(shades[group]) for group in groups], "sign": signs(groups, shape),
        "marker": [MARKERS[group % len(MARKERS)] for group in groups],
        "patch": [patch(int(code)) for code in level.patches.ravel()],
        "true": [true[code] for code in types], "true_ink": [ink(true[code]) for code in types],
        "true_sign": signs(types, shape),
    }  # fmt: skip


def of_groups(shape: tuple[int, int], labelling: Labelling) -> dict[str, list | np.ndarray]:
    """What a panel shows of the groups of a layer [H, W]."""
    groups, shades = labelling.groups, [PALETTE[colour] for colour in labelling.colours]
    return {
        **grid(shape), "what": [f"group {group} {labelling.names[group]}".strip() for group in groups],
        "colour": [shades[group] for group in groups], "ink": [ink(shades[group]) for group in groups],
        "sign": signs(groups, shape),
    }  # fmt: skip


def of_picture(shown: np.ndarray) -> dict[str, list | np.ndarray]:
    """What a panel shows of a picture's codes [P, P]."""
    contents = [SHOWS[code] for code in shown.ravel()]
    shades = [SHOWN[content] for content in contents]
    letters = {"mouse": "M", "cheese": "C"}
    return {
        **grid(shown.shape), "what": contents, "colour": shades, "ink": [ink(shade) for shade in shades],
        "sign": [letters.get(content, "") for content in contents],
    }  # fmt: skip


def signs(numbers: np.ndarray, shape: tuple[int, int]) -> list[str]:
    return [str(number) if shape[0] <= NUMBERED else "" for number in numbers]


def ink(shade: str) -> str:
    return "#FFFFFF" if shade in DARK else "#000000"


# ---- in words -------------------------------------------------------------------------------------------------------


def agreement(level: Level, labelling: Labelling) -> str:
    """How well the groups agree with the true types of the pixels' patches."""
    types = level.patches.ravel()
    scores = grouping.agreement(labelling.groups, types)
    return (
        f"{len(labelling)} groups of {len(types)} pixels, {len(np.unique(types))} true types of 3 × 3 patches: "
        f"homogeneity {scores['homogeneity']:.2f}, completeness {scores['completeness']:.2f}, "
        f"adjusted Rand index {scores['ari']:.2f}"
    )


def listed(level: Level, labelling: Labelling, touched: list[int]) -> str:
    """The groups as a table: number, name, size, and the types of patches among its pixels."""
    types = level.patches.ravel()
    head = "<tr><th>group<th>name<th>pixels<th>types<th>most frequent patch</tr>"
    rows = []
    for group, (name, colour) in enumerate(zip(labelling.names, labelling.colours, strict=True)):
        codes, counts = np.unique(types[labelling.groups == group], return_counts=True)
        shade, most = PALETTE[colour], counts.argmax()
        look = f"background:{shade};color:{ink(shade)};border:1px solid {GREY};padding:0 .4em"
        rows.append(
            f"<tr{' class=chosen' * (group in touched)}><td><span style='{look}'>{group}</span><td>{escape(name)}"
            f"<td>{counts.sum()}<td>{len(counts)}"
            f"<td class=patch><code>{patch(int(codes[most]))}</code> {counts[most] / counts.sum():.0%}</tr>"
        )
    inside = f"<table>{head}{''.join(rows)}</table>"
    return f"{STYLE}<div class=groups tabindex=0 role=region aria-label='groups'>{inside}</div>"


STYLE = f"""<style>
.groups {{height: {SIDE}px; overflow-y: auto; font: 12px/1.4 sans-serif; border: 1px solid #DDD}}
.groups table {{border-collapse: collapse; width: 100%}} .groups th {{text-align: left; position: sticky; top: 0}}
.groups th, .groups td {{padding: .1em .5em; background: #FFF}}
.groups .chosen td {{background: #E4EEF6; font-weight: 600}} .groups code {{font-size: 12px}}
.groups .patch {{white-space: nowrap}}
</style>"""
LEGEND = "Patches row by row: # wall, . floor, M mouse, C cheese, ~ outside the picture"
