"""What edits do to a field agrees with a plain loop over cells, and their effects with numbers worked out by hand."""

from collections import deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.lenses.rows import untrained_and_trained
from agentomy.papers.maze.measure import edits
from agentomy.tables import Table
from tests.papers.maze.maze_agents import level_table

STEPS = {0: (-1, 0), 1: (0, -1), 2: (0, 1), 3: (1, 0)}
EDITS = [("none", 0.0), ("no cheese", 0.0), ("cheese", -1.0), ("cheese", 1.0), ("random", 1.0)]
CORNER_EDITS = [*(("top-right", times) for times in (-1.0, 0.5, 1.0, 2.0)), ("carried", 1.0), ("both", 1.0)]


@pytest.fixture(scope="module")
def levels():
    table = level_table(120)
    deciding = table.values("decision_x") >= 0
    return Table(kinds.maze.LEVELS, rows=table.arrow().filter(pa.array(deciding)))


def fields_of(rng, levels, count=15, seeds=2):
    """Random policies in the first levels, under every edit that a level can have."""
    frame, walls = levels.frame(), levels.array("walls", 9, 9)
    pieces = []
    for seed in range(seeds):
        for update in (0, 10):
            for edit, coefficient in [*EDITS, *CORNER_EDITS]:
                which = np.arange(count)
                which = which if (edit, coefficient) in EDITS else which[frame["side"][:count] < 9]
                logits = 2 * rng.normal(size=(len(which), 9, 9, 5))
                moves = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
                moves[walls[which] == 1] = np.nan
                pieces.append(
                    kinds.maze_edits.FIELDS.table(
                        run="r",
                        seed=seed,
                        update=update,
                        level=frame["level"].to_numpy()[which],
                        edit=edit,
                        coefficient=coefficient,
                        moves=moves,
                        values=moves[..., 0],
                    )
                )
    return Table(kinds.maze_edits.FIELDS, rows=pa.concat_tables(pieces))


def way(walls, start, goal):
    """(cell, move) of each step from start to goal, by breadth-first search from the goal."""
    toward, queue = {goal: None}, deque([goal])
    while queue:
        x, y = queue.popleft()
        for move, (dx, dy) in STEPS.items():
            cell = (x - dx, y - dy)
            if min(cell) >= 0 and max(cell) < 9 and not walls[cell[1], cell[0]] and cell not in toward:
                toward[cell] = move
                queue.append(cell)
    taken, cell = [], start
    while cell != goal:
        move = toward[cell]
        taken.append((cell, move))
        cell = (cell[0] + STEPS[move][0], cell[1] + STEPS[move][1])
    return taken


def test_every_quantity_is_that_of_a_plain_loop(rng, levels):
    fields = fields_of(rng, levels)
    edited = pa.concat_tables(edits.edited(fields, levels)).to_pandas()
    assert len(edited) == len(fields)
    moves = fields.array("moves", 9, 9, 5).astype(float)
    geometry = levels.frame().set_index("level")
    walls = dict(zip(levels.values("level"), levels.array("walls", 9, 9), strict=True))
    by_key = dict(zip(fields.frame()[KEY].itertuples(index=False, name=None), moves, strict=True))
    for row in edited.itertuples():
        maze, level = walls[row.level], geometry.loc[row.level]
        network_and_level = (row.seed, row.update, row.level)
        field = by_key[(*network_and_level, row.edit, row.coefficient)]
        start = (9 - level["side"]) // 2
        corner, cheese = (start + level["side"] - 1,) * 2, (level["cheese_x"], level["cheese_y"])
        decision = (level["decision_x"], level["decision_y"])
        here = field[decision[1], decision[0]]
        to_cheese, to_corner = (here[way(maze, decision, goal)[0][1]] for goal in (cheese, corner))
        assert row.to_cheese == pytest.approx(to_cheese)
        assert row.to_corner == pytest.approx(to_corner)
        assert row.others == pytest.approx(1 - to_cheese - to_corner)
        for path, goal in ((row.corner_path, corner), (row.cheese_path, cheese)):
            logarithms = [np.log(field[y, x, move]) for (x, y), move in way(maze, (start, start), goal)]
            assert path == pytest.approx(np.exp(np.mean(logarithms)))
        cells = np.argwhere(maze == 0)
        entropies = [-(field[y, x] * np.log(field[y, x])).sum() for y, x in cells]
        assert row.entropy == pytest.approx(np.mean(entropies))
        blocked = []
        for y, x in cells:
            into = [(x + dx, y + dy) for dx, dy in STEPS.values()]
            closed = [not (0 <= a < 9 and 0 <= b < 9) or maze[b, a] == 1 for a, b in into]
            blocked.append(field[y, x, :4][closed].sum())
        assert row.invalid == pytest.approx(np.mean(blocked))
        for distance, edit in ((row.change, "none"), (row.from_no_cheese, "no cheese")):
            against = by_key[(*network_and_level, edit, 0.0)]
            variation = [np.abs(field[y, x] - against[y, x]).sum() / 2 for y, x in cells]
            assert distance == pytest.approx(np.mean(variation))


KEY = ["seed", "update", "level", "edit", "coefficient"]


def test_a_certain_policy_has_no_entropy_and_an_impossible_way_no_chance(rng, levels):
    fields = fields_of(rng, levels, count=3, seeds=1)
    moves = np.where(np.isnan(fields.array("moves", 9, 9, 5)), np.nan, np.eye(5)[4])
    rows = fields.arrow()
    column = kinds.maze_edits.FIELDS.table(
        **{name: rows[name].to_numpy() for name in ("run", *KEY)}, moves=moves, values=moves[..., 0]
    )
    edited = pa.concat_tables(edits.edited(Table(kinds.maze_edits.FIELDS, rows=column), levels)).to_pandas()
    assert (edited[["entropy", "invalid", "corner_path", "change", "from_no_cheese"]] == 0).all(axis=None)


def test_a_level_without_the_field_that_others_are_compared_with_is_refused(rng, levels):
    fields = fields_of(rng, levels, count=3, seeds=1).where(edit=["none", "cheese"])
    with pytest.raises(ValueError, match="no cheese"):
        list(edits.edited(fields, levels))


# ---- means over levels ----------------------------------------------------------------------------------------------

QUANTITIES = [column.name for column in kinds.maze_edits.EDITED.columns[6:]]


def edited_of(values, levels=3, **network):
    """One seed's table from (edit, coefficient) → quantity → its value, in some levels or one for each of them."""
    network = {"run": "r", "seed": 0, "update": 10} | network
    pieces = []
    for (edit, coefficient), given in values.items():
        quantities = {name: np.broadcast_to(given.get(name, 0.5), levels) for name in QUANTITIES}
        pieces.append(
            kinds.maze_edits.EDITED.table(
                **network, level=np.arange(levels), edit=edit, coefficient=coefficient, **quantities
            )
        )
    return pa.concat_tables(pieces)


def effects_of(*pieces: pa.Table) -> pd.DataFrame:
    table = edits.effects(Table(kinds.maze_edits.EDITED, rows=pa.concat_tables(pieces)))
    return table.to_pandas().set_index(["agent", "edit", "coefficient"]).sort_index()


PLAIN = {edit: {} for edit in EDITS}


def test_effects_are_medians_means_and_shares_of_what_was_there_without_an_edit():
    values = PLAIN | {
        ("none", 0.0): {
            "to_cheese": [0.8, 0.6, 0.1],
            "to_corner": [0.1, 0.2, 0.9],
            "others": [0.1, 0.2, 0.0],
            "entropy": 0.4,
            "invalid": 0.1,
            "from_no_cheese": [0.2, 0.4, 0.6],
        },
        ("cheese", -1.0): {
            "to_cheese": [0.1, 0.15, 0.2],
            "to_corner": [0.7, 0.8, 0.9],
            "others": [0.05, 0.0, 0.02],
            "from_no_cheese": [0.1, 0.0, 0.2],
        },
        ("cheese", 1.0): {"to_cheese": [0.7, 0.9, 0.5], "entropy": 0.3, "invalid": 0.1},
        ("random", 1.0): {"entropy": 0.5, "invalid": 0.2},
    }
    frame = effects_of(edited_of(values), edited_of(PLAIN, update=0))
    expected = {
        ("trained", "none", 0): {"to_cheese": 0.6, "to_corner": 0.2, "change_others": 0, "disorder": 0},
        ("trained", "cheese", -1): {
            "to_cheese": 0.15, "to_corner": 0.8, "change_others": 0.08, "left_of_cheese": 0.25, "fall_to_cheese": 0.35,
        },
        ("trained", "cheese", 1): {"change_to_cheese": 0.1, "entropy": 0.3, "invalid": 0.1, "disorder": 0},
        ("trained", "random", 1): {"entropy": 0.5, "invalid": 0.2, "disorder": 1},
        ("untrained", "cheese", -1): {"to_cheese": 0.5, "change_to_cheese": 0, "left_of_cheese": 1},
    }  # fmt: skip
    for edit, numbers in expected.items():
        assert frame.loc[edit, [*numbers]].tolist() == pytest.approx(list(numbers.values()), abs=1e-12), edit


def test_effects_of_the_top_right_vector_are_paired_by_level():
    corner = {
        ("top-right", -1.0): {"corner_path": [0.2, 0.4]},
        ("top-right", 0.5): {"corner_path": [0.5, 0.5]},
        ("top-right", 1.0): {"corner_path": [0.6, 0.8]},
        ("top-right", 2.0): {"corner_path": [0.1, 0.1]},
        ("carried", 1.0): {"corner_path": [0.5, 0.7]},
        ("both", 1.0): {"corner_path": [0.9, 0.9], "to_cheese": [0.1, 0.2]},
    }
    # the third level has no margin; its plain field must not count
    plain = PLAIN | {("none", 0.0): {"corner_path": [0.3, 0.4, 0.99], "to_cheese": [0.5, 0.6, 0.0]}}
    frame = effects_of(edited_of(plain, levels=3), edited_of(corner, levels=2)).loc["trained"]
    rises = {edit: frame.loc[edit, "rise_corner_path"] for edit in corner}
    assert list(rises.values()) == pytest.approx([-0.05, 0.15, 0.35, -0.25, 0.25, 0.55])
    assert frame.loc[("both", 1), "fall_to_cheese"] == pytest.approx(0.4)
    assert frame.loc[("top-right", 1), "rise_over_opposite"] == pytest.approx(0.30)
    assert np.isnan(frame.loc[("top-right", 2), "rise_over_opposite"])  # no vector times -2 was tried


def test_falls_are_means_over_pairs_of_mazes_near_and_far():
    pieces = []
    for seed, update, near, far in ((0, 10, 0.4, 0.1), (1, 10, 0.2, 0.0), (0, 0, 0.0, 0.0)):
        after = 0.7 - np.array([near, near, far, far])
        key = {"run": "a", "seed": seed, "update": update, "level": np.arange(4), "source": 9}
        pieces.append(kinds.maze_edits.TRANSFERS.table(**key, distance=np.array([0, 2, 3, 7]), before=0.7, after=after))
    transfers = Table(kinds.maze_edits.TRANSFERS, rows=pa.concat_tables(pieces))
    falls = edits.falls(transfers, near=2).to_pandas().set_index(["agent", "seed", "distance"])["fall"]
    assert falls.to_dict() == pytest.approx(
        {
            ("trained", 0, "near"): 0.4,
            ("trained", 0, "far"): 0.1,
            ("trained", 1, "near"): 0.2,
            ("trained", 1, "far"): 0.0,
            ("untrained", 0, "near"): 0.0,
            ("untrained", 0, "far"): 0.0,
        },
        abs=1e-12,
    )
    nothing_far = edits.falls(transfers, near=9).to_pandas().query("distance == 'far'")["fall"]
    assert nothing_far.isna().all()


def test_only_first_and_last_snapshots_are_trained_or_untrained_agents():
    frame = pd.DataFrame({"run": ["a", "a", "a", "a", "b"], "seed": [0, 0, 0, 1, 0], "update": [0, 5, 9, 9, 5]})
    ends = untrained_and_trained(frame)
    assert ends[["run", "update", "agent"]].to_numpy().tolist() == [
        ["a", 0, "untrained"],
        ["a", 9, "trained"],
        ["a", 9, "trained"],
        ["b", 5, "trained"],
    ]
