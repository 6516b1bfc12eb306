"""Panels of one game of an agent: what the environment draws, what the agent sees, what its outputs depend on."""

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, LinearColorMapper, Range1d

from agentomy.drawing.style import COLOURS
from agentomy.explorer.behaviour import coloured
from agentomy.explorer.drawing import STRONG, plot, shades, wrapping
from agentomy.explorer.evidence import Game

SIDE, TALL = 285, 220  # of a panel, pixels
NOTHING = {"image": [], "width": [], "height": []}


class GamePanels:
    """The three panels, side by side."""

    def __init__(self):
        self.frame, self.seen, self.salient = Frame(), Seen(), Salient()
        self.figures = [panel.figure for panel in (self.frame, self.seen, self.salient)]
        self.layout = wrapping(*self.figures, name="agents-game")

    def show(self, game: Game, step: int, output: str, beside: np.ndarray | None) -> None:
        """One step; `beside` is the twin's saliency of this output in its whole game."""
        self.frame.show(None if game.frames is None else game.frames[step])
        self.seen.show(game.seen, step)
        shares = game.saliency.get(output)
        self.salient.show(None if shares is None else shares[step], beside, output)


class Frame:
    """What the environment draws, as it draws it."""

    def __init__(self):
        self.figure = plot("", "", "", "agents-frame", SIDE, TALL)
        self.figure.axis.visible = self.figure.grid.visible = False
        self.figure.update(x_range=Range1d(start=0, end=1), y_range=Range1d(start=0, end=1))
        self.picture = ColumnDataSource(NOTHING)
        self.figure.image_rgba("image", x=0, y=0, dw="width", dh="height", source=self.picture)

    def show(self, frame: np.ndarray | None) -> None:
        self.figure.title.text = "the environment draws nothing" if frame is None else "the environment draws"
        if frame is None:
            self.picture.data = NOTHING
            return
        height, width = frame.shape[:2]
        scale = max(width / SIDE, height / TALL)  # pixels are square
        self.figure.x_range.update(start=(width - SIDE * scale) / 2, end=(width + SIDE * scale) / 2)
        self.figure.y_range.update(start=(height - TALL * scale) / 2, end=(height + TALL * scale) / 2)
        image = coloured(*np.moveaxis(frame[::-1], 2, 0))
        self.picture.data = {"image": [image], "width": [width], "height": [height]}


class Entries:
    """A panel of a vector's entries as bars, or of a picture as a map."""

    def __init__(self, name: str, palette: list[str]):
        self.figure = plot("", "", "", name, SIDE, TALL)
        self.figure.x_range.range_padding = 0.02
        self.figure.xaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        self.mapper = LinearColorMapper(palette=palette, low=0, high=1)
        self.bars, self.grey = (ColumnDataSource({"x": [], "y": []}) for _ in range(2))
        self.map = ColumnDataSource(NOTHING)
        at = {"x": 0, "y": 0, "dw": "width", "dh": "height"}
        self.figure.image("image", source=self.map, color_mapper=self.mapper, **at)
        self.figure.vbar("x", top="y", width=0.9, source=self.grey, color="#D0D0D0")
        self.figure.vbar("x", top="y", width=0.5, source=self.bars, color=COLOURS["blue"])

    def draw(self, values: np.ndarray | None, low: float, high: float, grey: np.ndarray | None = None) -> None:
        """Values [H, W]; with H = 1 as bars, and behind them the grey ones."""
        vector = values is not None and len(values) == 1
        self.bars.data = _bars(values if vector else None)
        self.grey.data = _bars(grey if vector else None)
        self.map.data = NOTHING
        if values is not None and not vector:
            self.mapper.update(low=low, high=high if high > low else low + 1)
            image = np.ascontiguousarray(values[::-1], np.float32)
            self.map.data = {"image": [image], "width": [values.shape[1]], "height": [values.shape[0]]}


def _bars(row: np.ndarray | None) -> dict:
    return {"x": [], "y": []} if row is None else {"x": np.arange(row.size), "y": row[0]}


class Seen(Entries):
    """The observation."""

    def __init__(self):
        super().__init__("agents-seen", shades("#000000", "#FFFFFF"))

    def show(self, seen: np.ndarray, step: int) -> None:
        vector = seen.shape[1] == 1
        self.figure.title.text = "it sees: each entry by its largest size" if vector else "it sees"
        now = seen[step] / np.maximum(np.abs(seen).max(axis=0), 1e-12) if vector else seen[step]
        self.draw(now, float(seen.min()), float(seen.max()))


class Salient(Entries):
    """The share of an output's saliency that each entry or pixel has."""

    def __init__(self):
        super().__init__("agents-salient", STRONG)

    def show(self, shares: np.ndarray | None, beside: np.ndarray | None, output: str) -> None:
        if shares is None:
            self.figure.title.text = f"no saliency of its {output}"
            self.draw(None, 0, 1)
            return
        fits = beside is not None and beside.shape[1:] == shares.shape
        self.figure.title.text = f"share of the saliency of its {output}"
        self.draw(shares, 0.0, float(shares.max()), beside.mean(axis=0) if fits else None)
