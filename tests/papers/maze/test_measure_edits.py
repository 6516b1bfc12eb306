"""What edits do to a field agrees with a plain loop over cells, and claims are judged on the right numbers."""

from collections import deque

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.papers.maze.measure import edits
from agentomy.tables import Table
from tests.papers.maze.maze_agents import level_table

STEPS = {0: (-1, 0), 1: (0, -1), 2: (0, 1), 3: (1, 0)}
EDITS = [("none", 0.0), ("no cheese", 0.0), ("cheese", -1.0), ("cheese", 1.0), ("random", 1.0)]
CORNER_EDITS = [*(("top-right", each) for each in (-1.0, 0.5, 1.0, 2.0)), ("carried", 1.0), ("both", 1.0)]


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
    by_key = {
        key: each for key, each in zip(fields.frame()[KEY].itertuples(index=False, name=None), moves, strict=True)
    }
    for row in edited.itertuples():
        maze, level = walls[row.level], geometry.loc[row.level]
        who = (row.seed, row.update, row.level)
        field = by_key[(*who, row.edit, row.coefficient)]
        start = (9 - level["side"]) // 2
        corner, cheese = (start + level["side"] - 1,) * 2, (level["cheese_x"], level["cheese_y"])
        decision = (level["decision_x"], level["decision_y"])
        here = field[decision[1], decision[0]]
        to_cheese, to_corner = (here[way(maze, decision, goal)[0][1]] for goal in (cheese, corner))
        assert row.to_cheese == pytest.approx(to_cheese)
        assert row.to_corner == pytest.approx(to_corner)
        assert row.others == pytest.approx(1 - to_cheese - to_corner)
        for found, goal in ((row.corner_path, corner), (row.cheese_path, cheese)):
            logarithms = [np.log(field[y, x, move]) for (x, y), move in way(maze, (start, start), goal)]
            assert found == pytest.approx(np.exp(np.mean(logarithms)))
        cells = np.argwhere(maze == 0)
        entropies = [-(field[y, x] * np.log(field[y, x])).sum() for y, x in cells]
        assert row.entropy == pytest.approx(np.mean(entropies))
        blocked = []
        for y, x in cells:
            into = [(x + dx, y + dy) for dx, dy in STEPS.values()]
            closed = [not (0 <= a < 9 and 0 <= b < 9) or maze[b, a] == 1 for a, b in into]
            blocked.append(field[y, x, :4][closed].sum())
        assert row.invalid == pytest.approx(np.mean(blocked))
        for found, other in ((row.change, "none"), (row.from_no_cheese, "no cheese")):
            against = by_key[(*who, other, 0.0)]
            variation = [np.abs(field[y, x] - against[y, x]).sum() / 2 for y, x in cells]
            assert found == pytest.approx(np.mean(variation))


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


# ---- what claims are judged on --------------------------------------------------------------------------------------

QUANTITIES = [column.name for column in kinds.maze_edits.EDITED.columns[6:]]


def edited_of(values, levels=3, **network):
    """One seed's table from (edit, coefficient) → quantity → its value, in some levels or one for each of them."""
    network = {"run": "r", "seed": 0, "update": 10} | network
    pieces = []
    for (edit, coefficient), given in values.items():
        found = {name: np.broadcast_to(given.get(name, 0.5), levels) for name in QUANTITIES}
        pieces.append(
            kinds.maze_edits.EDITED.table(
                **network, level=np.arange(levels), edit=edit, coefficient=coefficient, **found
            )
        )
    return pa.concat_tables(pieces)


def comparison(table: pa.Table) -> pd.Series:
    return table.to_pandas().set_index(["run", "seed", "quantity"])["value"]


PLAIN = {edit: {} for edit in EDITS}


def test_cheese_vector_claims_are_judged_on_medians_and_shares():
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
    untrained = edited_of(PLAIN, update=0)
    table = Table(kinds.maze_edits.EDITED, rows=pa.concat_tables([edited_of(values), untrained]))
    found = comparison(edits.of_edits(table))["r", 0]
    expected = {
        "cheese move": 0.6,
        "cheese move, subtracted": 0.15,
        "fall of cheese move, subtracted": 0.75,
        "rise of corner move, subtracted": 0.6,
        "change of other moves, subtracted": 0.08,
        "change of cheese move, added": 0.1,
        "distance from no cheese, subtracted": 0.25,
        "rise of entropy, added": -0.1,
        "rise of invalid moves, added": 0.0,
        "disorder, added": 0.0,
        "rise of entropy, random": 0.1,
        "rise of invalid moves, random": 0.1,
        "disorder, random": 1.0,
        "cheese move untrained": 0.5,
        "fall of cheese move, subtracted untrained": 0.0,
        "distance from no cheese, subtracted untrained": 1.0,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    assert not [name for name in found.index if "corner path" in name]  # no maze had a margin


def test_top_right_claims_are_paired_by_level():
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
    rows = pa.concat_tables([edited_of(plain, levels=3), edited_of(corner, levels=2)])
    found = comparison(edits.of_edits(Table(kinds.maze_edits.EDITED, rows=rows)))["r", 0]
    expected = {"-1": -0.05, "0.5": 0.15, "1": 0.35, "2": -0.25, "carried": 0.25, "both": 0.55}
    for name, value in expected.items():
        assert found[f"rise of corner path, {name}"] == pytest.approx(value)
    assert found["rise of corner path, 1 over size of -1"] == pytest.approx(0.30)
    assert found["fall of cheese move, both"] == pytest.approx(0.4)


def test_transfer_is_compared_near_and_far_and_by_network():
    pieces = []
    for run, seed, update, near, far in (("a", 0, 10, 0.4, 0.1), ("a", 1, 10, 0.2, 0.0), ("a", 0, 0, 0.0, 0.0)):
        after = 0.7 - np.array([near, near, far, far])
        distance = np.array([0, 2, 3, 7])
        key = {"run": run, "seed": seed, "update": update, "level": np.arange(4), "source": 9}
        pieces.append(kinds.maze_edits.TRANSFERS.table(**key, distance=distance, before=0.7, after=after))
    found = comparison(edits.of_transfers(Table(kinds.maze_edits.TRANSFERS, rows=pa.concat_tables(pieces)), near=2))
    assert found["a", 0, "fall, near"] == pytest.approx(0.4)
    assert found["a", 0, "fall, far"] == pytest.approx(0.1)
    assert found["a", 0, "fall, far / near"] == pytest.approx(0.25)
    assert found["a", 1, "fall, far / near"] == pytest.approx(0.0, abs=1e-12)
    assert found["a", 0, "fall, near untrained"] == pytest.approx(0.0, abs=1e-12)


def test_only_first_and_last_snapshots_are_judged():
    frame = pd.DataFrame({"run": "a", "seed": [0, 0, 0, 1], "update": [0, 5, 9, 9]})
    found = [(run, seed, ending, len(part)) for run, seed, ending, part in edits.networks(frame)]
    assert found == [("a", 0, "", 1), ("a", 1, "", 1), ("a", 0, " untrained", 1)]
