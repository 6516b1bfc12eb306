"""Counts, gains and ratios of cheese channels are those of small tables that can be worked out by hand."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.papers.maze.measure import channels
from agentomy.tables import Table
from tests.papers.maze.maze_agents import level_table

CHANCES = {"none": 0.2, "random": 0.25, "one": 0.4, "several": 0.5, "all": 0.6, "cheese": 0.9}


def comparison(table):
    return table.to_pandas().set_index(["run", "seed", "quantity"])["value"]


def test_channels_above_the_threshold_are_counted_in_the_named_layer_and_for_the_cheese():
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
    found = comparison(channels.of_channels(table, layer="site", threshold=0.95))["a", 3]
    assert found.to_dict() == pytest.approx(
        {
            "cheese channels": 3,
            "share of cheese channels": 0.75,
            "lower at the cheese": 1,
            "largest AUC": 0.995,
            "cheese channels untrained": 1,
            "share of cheese channels untrained": 0.25,
            "lower at the cheese untrained": 0,
            "largest AUC untrained": 0.96,
        }
    )


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
                    probability=np.array([chance(edit, number, each) for each in off]),
                    steps=off + 1,
                    off_route=off,
                )
            )
    return pa.concat_tables(pieces)


def test_gains_of_retargeting_are_differences_of_means():
    table = level_table(6)
    rows = retargets_of(table.values("level"), lambda edit, number, off: CHANCES[edit])
    untrained = retargets_of(table.values("level"), lambda edit, number, off: 0.2, update=0)
    both = Table(kinds.maze_edits.RETARGETS, rows=pa.concat_tables([rows, untrained]))
    found = comparison(channels.of_retargets(both, table))["a", 0]
    for edit, chance in CHANCES.items():
        assert found[f"path probability, {edit}"] == pytest.approx(chance)
        assert found[f"path probability, {edit} untrained"] == pytest.approx(0.2)
        if edit != "none":
            assert found[f"{edit} less none"] == pytest.approx(chance - 0.2)
    assert found["cheese less several"] == pytest.approx(0.4)
    assert found["several less one"] == pytest.approx(0.1)
    assert found["several less random"] == pytest.approx(0.25)
    assert found["channels, all"] == 5


def test_what_does_not_vary_has_no_correlation():
    assert np.isnan(channels.correlation(np.ones(4), np.arange(4)))


def test_correlations_are_with_cells_off_route_and_with_the_side_of_the_maze():
    table = level_table(30)
    sides = table.values("side")

    def chance(edit, number, off):
        return {"one": 0.9 - 0.2 * off, "several": 0.05 * sides[number], "none": 0.1}.get(edit, 0.3 + 0.1 * off)

    rows = Table(kinds.maze_edits.RETARGETS, rows=retargets_of(table.values("level"), chance))
    found = comparison(channels.of_retargets(rows, table))["a", 0]
    assert found["correlation with cells off route, one"] == pytest.approx(-1)
    assert found["correlation with cells off route, cheese"] == pytest.approx(1)
    assert found["correlation of gain with side, several"] == pytest.approx(1)
    assert found["correlation of gain with side, one"] == pytest.approx(0, abs=1e-9)


def test_resampling_is_judged_by_ratios_of_means():
    changes = {("cheese", "same"): [0.1, 0.3], ("cheese", "other"): [0.4, 0.8], ("other", "same"): [0.2, 0.2]}
    changes[("other", "other")] = [0.1, 0.3]
    key = {"run": "a", "seed": 0, "update": 9, "level": np.arange(2), "source": 7, "channels": 3}
    pieces = [
        kinds.maze_edits.RESAMPLED.table(**key, which=which, place=place, change=np.array(values))
        for (which, place), values in changes.items()
    ]
    found = comparison(channels.of_resampled(Table(kinds.maze_edits.RESAMPLED, rows=pa.concat_tables(pieces))))["a", 0]
    assert found["other / same, cheese"] == pytest.approx(3)
    assert found["other / same, other"] == pytest.approx(1)
    assert found["change, cheese, other"] == pytest.approx(0.6)
    assert found["channels"] == 3
