"""What edits of activations by vectors do to the policy (claims M5 to M9).

L is the number of levels, F that of fields. Arrays over cells are indexed [y, x]; moves are numbered as `MAZE_MOVES`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import iter_groups, together
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.tables import Table
from agentomy.values import Natural

STEPS = ((-1, 0), (0, -1), (0, 1), (1, 0))  # (dx, dy) of left, down, up, right


# ---- single levels --------------------------------------------------------------------------------------------------


def edited(fields: kinds.maze_edits.FIELDS, levels: kinds.maze.LEVELS) -> kinds.maze_edits.EDITED:
    """What each edit does at the decision cell, on the ways to cheese and corner, and to the whole field."""
    seen = set(fields.values("level"))
    mazes = Mazes.of(levels, np.isin(levels.values("level"), list(seen)))
    world = mazes.walls.shape[-1]

    def pieces() -> Iterator[pa.Table]:
        columns = ["level", "edit", "coefficient", "moves"]
        for (run, seed, update), part in iter_groups(fields, ["run", "seed", "update"], columns):
            frame = part.arrow(columns[:3]).to_pandas()
            moves = part.array("moves", world, world, len(kinds.maze.MAZE_MOVES)).astype(float)
            found = measured(moves, mazes, mazes.rows(frame["level"]), frame["edit"].to_numpy())
            who = {"run": run, "seed": seed, "update": update, **{name: frame[name] for name in columns[:3]}}
            yield kinds.maze_edits.EDITED.table(**who, **found)

    return together(pieces())


@dataclass(frozen=True)
class Mazes:
    """L levels: seeds [L], walls [L, W, W], decision cells [L, 2], right moves [L, W, W] and ways (masks [L, W, W])."""

    level: np.ndarray
    walls: np.ndarray
    decision: np.ndarray
    moves: dict[str, np.ndarray]  # towards cheese and towards corner
    ways: dict[str, np.ndarray]  # cells on the way from the start, without the goal

    @classmethod
    def of(cls, levels: Table, which: np.ndarray) -> "Mazes":
        world = round(levels.array("walls").shape[1] ** 0.5)
        walls = levels.array("walls", world, world)[which].astype(bool)
        side, x, y, decision_x, decision_y = (
            levels.values(name)[which] for name in ("side", "cheese_x", "cheese_y", "decision_x", "decision_y")
        )
        first = (world - side) // 2
        start = np.stack([first, first], axis=1)
        goals = {"cheese": np.stack([x, y], axis=1), "corner": start + side[:, None] - 1}
        moves = {name: towards(walls, goal) for name, goal in goals.items()}
        ways = {name: way(moves[name], start) for name in goals}
        decision = np.stack([decision_x, decision_y], axis=1)
        return cls(levels.values("level")[which], walls, decision, moves, ways)

    def rows(self, level: np.ndarray) -> np.ndarray:
        """Where levels [F] are in the arrays."""
        order = np.argsort(self.level)
        return order[np.searchsorted(self.level, level, sorter=order)]


def towards(walls: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """The move that leads from each cell to its level's goal [L, 2]: [L, W, W]; -1 at the goal and on walls.

    The levels are trees, so that there is one.
    """
    world, levels = walls.shape[-1], np.arange(len(walls))
    moves = np.full(walls.shape, -1)
    reached = np.zeros((len(walls), world + 2, world + 2), bool)
    reached[levels, goals[:, 1] + 1, goals[:, 0] + 1] = True
    inner, spreading = reached[:, 1:-1, 1:-1], True
    while spreading:
        spreading = False
        for move, (dx, dy) in enumerate(STEPS):
            fresh = reached[:, 1 + dy : 1 + dy + world, 1 + dx : 1 + dx + world] & ~walls & ~inner
            moves[fresh] = move
            inner |= fresh
            spreading |= fresh.any()
    return moves


def way(moves: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The cells [L, W, W] on the way from the start [L, 2] to where the moves lead, without that goal."""
    on, cell, levels = np.zeros(moves.shape, bool), start.copy(), np.arange(len(moves))
    while True:
        move = moves[levels, cell[:, 1], cell[:, 0]]
        going = move >= 0
        if not going.any():
            return on
        on[levels[going], cell[going, 1], cell[going, 0]] = True
        cell[going] += np.array(STEPS)[move[going]]


def measured(moves: np.ndarray, mazes: Mazes, row: np.ndarray, edit: np.ndarray) -> dict[str, np.ndarray]:
    """The quantities of `kinds.maze_edits.EDITED` [F] of fields [F, W, W, 5] in the mazes with these rows [F]."""
    count = len(moves)
    cells = ~mazes.walls[row]
    found = {}
    x, y = mazes.decision[row].T
    decision = moves[np.arange(count), y, x]
    for goal, right in mazes.moves.items():
        found[f"to_{goal}"] = decision[np.arange(count), right[row, y, x]]
    found["others"] = 1 - found["to_cheese"] - found["to_corner"]
    for goal in ("corner", "cheese"):
        chosen = np.take_along_axis(moves, mazes.moves[goal][row][..., None].clip(0), axis=-1)[..., 0]
        with np.errstate(divide="ignore"):
            found[f"{goal}_path"] = np.exp(over(np.log(chosen), mazes.ways[goal][row]))
    with np.errstate(divide="ignore", invalid="ignore"):
        found["entropy"] = over(-np.where(moves > 0, moves * np.log(moves), 0).sum(axis=-1), cells)
    closed = np.pad(mazes.walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    world = cells.shape[-1]
    blocked = np.stack([closed[:, 1 + dy :, 1 + dx :][:, :world, :world] for dx, dy in STEPS], axis=-1)
    found["invalid"] = over((moves[..., :4] * blocked[row]).sum(axis=-1), cells)
    for name, other in (("change", "none"), ("from_no_cheese", "no cheese")):
        reference = np.full(len(mazes.level), -1)
        reference[row[edit == other]] = np.flatnonzero(edit == other)
        if (reference[row] < 0).any():
            raise ValueError(f"fields: a level has no field under the edit '{other}'")
        found[name] = over(np.abs(moves - moves[reference[row]]).sum(axis=-1) / 2, cells)
    return found


def over(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Means [F] of values [F, W, W] over some cells."""
    return np.where(cells, values, 0).sum(axis=(1, 2)) / cells.sum(axis=(1, 2))


# ---- what claims are judged on --------------------------------------------------------------------------------------


def networks(frame: pd.DataFrame) -> Iterator[tuple[str, int, str, pd.DataFrame]]:
    """(run, seed, ending, rows) of each run's trained networks (ending "") and untrained ones (" untrained")."""
    for run, rows in frame.groupby("run", sort=False):
        for update, ending in ((rows["update"].max(), ""), (0, " untrained")):
            for seed, part in rows[rows["update"] == update].groupby("seed", sort=False):
                yield run, seed, ending, part


def of_edits(edited: kinds.maze_edits.EDITED) -> kinds.common.COMPARISON:
    """What edits by vectors change, per seed; names of untrained networks' quantities end with `untrained`.

    Medians and means are over levels; moves are those at the decision cell.

    - M5: `cheese move` and `cheese move, subtracted`: medians; `fall of cheese move, subtracted`: of the median, as a
      share of it; `rise of corner move, subtracted`: of the median; `change of other moves, subtracted`: its size;
    - M6: `change of cheese move, added`: size of the median's; `rise of entropy, EDIT`, `rise of invalid moves, EDIT`:
      of the means, for added and random; `disorder, EDIT`: the larger of the two rises, as shares of what was before;
    - M8: `distance from no cheese, subtracted`: mean total variation as a share of that without edit;
    - M9: `rise of corner path, EDIT`: paired mean, for the top-right vector times -1, 0.5, 1, 2, carried, and both;
      `rise of corner path, 1 over size of -1`; `fall of cheese move, both`: paired mean.
    """
    rows: list[Row] = []
    for run, seed, ending, part in networks(edited.frame()):
        by_level = part.set_index(["edit", "coefficient", "level"])
        under = {key: values.droplevel([0, 1]) for key, values in by_level.groupby(level=[0, 1], sort=False)}
        found = _cheese_vector(under) | _top_right_vector(under)
        rows += [(run, seed, name + ending, value) for name, value in found.items()]
    return comparison_rows(rows)


def _cheese_vector(under: dict[tuple, pd.DataFrame]) -> dict[str, float]:
    plain, subtracted, added = under["none", 0.0], under["cheese", -1.0], under["cheese", 1.0]
    moves = ["to_cheese", "to_corner", "others"]
    before, less, more = (each[moves].median() for each in (plain, subtracted, added))
    found = {
        "cheese move": before["to_cheese"],
        "cheese move, subtracted": less["to_cheese"],
        "fall of cheese move, subtracted": 1 - less["to_cheese"] / before["to_cheese"],
        "rise of corner move, subtracted": less["to_corner"] - before["to_corner"],
        "change of other moves, subtracted": abs(less["others"] - before["others"]),
        "change of cheese move, added": abs(more["to_cheese"] - before["to_cheese"]),
        "distance from no cheese, subtracted": subtracted["from_no_cheese"].mean() / plain["from_no_cheese"].mean(),
    }
    means = plain[["entropy", "invalid"]].mean()
    for name, field in (("added", added), ("random", under["random", 1.0])):
        rise = field[["entropy", "invalid"]].mean() - means
        found[f"rise of entropy, {name}"], found[f"rise of invalid moves, {name}"] = rise
        found[f"disorder, {name}"] = (rise / means).max()
    return found


def _top_right_vector(under: dict[tuple, pd.DataFrame]) -> dict[str, float]:
    plain, found = under["none", 0.0], {}
    for (edit, coefficient), field in under.items():
        if edit in ("top-right", "carried", "both"):
            name = f"{coefficient:g}" if edit == "top-right" else edit
            found[f"rise of corner path, {name}"] = (field["corner_path"] - plain["corner_path"]).mean()
    if "rise of corner path, 1" in found:
        size = abs(found["rise of corner path, -1"])
        found["rise of corner path, 1 over size of -1"] = found["rise of corner path, 1"] - size
        found["fall of cheese move, both"] = (plain["to_cheese"] - under["both", 1.0]["to_cheese"]).mean()
    return found


def of_transfers(transfers: kinds.maze_edits.TRANSFERS, *, near: Natural) -> kinds.common.COMPARISON:
    """How much less likely the move to the cheese is less another level's cheese vector (claim M7), per seed.

    `fall, near` and `fall, far`: mean over pairs of levels whose cheese cells are up to `near` apart, and over the
    others; `fall, far / near`.
    """
    rows: list[Row] = []
    for run, seed, ending, part in networks(transfers.frame()):
        fall = (part["before"] - part["after"]).groupby(part["distance"] <= near).mean()
        close, far = (np.float64(fall.get(each, np.nan)) for each in (True, False))
        with np.errstate(divide="ignore", invalid="ignore"):  # an untrained network's fall may be none at all
            found = {"fall, near": close, "fall, far": far, "fall, far / near": far / close}
        rows += [(run, seed, name + ending, value) for name, value in found.items()]
    return comparison_rows(rows)
