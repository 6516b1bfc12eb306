"""How the page looks: colours, panels that show a maze or a layer, and messages.

Every panel over a maze has the coordinates of its cells, x to the right and y up; a layer's map is stretched over them.
"""

from html import escape

import numpy as np
from bokeh.models import (
    BasicTicker,
    ColorBar,
    Column,
    ColumnDataSource,
    Div,
    LayoutDOM,
    LinearColorMapper,
    PrintfTickFormatter,
    Row,
)
from bokeh.plotting import figure

from agentomy.drawing.style import COLOURS, GREY
from agentomy.environments.mazes import Levels

WALL = "#D8C2A4"  # as in the figures, as are the mouse, the cheese and the corner
PANEL = 204  # side of a panel, pixels
SCALE = 40  # room for the scale beside it
KEYS = "kbd { border: 1px solid #BBB; border-radius: 3px; padding: 0 .3em; font-size: 90% }"
WIDTH = 284  # of the column of controls, pixels
INNER = WIDTH - 24  # of what fills it
WHOLE = {"sizing_mode": "stretch_width", "styles": {"min-width": "0"}}  # as wide as there is room
WRAPPING = ":host { flex-wrap: wrap; align-items: flex-start }"
FEW = 5  # lines about files that cannot be shown
REASON = "#A33F00"
TIGHT = ".bk-btn {padding: 5px 2px; font-size: 12px}"  # for several buttons in a row


def shades(*colours: str, count: int = 64) -> list[str]:
    """Colours between the given ones, evenly."""
    numbers = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in colours])
    places = np.linspace(0, len(numbers) - 1, count)
    mixed = np.stack([np.interp(places, np.arange(len(numbers)), channel) for channel in numbers.T], axis=1)
    return ["#" + "".join(f"{round(part):02X}" for part in colour) for colour in mixed]


MORE = shades("#FFFFFF", COLOURS["sky"])  # of one sign; light, so that arrows stay readable on it
STRONG = shades("#FFFFFF", COLOURS["sky"], COLOURS["blue"], "#00263D")
SIGNED = shades(COLOURS["blue"], "#FFFFFF", COLOURS["vermillion"])


class Panel:
    """A square panel over the cells of a world: a picture with its scale, and objects on it."""

    def __init__(self, title: str, palette: list[str], name: str, nothing: str = WALL):
        self.mapper = LinearColorMapper(palette=palette, low=0, high=1, nan_color=nothing)
        self.figure = figure(
            title=title, name=name, frame_width=PANEL, frame_height=PANEL, width=PANEL + SCALE + 6, height=PANEL + 34,
            toolbar_location=None, tools="", min_border_left=2, min_border_right=SCALE, x_range=(-0.5, 0.5),
            y_range=(-0.5, 0.5), sizing_mode="fixed",
        )  # fmt: skip
        self.figure.axis.visible = False
        self.figure.grid.visible = False
        self.figure.outline_line_color = GREY
        self.figure.title.text_font_size = "9pt"
        self.figure.title.text_font_style = "normal"
        self.picture = ColumnDataSource({"image": [], "width": []})
        at = {"x": -0.5, "y": -0.5, "dw": "width", "dh": "width"}
        self.figure.image("image", source=self.picture, color_mapper=self.mapper, **at)
        bar = ColorBar(
            color_mapper=self.mapper, width=7, padding=3, label_standoff=3, major_label_text_font_size="7pt",
            ticker=BasicTicker(desired_num_ticks=4),
            formatter=PrintfTickFormatter(format="%.2g"), major_tick_line_color=None, bar_line_color=GREY,
        )  # fmt: skip
        self.figure.add_layout(bar, "right")

    def show(self, values: np.ndarray, low: float, high: float, world: int) -> None:
        """Values [rows, columns], row 0 at the top, over the whole world; NaN is wall."""
        if not high > low:
            low, high = low - 0.5, low + 0.5
        self.mapper.update(low=float(low), high=float(high))
        self.picture.data = {"image": [np.ascontiguousarray(values[::-1], np.float32)], "width": [world]}
        for axis in (self.figure.x_range, self.figure.y_range):
            if axis.end != world - 0.5:
                axis.end = world - 0.5

    def mark(self, source: ColumnDataSource) -> None:
        """Show the objects of `marks`, which panels share."""
        self.figure.scatter(
            "x", "y", source=source, marker="marker", size="size", fill_color="colour", line_color="black"
        )


class Field(Panel):
    """A panel with the policy as arrows on the map of values."""

    def __init__(self, title: str, palette: list[str], name: str):
        super().__init__(title, palette, name)
        self.arrows = ColumnDataSource({key: [] for key in ("x0", "y0", "x1", "y1", "angle", "size")})
        self.figure.segment("x0", "y0", "x1", "y1", source=self.arrows, line_color="black", line_width=1.4)
        self.figure.scatter(
            "x1", "y1", source=self.arrows, marker="triangle", angle="angle", size="size", color="black", line_width=0
        )

    def point(self, right: np.ndarray, up: np.ndarray) -> None:
        """Arrows [W, W] from the middle of each cell; NaN: none; 1 is nine tenths of a cell."""
        y, x = np.nonzero(~np.isnan(right))
        dx, dy = right[y, x], up[y, x]
        long = np.hypot(dx, dy)
        cell = PANEL / len(right)
        self.arrows.data = {
            "x0": x.astype(float), "y0": y.astype(float), "x1": x + 0.9 * dx, "y1": y + 0.9 * dy,
            "angle": np.arctan2(dy, dx) - np.pi / 2, "size": np.minimum(0.28 * cell, 6) * np.minimum(1, 2.5 * long),
        }  # fmt: skip


def heading(moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far right and up a policy [..., 5] points (section 5.4)."""
    return moves[..., 3] - moves[..., 0], moves[..., 2] - moves[..., 1]


def marks(levels: Levels, mouse: tuple[int, int], has_cheese: bool) -> dict[str, list]:
    """The objects of a maze: its top-right cell, cheese and mouse."""
    size = 0.5 * PANEL / levels.world
    objects = [("star", levels.corner[0], COLOURS["blue"], 1.0), ("circle", mouse, "#8A8A8A", 0.9)]
    if has_cheese:
        objects.insert(1, ("diamond", levels.cheese[0], COLOURS["orange"], 1.15))
    marker, cells, colour, scale = zip(*objects, strict=True)
    return {
        "x": [float(cell[0]) for cell in cells],
        "y": [float(cell[1]) for cell in cells],
        "marker": list(marker),
        "colour": list(colour),
        "size": [size * factor for factor in scale],
    }


def no_marks() -> ColumnDataSource:
    return ColumnDataSource({key: [] for key in ("x", "y", "marker", "colour", "size")})


def plot(title: str, x: str, y: str, name: str, width: int, height: int):
    """A small plot of lines or points; sizes in pixels."""
    panel = figure(
        title=title, x_axis_label=x, y_axis_label=y, name=name, width=width, height=height, toolbar_location=None,
        tools="",
    )  # fmt: skip
    panel.title.update(text_font_size="9pt", text_font_style="normal")
    panel.axis.axis_label_text_font_size = "8pt"
    return panel


def legend(panel) -> None:
    """Put a plot's legend above it, in one line."""
    panel.legend.update(
        label_text_font_size="8pt", padding=0, margin=0, spacing=8, border_line_alpha=0, glyph_height=12,
        orientation="horizontal",
    )  # fmt: skip
    panel.add_layout(panel.legend[0], "above")


def beside(controls: list, *shown: LayoutDOM) -> Row:
    """The column of controls, and to the right of it, in all the room that is left, what it controls."""
    return Row(Column(*controls, width=WIDTH, spacing=0), Column(*shown, **WHOLE), **WHOLE)


def wrapping(*panels: LayoutDOM, **given) -> Row:
    """Panels side by side; those for which there is no room come below."""
    return Row(*panels, stylesheets=[WRAPPING], **WHOLE, **given)


def line(name: str) -> Div:
    """A line of text that changes."""
    return Div(text="", name=name, **WHOLE)


def reason(name: str) -> Div:
    """Room for the reason why the button above it did nothing; empty until then."""
    return Div(text="", name=name, width=INNER, styles={"overflow-wrap": "anywhere"}, margin=(0, 5, 0, 5))


def said_why(text: str) -> str:
    return f'<p role="alert" style="color:{REASON};margin:0">{escape(text)}</p>' if text else ""


def few(problems: list[str]) -> list[str]:
    """The first of many lines, and how many more there are: results that were moved can have a line for each file."""
    left = len(problems) - FEW
    return problems[:FEW] + ([f"and {left} more; agentomy verify looks at all files"] if left > 0 else [])


def help_text(text: str, page: str, *studies: str) -> Div:
    """Help, with keys as `<kbd>`, and links to the pages about the view (a heading of docs/explorer.md) and studies.

    Keys are styled here, as the page's style does not reach into Bokeh's elements.
    """
    about = [f'<a target="_blank" href="/docs/explorer.md#:~:text={escape(page.replace(" ", "%20"))}">this view</a>']
    about += [f'<a target="_blank" href="/docs/{study}.md">the study {study}</a>' for study in studies]
    return Div(text=f"{text} <b>More about</b> {', '.join(about)}.", stylesheets=[KEYS], **WHOLE)


def message(text: str) -> Div:
    """A line that says what is wrong or missing, in place of a view."""
    style = {"padding": "0.8em 1.2em", "border-left": f"4px solid {COLOURS['vermillion']}", "background": "#FFF7F2"}
    return Div(
        text=f'<p role="alert">{escape(text)}</p>', sizing_mode="stretch_width", styles={**style, "min-width": "0"}
    )


class Mosaic(Panel):
    """A panel with all channels of a layer."""

    def __init__(self, name: str):
        super().__init__("all channels", SIGNED, name, nothing="#FFFFFF")
        self.channels = self.across = 1

    def show_all(self, maps: np.ndarray) -> None:
        """Channels [C, H, W], row by row."""
        self.channels, self.across = len(maps), int(np.ceil(np.sqrt(len(maps))))
        limit = np.abs(maps).max()
        self.show(tiled(maps, self.across), -limit, limit, self.across)

    def channel_at(self, event) -> int | None:
        """The channel under a mouse event."""
        column, row = int(np.floor(event.x + 0.5)), int(np.floor(self.across - event.y - 0.5))
        channel = row * self.across + column
        inside = 0 <= column < self.across and 0 <= channel < self.channels
        return channel if inside else None


def tiled(maps: np.ndarray, across: int) -> np.ndarray:
    """Maps [C, H, W] as tiles of one square picture, `across` in a row, each with NaN to its right and below it."""
    count, height, width = maps.shape
    tiles = np.full((across**2, height + 1, width + 1), np.nan, np.float32)
    tiles[:count, :height, :width] = maps
    picture = tiles.reshape(across, across, height + 1, width + 1).swapaxes(1, 2)
    return picture.reshape(across * (height + 1), across * (width + 1))
