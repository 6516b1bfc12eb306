"""Where the saliency of maze networks lies (sheet, section 5.2, F5; claim TG5)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import iter_groups, together
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.papers.maze.measure.pixel_groups import state
from agentomy.values import Count

REACH = 2  # cells: what lies near the mouse or the cheese, in rows and columns


def shares(
    saliency: kinds.maze_pixels.SALIENCY, levels: kinds.maze.LEVELS, *, region: Count
) -> kinds.maze_pixels.SHARES:
    """Shares of saliency and of area by place, means over levels; the region is the top-right `region` × `region`.

    Each level's saliency counts the same, however large its gradients are.
    """
    by = ("run", "seed", "update", "head", "cheese")
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
    cell = np.arange(pixels) * world // pixels  # which a pixel shows, as `Painter.cell_of` has it
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
    found = np.full((len(side), pixels, pixels), kinds.maze_pixels.PLACES.index("margin"))
    for name in reversed(kinds.maze_pixels.PLACES[:-1]):  # the first that fits is written last
        if masks[name] is not None:
            found[masks[name]] = kinds.maze_pixels.PLACES.index(name)
    return found


def of_shares(shares: kinds.maze_pixels.SHARES) -> kinds.common.COMPARISON:
    """Saliency per unit area in the top-right region over that elsewhere, of the last and the first network (TG5).

    `top-right / ELSEWHERE HEAD with cheese|without cheese trained|untrained`, where ELSEWHERE is `elsewhere` (all that
    is neither near mouse or cheese nor in the region), `rest of the maze` (of it, the inner maze) or `other corners`;
    and `PLACE HEAD …`: share of saliency over share of area.
    """
    frame = shares.frame()
    last = frame.groupby(["run", "seed"])["update"].transform("max")
    frame = frame[(frame["update"] == 0) | (frame["update"] == last)]
    rows: list[Row] = []
    for (run, seed, update, head, cheese), found in frame.groupby(
        ["run", "seed", "update", "head", "cheese"], sort=False
    ):
        label = f"{head} {'with' if cheese else 'without'} cheese {state(update)}"
        sums = found.set_index("place")[["mass", "area"]]
        rows += [(run, seed, f"{place} {label}", each.mass / each.area) for place, each in sums.iterrows() if each.area]
        own = _density(sums, ["top-right"])
        against = {
            "elsewhere": ["other corners", "elsewhere", "margin"],
            "rest of the maze": ["other corners", "elsewhere"],
            "other corners": ["other corners"],
        }
        ratios = {name: own / _density(sums, each) for name, each in against.items()}
        rows += [(run, seed, f"top-right / {name} {label}", ratio) for name, ratio in ratios.items()]
    return comparison_rows(rows)


def _density(sums, chosen: list[str]) -> float:
    mass, area = sums.loc[chosen].sum()
    return mass / area if area else np.nan
