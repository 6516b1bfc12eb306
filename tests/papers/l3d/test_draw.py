"""The inputs that subnetworks of agents act on are drawn as they are, those of largest impact first."""

import matplotlib
import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.papers.l3d.draw import inputs
from agentomy.tables import Table
from tests.checks import check_labels
from tests.lenses.planted_subnetworks import maze_tables, mazes, sequence_tables, sequences, subjects_of

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


# name: (draws the figure, words that a reader must find in it)
FIGURES = {
    "mazes": (
        lambda: inputs.top_mazes(*maze_tables(), run="maze-l3d", seed=0, count=6, shown=5),
        [
            "subnetwork\n29 (P_act 0.19)",
            "δ = +1: left ↑",
            "δ = −1: down ↑",
            "own 0.",
            "rest 0.",
            "mouse",
            "cheese",
            "80 inputs",
        ],
    ),
    "sequences": (
        lambda: inputs.top_sequences(*sequence_tables(), run="cat-l3d", seed=1, count=5, shown=4),
        [
            "subnetwork\n29 (P_act 0.19)",
            "δ = +1: category 0 ↑",
            "step",
            "category 2",
            "nothing seen yet",
            "80 inputs",
            "seed 1",
        ],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_can_be_read_and_lies_apart(name, monkeypatch):
    draw, words = FIGURES[name]
    check_labels(draw(), words, monkeypatch)


def test_the_mazes_shown_are_those_of_largest_impact():
    axes = np.reshape(FIGURES["mazes"][0]().axes, (6, 6))
    pictures = mazes()
    for line, k in zip(axes, range(29, 23, -1), strict=True):
        for ax, sample in zip(line[:2], (2 * k, 2 * k + 1), strict=True):
            np.testing.assert_array_equal(ax.images[0].get_array(), pictures[sample, ..., 0])
            for marker, plane in zip(ax.lines, (1, 2), strict=True):
                np.testing.assert_array_equal(
                    marker.get_xydata()[0, ::-1], np.argwhere(pictures[sample, ..., plane])[0]
                )


def test_strips_have_the_categories_of_the_sequences_and_an_empty_first_step():
    ax = FIGURES["sequences"][0]().axes[0]
    cells = np.reshape(ax.collections[0].get_array(), (4, 16))
    np.testing.assert_array_equal(cells[:2, 1:], sequences()[58:60, 1:].argmax(axis=2))
    assert (cells[:, 0] == -1).all()


def test_inputs_of_two_networks_of_one_seed_are_refused():
    impacts, subjects, steered = maze_tables()
    two = Table(
        kinds.subnetworks.SUBJECTS, rows=pa.concat_tables([subjects.arrow(), subjects_of("other", mazes()).arrow()])
    )
    with pytest.raises(ValueError, match=r"one network of seed 0 is needed; there are those of: maze.region-2, other"):
        inputs.top_mazes(impacts, two, steered, run="maze-l3d", seed=0, count=2, shown=2)
