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
from agentomy.lenses.rows import untrained_and_trained
from agentomy.papers.maze.agents import NETWORKS
from agentomy.tables import Table
from agentomy.values import Natural

MOVES = ["to_cheese", "to_corner", "others"]
STEPS = ((-1, 0), (0, -1), (0, 1), (1, 0))  # (dx, dy) of left, down, up, right


# ---- single levels --------------------------------------------------------------------------------------------------


def edited(fields: kinds.maze_edits.FIELDS, levels: kinds.maze.LEVELS) -> kinds.maze_edits.EDITED:
    """What each edit does at the decision cell, on the ways to cheese and corner, and to the whole field."""
    shown = set(fields.values("level"))
    mazes = Mazes.from_table(levels, np.isin(levels.values("level"), list(shown)))
    world = mazes.walls.shape[-1]

    def pieces() -> Iterator[pa.Table]:
        columns = ["level", "edit", "coefficient", "moves"]
        for network, part in iter_groups(fields, NETWORKS, columns):
            frame = part.arrow(columns[:3]).to_pandas()
            moves = part.array("moves", world, world, len(kinds.maze.MAZE_MOVES)).astype(float)
            quantities = measured(moves, mazes, mazes.rows(frame["level"]), frame["edit"].to_numpy())
            yield kinds.maze_edits.EDITED.table(
                **dict(zip(NETWORKS, network, strict=True)), **{name: frame[name] for name in columns[:3]}, **quantities
            )

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
    def from_table(cls, levels: Table, which: np.ndarray) -> "Mazes":
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

    Mazes are trees, so there is exactly one such move.
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
    quantities = {}
    x, y = mazes.decision[row].T
    decision = moves[np.arange(count), y, x]
    for goal, right in mazes.moves.items():
        quantities[f"to_{goal}"] = decision[np.arange(count), right[row, y, x]]
    quantities["others"] = 1 - quantities["to_cheese"] - quantities["to_corner"]
    for goal in ("corner", "cheese"):
        chosen = np.take_along_axis(moves, mazes.moves[goal][row][..., None].clip(0), axis=-1)[..., 0]
        with np.errstate(divide="ignore"):
            quantities[f"{goal}_path"] = np.exp(mean_over(np.log(chosen), mazes.ways[goal][row]))
    with np.errstate(divide="ignore", invalid="ignore"):
        quantities["entropy"] = mean_over(-np.where(moves > 0, moves * np.log(moves), 0).sum(axis=-1), cells)
    closed = np.pad(mazes.walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    world = cells.shape[-1]
    blocked = np.stack([closed[:, 1 + dy :, 1 + dx :][:, :world, :world] for dx, dy in STEPS], axis=-1)
    quantities["invalid"] = mean_over((moves[..., :4] * blocked[row]).sum(axis=-1), cells)
    for name, compared in (("change", "none"), ("from_no_cheese", "no cheese")):
        reference = np.full(len(mazes.level), -1)
        reference[row[edit == compared]] = np.flatnonzero(edit == compared)
        if (reference[row] < 0).any():
            raise ValueError(f"fields: a level has no field under the edit '{compared}'")
        quantities[name] = mean_over(np.abs(moves - moves[reference[row]]).sum(axis=-1) / 2, cells)
    return quantities


def mean_over(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Means [F] of values [F, W, W] over some cells."""
    return np.where(cells, values, 0).sum(axis=(1, 2)) / cells.sum(axis=(1, 2))


# ---- means over levels ----------------------------------------------------------------------------------------------


def effects(edited: kinds.maze_edits.EDITED) -> kinds.maze_edits.EDIT_EFFECTS:
    """What edits by vectors change, over levels (claims M5, M6, M8 and M9), of trained and untrained networks."""
    rows = []
    for key, fields in untrained_and_trained(edited.frame()).groupby([*NETWORKS, "agent"], sort=False):
        by_level = fields.set_index(["edit", "coefficient", "level"])
        fields_of = {edit: levels.droplevel([0, 1]) for edit, levels in by_level.groupby(level=[0, 1], sort=False)}
        network = dict(zip([*NETWORKS, "agent"], key, strict=True))
        rows += [{**network, **effect} for effect in _effects(fields_of)]
    frame = pd.DataFrame(rows)
    return kinds.maze_edits.EDIT_EFFECTS.table(**{name: frame[name].to_numpy() for name in frame})


def _effects(fields_of: dict[tuple[str, float], pd.DataFrame]) -> Iterator[dict]:
    """The effect of each edit and coefficient on one network, from its fields, one a level."""
    without = fields_of["none", 0.0]
    medians, means = (without[MOVES].median(), without[["entropy", "invalid", "from_no_cheese"]].mean())
    rises = {edit: (field["corner_path"] - without["corner_path"]).mean() for edit, field in fields_of.items()}
    for (edit, coefficient), field in fields_of.items():
        moves, after = field[MOVES].median(), field[["entropy", "invalid", "from_no_cheese"]].mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = after / means
        opposite = rises.get((edit, -coefficient), np.nan) if coefficient else np.nan
        yield {
            "edit": edit,
            "coefficient": coefficient,
            **moves,
            "change_to_cheese": abs(moves["to_cheese"] - medians["to_cheese"]),
            "change_others": abs(moves["others"] - medians["others"]),
            "fall_to_cheese": (without["to_cheese"] - field["to_cheese"]).mean(),
            "rise_corner_path": rises[edit, coefficient],
            "rise_over_opposite": rises[edit, coefficient] - abs(opposite),
            "entropy": after["entropy"],
            "invalid": after["invalid"],
            "disorder": (shares[["entropy", "invalid"]] - 1).max(),
            "left_of_cheese": shares["from_no_cheese"],
        }


def falls(transfers: kinds.maze_edits.TRANSFERS, *, near: Natural) -> kinds.maze_edits.TRANSFER_FALLS:
    """How much less likely the move to the cheese is less another level's cheese vector (claim M7).

    Up to `near` cells apart, the cheese cells of two levels are near.
    """
    frame = untrained_and_trained(transfers.frame())
    frame["fall"] = frame["before"] - frame["after"]
    frame["distance"] = np.where(frame["distance"] <= near, "near", "far")
    means = frame.groupby([*NETWORKS, "agent", "distance"], sort=False)["fall"].mean().unstack("distance")
    rows = means.reindex(columns=pd.Index(["near", "far"], name="distance")).stack(future_stack=True)
    rows = rows.rename("fall").reset_index()
    return kinds.maze_edits.TRANSFER_FALLS.table(**{name: rows[name].to_numpy() for name in rows})
