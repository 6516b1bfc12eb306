"""Where the saliency of maze networks lies (F5; claim TG5)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import iter_groups, together
from agentomy.lenses.rows import table_of, untrained_and_trained
from agentomy.papers.maze.agents import NETWORKS
from agentomy.values import Count

# what the top-right region is compared with → the places that make it up
AGAINST = dict(
    zip(
        kinds.maze_pixels.COMPARED,
        (["other corners", "elsewhere", "margin"], ["other corners", "elsewhere"], ["other corners"]),
        strict=True,
    )
)
REACH = 2  # cells: what lies near the mouse or the cheese, in rows and columns


def shares(
    saliency: kinds.maze_pixels.SALIENCY, levels: kinds.maze.LEVELS, *, region: Count
) -> kinds.maze_pixels.SHARES:
    """Shares of saliency and of area by place, means over levels; the region is the top-right `region` × `region`.

    Each level's saliency counts the same, however large its gradients are.
    """
    by = (*NETWORKS, "head", "cheese")
    geometry = levels.frame(["level", "side", "cheese_x", "cheese_y"]).set_index("level")
    world = round(levels.array("walls").shape[1] ** 0.5)

    def pieces() -> Iterator[pa.Table]:
        for key, rows in iter_groups(saliency, by, ("level", "mouse_x", "mouse_y", "values", "rows")):
            pixels = int(rows.values("rows")[0])
            values = rows.array("values", pixels, pixels).astype(np.float64)
            here = geometry.loc[rows.values("level")]
            mouse = np.stack([rows.values("mouse_x"), rows.values("mouse_y")], axis=1)
            cheese = here[["cheese_x", "cheese_y"]].to_numpy() if key[-1] else None
            place = places(world, pixels, here["side"].to_numpy(), mouse, cheese, region)
            total = values.sum(axis=(1, 2))
            seen = total > 0  # an output that depends on nothing has no places
            for number, name in enumerate(kinds.maze_pixels.PLACES):
                mask = place[seen] == number
                if not seen.any() or (name == "cheese" and cheese is None):
                    continue
                mass = (values[seen] * mask).sum(axis=(1, 2)) / total[seen]
                yield kinds.maze_pixels.SHARES.table(
                    **dict(zip(by, key, strict=True)), place=name, mass=mass.mean(), area=mask.mean(), levels=seen.sum()
                )

    return together(pieces())


def places(
    world: int, pixels: int, side: np.ndarray, mouse: np.ndarray, cheese: np.ndarray | None, region: int
) -> np.ndarray:
    """Which of `kinds.maze_pixels.PLACES` every pixel belongs to [L, P, P]; cells are (x, y) [L, 2]."""
    cell = np.arange(pixels) * world // pixels  # the cell that a pixel shows, as in `Painter.cell_of`
    x, y = np.broadcast_arrays(cell, cell[::-1, None])

    def inside(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Whether pixels lie between two cells, both included [L, P, P]."""
        return (x >= low[:, :1, None]) & (x <= high[:, :1, None]) & (y >= low[:, 1:, None]) & (y <= high[:, 1:, None])

    first = np.repeat((world - side)[:, None] // 2, 2, axis=1)
    last = first + side[:, None] - 1
    size = np.minimum(region, side)[:, None] - 1
    along, up = np.array([1, 0]), np.array([0, 1])
    rise = side[:, None] - 1 - size
    ends = [first + rise * way for way in (up, along)]
    others = np.logical_or(*(inside(end, end + size) for end in ends))
    masks = {
        "mouse": inside(mouse - REACH, mouse + REACH),
        "cheese": inside(cheese - REACH, cheese + REACH) if cheese is not None else None,
        "top-right": inside(last - size, last),
        "other corners": others,
        "elsewhere": inside(first, last),
    }
    numbers = np.full((len(side), pixels, pixels), kinds.maze_pixels.PLACES.index("margin"))
    for name in reversed(kinds.maze_pixels.PLACES[:-1]):  # the first place that fits is written last
        if masks[name] is not None:
            numbers[masks[name]] = kinds.maze_pixels.PLACES.index(name)
    return numbers


def ratios(shares: kinds.maze_pixels.SHARES) -> kinds.maze_pixels.SALIENCY_RATIOS:
    """Saliency per unit area in the top-right region over that elsewhere, of trained and untrained networks (TG5)."""
    by = [*NETWORKS, "agent", "head", "cheese"]
    rows = []
    for key, places in untrained_and_trained(shares.frame()).groupby(by, sort=False):
        sums = places.set_index("place")[["mass", "area"]]
        top_right = _density(sums, ["top-right"])
        rows += [(*key, against, top_right / _density(sums, parts)) for against, parts in AGAINST.items()]
    return table_of(kinds.maze_pixels.SALIENCY_RATIOS, rows)


def _density(sums: pd.DataFrame, places: list[str]) -> np.float64:
    mass, area = sums.loc[places].sum()
    return mass / area if area else np.float64(np.nan)
