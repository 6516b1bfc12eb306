"""Counts, gains and ratios of cheese channels are those of small tables that can be worked out by hand."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.papers.maze.measure import channels
from agentomy.tables import Table
from tests.papers.maze.maze_agents import level_table

CHANCES = {"none": 0.2, "random": 0.25, "one": 0.4, "several": 0.5, "all": 0.6, "cheese": 0.9}


def numbers(rows: pa.Table, *by: str) -> pd.DataFrame:
    return rows.to_pandas().set_index([*by]).sort_index()


def test_channels_above_the_threshold_are_counted_by_layer_and_object():
    pieces = []
    for update, auc in ((0, [0.5, 0.96, 0.2, 0.1]), (5, [1, 1, 1, 1]), (9, [0.97, 0.95, 0.99, 0.005])):
        for layer, name in (("site", "cheese"), ("site", "mouse"), ("other", "cheese")):
            values = auc if (layer, name) == ("site", "cheese") else [1.0] * 4
            key = {"run": "a", "seed": 3, "update": update, "layer": layer, "object": name}
            pieces.append(
                kinds.maze_edits.CHANNELS.table(
                    **key, channel=np.arange(4), auc=np.array(values), mean_on=0.0, mean_off=0.0
                )
            )
    table = Table(kinds.maze_edits.CHANNELS, rows=pa.concat_tables(pieces))
    counts = numbers(channels.telling(table, threshold=0.95), "layer", "object", "agent")
    columns = ["channels", "telling", "lower", "share", "largest_auc"]
    assert counts.loc[("site", "cheese", "trained"), columns].tolist() == pytest.approx([4, 3, 1, 0.75, 0.995])
    assert counts.loc[("site", "cheese", "untrained"), columns].tolist() == pytest.approx([4, 1, 0, 0.25, 0.96])
    assert counts.loc[("other", "cheese", "trained"), columns].tolist() == [4, 4, 0, 1, 1]
    assert len(counts) == 6  # the snapshot between the ends is neither


def retargets_of(levels, chance, **key):
    """Four targets in each of the levels; `chance` says the probability of (edit, level number, off route)."""
    pieces = []
    for edit in CHANCES:
        for number, level in enumerate(levels):
            off = np.arange(4)
            pieces.append(
                kinds.maze_edits.RETARGETS.table(
                    **{"run": "a", "seed": 0, "update": 9, "level": level, "edit": edit} | key,
                    channels={"all": 5}.get(edit, 1),
                    target_x=off,
                    target_y=0,
                    probability=np.array([chance(edit, number, cells) for cells in off]),
                    steps=off + 1,
                    off_route=off,
                )
            )
    return pa.concat_tables(pieces)


def test_gains_of_retargeting_are_differences_of_means():
    levels = level_table(6)
    rows = retargets_of(levels.values("level"), lambda edit, number, off: CHANCES[edit])
    untrained = retargets_of(levels.values("level"), lambda edit, number, off: 0.2, update=0)
    both = Table(kinds.maze_edits.RETARGETS, rows=pa.concat_tables([rows, untrained]))
    by_edit = numbers(channels.retargeted(both, levels), "agent", "edit")
    for edit, chance in CHANCES.items():
        assert by_edit.loc[("trained", edit), ["probability", "gain"]].tolist() == pytest.approx([chance, chance - 0.2])
        assert by_edit.loc[("untrained", edit), ["probability", "gain"]].tolist() == pytest.approx([0.2, 0])
    assert by_edit.loc[("trained", "all"), "channels"] == 5


def test_what_does_not_vary_has_no_correlation():
    assert np.isnan(channels.correlation(np.ones(4), np.arange(4)))


def test_correlations_are_with_cells_off_route_and_with_the_side_of_the_maze():
    table = level_table(30)
    sides = table.values("side")

    def chance(edit, number, off):
        return {"one": 0.9 - 0.2 * off, "several": 0.05 * sides[number], "none": 0.1}.get(edit, 0.3 + 0.1 * off)

    rows = Table(kinds.maze_edits.RETARGETS, rows=retargets_of(table.values("level"), chance))
    by_edit = numbers(channels.retargeted(rows, table), "edit")
    assert by_edit.loc["one", "correlation_off_route"] == pytest.approx(-1)
    assert by_edit.loc["cheese", "correlation_off_route"] == pytest.approx(1)
    assert by_edit.loc["several", "correlation_side"] == pytest.approx(1)
    assert by_edit.loc["one", "correlation_side"] == pytest.approx(0, abs=1e-9)


def test_resampling_is_judged_by_ratios_of_means():
    changes = {("cheese", "same"): [0.1, 0.3], ("cheese", "other"): [0.4, 0.8], ("other", "same"): [0.2, 0.2]}
    changes[("other", "other")] = [0.1, 0.3]
    key = {"run": "a", "seed": 0, "update": 9, "level": np.arange(2), "source": 7, "channels": 3}
    pieces = [
        kinds.maze_edits.RESAMPLED.table(**key, which=which, place=place, change=np.array(values))
        for (which, place), values in changes.items()
    ]
    rows = channels.resampling(Table(kinds.maze_edits.RESAMPLED, rows=pa.concat_tables(pieces)))
    by_which = numbers(rows, "which")[["channels", "same", "other", "ratio"]]
    assert by_which.loc["cheese"].tolist() == pytest.approx([3, 0.2, 0.6, 3])
    assert by_which.loc["other"].tolist() == pytest.approx([3, 0.2, 0.2, 1])
