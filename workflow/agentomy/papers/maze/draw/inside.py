"""What maze networks see, what their channels give, and which pixels their outputs depend on (F2, F4, F5)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle, Wedge

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.papers.maze.agents import TRAINED, UNTRAINED, rows_of_agent
from agentomy.papers.maze.draw.behaviour import CHEESE, MAZE, REGION, SEED, START
from agentomy.papers.maze.draw.edits import first_of, networks
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count

# what a pixel shows, in figures: floor, wall, mouse, cheese
SHOWN = ("#FFFFFF", "#D8C2A4", "#6E6E6E", style.COLOURS["orange"])
# hollow, as the pixels below have colours of their own
HOLLOW = {"linestyle": "", "markerfacecolor": "none", "markersize": 4, "markeredgewidth": 0.9}
MARKS = {
    "mouse": {"marker": "o", "markeredgecolor": "k", **HOLLOW},
    "cheese": {"marker": "D", "markeredgecolor": style.COLOURS["vermillion"], **HOLLOW},
}
HEADS = {"value": "value", "move": "log P(most likely move)"}
PLACES = {
    "top-right": {"color": style.COLOURS["vermillion"]},
    "other corners": {"color": style.COLOURS["blue"]},
    "mouse": {"color": style.COLOURS["green"]},
    "cheese": {"color": style.COLOURS["orange"]},
    "elsewhere": {"color": style.GREY},
    "margin": {"color": style.GREY, "linestyle": ":"},
}


# ---- the maze and its picture ---------------------------------------------------------------------------------------


def seen(features: kinds.maze_pixels.FEATURES, levels: kinds.maze.LEVELS, *, runs: dict[str, str]) -> Figure:
    """F2: the same maze as people see it and as networks see it (run → title)."""
    first = largest(select(features, layer="input", run=next(iter(non_empty(runs, "runs")))), levels)
    figure, axes = style.subplots(1, 1 + len(runs), style.DOUBLE, 2.7)
    draw_maze(axes[0, 0], select(levels, level=first), select(features, level=first))
    axes[0, 0].set_title("as people see it")
    for ax, (run, title) in zip(axes[0, 1:], runs.items(), strict=True):
        row = select(features, layer="input", run=run, level=first)
        picture = maps(row)[0]
        ax.imshow(picture_of(row))
        framed(ax, title=title)
        height, width = picture.shape[1:]
        ax.set_xlabel(f"{height} × {width} pixels, {_palette(picture)}")
    handles = [Patch(facecolor=colour, edgecolor=style.GREY, linewidth=0.4) for colour in SHOWN]
    figure.legend(handles, list(kinds.maze_pixels.SHOWS), ncols=len(SHOWN), **LEGEND)
    style.letters(axes[0])
    style.note(
        figure, f"level {first}; the legend is that of people's view and of planes, which are drawn as one picture"
    )
    return figure


def framed(ax: Axes, **named) -> None:
    """A picture in a thin frame: a floor is as white as the page."""
    ax.set(xticks=[], yticks=[], **named)
    ax.spines[:].set_visible(True)


def largest(rows: Table, levels: Table) -> int:
    """The level with the largest maze among those in a table, or the first of several."""
    there = np.unique(rows.values("level"))
    sides = levels.frame(["level", "side"]).drop_duplicates("level")
    sides = sides[sides["level"].isin(there)]
    if sides.empty:
        raise ValueError(f"levels: none of those in {rows.kind.name} is in the table of levels")
    return int(sides.loc[sides["side"].idxmax(), "level"])


def maps(rows: Table) -> np.ndarray:
    """What one layer gives in each row [N, C, H, W]."""
    size = (int(rows.values(name)[0]) for name in ("channels", "rows", "columns"))
    return rows.array("values", *size)


def picture_of(row: Table) -> np.ndarray:
    """A picture to look at [P, P, 3], of a row of layer `input`: colours as they are, planes in the figures' own."""
    picture = maps(row)[0]
    if _palette(picture) == "RGB":
        return picture.transpose(1, 2, 0) / 255
    return painted(row.array("shown", *picture.shape[1:])[0])


def _palette(picture: np.ndarray) -> str:
    return "planes" if picture.max() <= 1 else "RGB"


def painted(shown: np.ndarray) -> np.ndarray:
    """Codes of what pixels show [P, P] as colours [P, P, 3]."""
    colours = np.array([[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in SHOWN])
    return colours[shown]


def draw_maze(ax: Axes, level: Table, features: Table) -> None:
    """A maze for people: walls, a mouse with ears, cheese."""
    walls = walls_of(level)
    ax.imshow(walls, origin="lower", cmap=MAZE, vmin=0, vmax=1)
    cheese = level.frame().iloc[0]
    mouse = features.frame().iloc[0]
    ax.add_patch(Wedge((cheese["cheese_x"] - 0.3, cheese["cheese_y"]), 0.7, -28, 28, facecolor=SHOWN[3], edgecolor="k"))
    x, y = mouse["mouse_x"], mouse["mouse_y"]
    for dx, dy, radius in ((-0.2, 0.22, 0.14), (0.2, 0.22, 0.14), (0, -0.05, 0.28)):
        ax.add_patch(Circle((x + dx, y + dy), radius, facecolor=SHOWN[2], edgecolor="k"))
    framed(ax)


def walls_of(level: Table) -> np.ndarray:
    """The walls of one level [W, W], y up."""
    world = round(level.array("walls").shape[1] ** 0.5)
    return level.array("walls", world, world)[0].astype(bool)


# ---- feature maps ---------------------------------------------------------------------------------------------------


def feature_maps(
    features: kinds.maze_pixels.FEATURES, levels: kinds.maze.LEVELS, *, run: str, layers: list[str]
) -> Figure:
    """F4: all channels of layers for one maze, trained and untrained; greener is more positive."""
    of_run = select(features, run=run, seed=SEED)
    level = largest(of_run, levels)
    rows = select(of_run, level=level)
    shown = {agent: rows_of_agent(rows, agent) for agent in (TRAINED, UNTRAINED)}
    height = 2.75 * len(non_empty(layers, "layers")) + 0.4
    figure, axes = style.subplots(len(layers), 3, style.DOUBLE, height, width_ratios=[0.55, 1, 1])
    axes[0, 0].imshow(picture_of(select(shown[UNTRAINED], layer="input")))
    framed(axes[0, 0], title="input")
    where = shares_of(select(shown[UNTRAINED], layer="input"))
    height, width = maps(select(shown[UNTRAINED], layer="input")).shape[2:]
    for mark, (x, y) in where.items():
        axes[0, 0].plot(x * width - 0.5, y * height - 0.5, **MARKS[mark])
    for ax in axes[1:, 0]:
        ax.set_axis_off()
    for line, layer in zip(axes, layers, strict=True):
        for ax, (name, part) in zip(line[1:], shown.items(), strict=True):
            output = maps(select(part, layer=layer))[0]
            limit = np.abs(output).max() or 1.0
            image = ax.imshow(mosaic(output), cmap="PRGn", vmin=-limit, vmax=limit)
            ax.set_axis_off()
            for mark, place in where.items():
                ax.plot(*in_mosaic(place, output.shape), **MARKS[mark])
            channels, *size = output.shape
            ax.set_title(f"{layer}, {name}\n{channels} channels of {size[0]} × {size[1]}")
            figure.colorbar(image, ax=ax, shrink=0.6, aspect=18, pad=0.02, label="activation")
    figure.legend([Line2D([], [], **MARKS[mark]) for mark in where], list(where), ncols=len(MARKS), **LEGEND)
    text = "channels from the upper left, line by line; marks: where mouse and cheese are in the input"
    style.note(figure, f"run {run}, seed {SEED}, level {level}; {text}")
    return figure


def shares_of(row: Table) -> dict[str, np.ndarray]:
    """Where mouse and cheese are in a row of layer `input`: (x, y) as shares of the picture, from the upper left."""
    side = round(row.array("shown").shape[1] ** 0.5)
    shown = row.array("shown", side, side)[0]
    places = {mark: np.argwhere(shown == kinds.maze_pixels.SHOWS.index(mark)) for mark in MARKS}
    return {mark: (at[:, ::-1].mean(axis=0) + 0.5) / side for mark, at in places.items() if len(at)}


def in_mosaic(place: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a place (shares of the picture) in each channel of the mosaic of an output [C, H, W]."""
    count, height, width = shape
    line, column = np.divmod(np.arange(count), int(np.ceil(np.sqrt(count))))
    return column * (width + 1) + place[0] * width - 0.5, line * (height + 1) + place[1] * height - 0.5


def mosaic(output: np.ndarray) -> np.ndarray:
    """Channels [C, H, W] side by side in a grid as square as may be, a pixel apart; gaps are NaN."""
    count, height, width = output.shape
    columns = int(np.ceil(np.sqrt(count)))
    lines = -(-count // columns)
    tiles = np.full((lines * columns, height + 1, width + 1), np.nan)
    tiles[:count, :height, :width] = output
    grid = tiles.reshape(lines, columns, height + 1, width + 1).transpose(0, 2, 1, 3)
    return grid.reshape(lines * (height + 1), columns * (width + 1))[:-1, :-1]


# ---- saliency -------------------------------------------------------------------------------------------------------


def saliency(
    saliency: kinds.maze_pixels.SALIENCY,
    levels: kinds.maze.LEVELS,
    *,
    runs: dict[str, str],
    region: Count,
) -> Figure:
    """F5: the pixels on which value and move depend, with cheese and without, of each run and untrained networks.

    `runs` is run → title.
    """
    shown = networks(select(saliency, seed=SEED), runs)
    level = _telling(first_of(shown), levels, region)
    geometry = select(levels, level=level)
    panels = [(head, cheese) for head in HEADS for cheese in (True, False)]
    figure, axes = style.subplots(len(panels), len(shown), style.DOUBLE, 2.1 * len(panels) + 0.5)
    drawn = {}
    for row, (head, cheese) in enumerate(panels):
        for column, part in enumerate(shown.values()):
            picture = select(part, level=level, head=head, cheese=cheese)
            values = picture.array("values", *(int(picture.values(name)[0]) for name in ("rows", "columns")))[0]
            drawn[row, column] = values / (values.mean() or 1.0)
    limit = np.quantile(np.concatenate([values.ravel() for values in drawn.values()]), 0.995)
    for (row, column), values in drawn.items():
        ax = axes[row, column]
        image = draw_saliency(ax, values, geometry, panels[row][1], region, limit)
    for ax, name in zip(axes[0], shown, strict=True):
        ax.set_title(name)
    for ax, (head, cheese) in zip(axes[:, 0], panels, strict=True):
        ax.set_ylabel(f"{HEADS[head]}\n{'with' if cheese else 'without'} cheese")
    figure.colorbar(
        image, ax=axes, shrink=0.35, aspect=30, pad=0.02, extend="max", label="saliency (1: its mean over the picture)"
    )
    handles = [Line2D([], [], **START), Line2D([], [], **CHEESE), Patch(**{**REGION, "linewidth": 1.0})]
    figure.legend(handles, ["mouse", "cheese", f"top-right {region} × {region}"], ncols=3, **LEGEND)
    style.note(figure, f"level {level}, seed {SEED}; |∂ output / ∂ input| summed over the picture's channels")
    return figure


def _telling(rows: Table, levels: Table, region: int) -> int:
    """The largest maze whose cheese is off the route and outside the region; if there is none, the largest maze."""
    frame = levels.frame()
    frame = frame[frame["level"].isin(rows.values("level"))]
    telling = frame[(frame["cheese_region"] > region) & ~frame["on_route"].astype(bool)]
    return largest(rows, levels) if telling.empty else int(telling.loc[telling["side"].idxmax(), "level"])


def draw_saliency(ax: Axes, values: np.ndarray, level: Table, cheese: bool, region: int, limit: float):
    """A map [P, P] in the coordinates of cells, with the maze's walls as lines."""
    walls, where = walls_of(level), level.frame().iloc[0]
    world, side = len(walls), int(where["side"])
    extent = (-0.5, world - 0.5, -0.5, world - 0.5)
    image = ax.imshow(values, extent=extent, cmap="Blues", vmin=0, vmax=limit)
    ax.add_collection(LineCollection(outlines(walls), colors="k", linewidths=0.7))
    first = (world - side) // 2
    size = min(region, side)
    ax.add_patch(Rectangle((first + side - size - 0.5,) * 2, size, size, **REGION))
    ax.plot(first, first, **{**START, "markersize": 4.5})
    if cheese:
        ax.plot(where["cheese_x"], where["cheese_y"], **{**CHEESE, "markersize": 4.5})
    ax.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
    return image


def outlines(walls: np.ndarray) -> list:
    """Segments between open cells and walls [W, W], or the world's end."""
    closed = np.pad(walls, 1, constant_values=True)
    y, x = np.nonzero(closed[:-1] != closed[1:])  # between rows y and y + 1 of the padded world
    lines = [((i - 1.5, j - 0.5), (i - 0.5, j - 0.5)) for j, i in zip(y, x, strict=True)]
    y, x = np.nonzero(closed[:, :-1] != closed[:, 1:])
    return lines + [((i - 0.5, j - 1.5), (i - 0.5, j - 0.5)) for j, i in zip(y, x, strict=True)]


def saliency_training(
    shares: kinds.maze_pixels.SHARES, *, runs: dict[str, str], cheese: bool, steps_per_update: Count
) -> Figure:
    """F5: each run's share of saliency over share of area, by place, along training; with `cheese` or without.

    `runs` is run → title.
    """
    figure, axes = style.subplots(2, len(non_empty(runs, "runs")), style.DOUBLE, 4.3, sharey="row", sharex=True)
    rows = select(shares, cheese=cheese, run=[*runs])
    for line, (head, label) in zip(axes, HEADS.items(), strict=True):
        for ax, run in zip(line, runs, strict=True):
            frame = select(rows, run=run, head=head).frame()
            frame["density"] = frame["mass"] / frame["area"].where(frame["area"] > 0)
            place_of = style.update_axis(ax, rows.values("update") * steps_per_update)
            for place, look in PLACES.items():
                here = frame[frame["place"] == place].dropna(subset="density")
                if here.empty:
                    continue
                over = here.groupby("update")["density"].agg(["mean", "min", "max"])
                x = place_of(over.index.to_numpy() * steps_per_update)
                ax.plot(x, over["mean"], marker=".", markersize=3, **look)
                ax.fill_between(x, over["min"], over["max"], color=look["color"], alpha=0.15, linewidth=0)
            ax.axhline(1, color=style.GREY, linewidth=0.5, zorder=1)
        line[0].set_ylim(0, None)
        line[0].set_ylabel(f"{label}\nsaliency per unit area")
    for ax, title in zip(axes[0], runs.values(), strict=True):
        ax.set(title=title, xlabel="")
    for ax in axes[1]:
        ax.set_xlabel("environment steps")
    drawn = [place for place in PLACES if place in set(rows.values("place"))]
    names = {"elsewhere": "elsewhere in the maze", "mouse": "near the mouse", "cheese": "near the cheese"}
    handles = [Line2D([], [], marker=".", markersize=3, **PLACES[place]) for place in drawn]
    figure.legend(handles, [names.get(place, place) for place in drawn], ncols=6, **LEGEND)
    style.letters(axes.ravel())
    counts = np.unique(rows.values("levels"))
    mazes = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    text = f"{'with' if cheese else 'without'} cheese; means and range over seeds, {seeds_text(rows)}; {mazes} mazes"
    style.note(figure, f"{text}; 1: as if spread evenly over the picture")
    return figure
