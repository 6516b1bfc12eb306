"""Figures of published scores draw what the tables hold, and say that the scores are not ours."""

from itertools import product

import matplotlib
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from agentomy import kinds
from agentomy.environments import published
from agentomy.lenses.rows import table_of
from agentomy.papers.twm.draw import scores as twm_scores
from agentomy.papers.twm.measure import scores
from agentomy.tables import Table

matplotlib.use("agg")

METHODS = ["SimPLe", "SPR", "TWM", "DreamerV3", "EfficientZero"]


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(kinds.twm.PUBLISHED, rows=published.scores())


@pytest.fixture(scope="module")
def normalised(table) -> Table:
    return Table(kinds.twm.NORMALISED, rows=scores.normalised(table))


def written(figure: Figure) -> str:
    """Draws it, so that what cannot be drawn fails; all its words."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def estimates(rows: list[tuple]) -> Table:
    return Table(kinds.twm.ESTIMATES, rows=table_of(kinds.twm.ESTIMATES, rows))


def test_the_main_table_has_a_row_a_game_the_best_in_bold_and_runs_by_method(table, normalised):
    figure = twm_scores.main(normalised, table, methods=METHODS)
    text = written(figure)
    assert all(word in text for word in ["none of them ours", "TWM\nn = 5", "SPR\nn = 100", "UpNDown"])
    assert "Efficient\nZero\nn" not in text
    bold = {text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"}
    assert {"71820", "13782", "3617"} & bold == {"13782", "3617"}  # CrazyClimber is EfficientZero's here
    assert {"83940", "1.94", "1.09"} < bold
    rows = {round(text.get_position()[1], 3) for text in figure.axes[0].texts if text.get_text() != ""}
    assert len(rows) == 1 + 26 + 2
    assert "0.96" in text
    assert "0.51" in text


def test_words_of_the_main_table_do_not_overlap(table, normalised):
    everyone = ["SimPLe", "CURL", "DrQ(eps)", "SPR", "TWM", "IRIS", "DreamerV3", "STORM", "DIAMOND", "EfficientZero"]
    figure = twm_scores.main(normalised, table, methods=everyone)
    written(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    clashes = [
        (a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.shrunk(0.97, 0.6).overlaps(b.shrunk(0.97, 0.6))
    ]
    assert not clashes


def test_equal_scores_are_all_best():
    import pandas as pd

    assert twm_scores.best(pd.Series({"a": 2.0, "b": 2.0, "c": 1.0})) == {"a", "b"}


def test_aggregates_have_a_point_a_method_and_are_hollow_without_an_interval(normalised):
    rows = [("TWM", q, 0.5, 0.4, 0.7) for q in scores.MAIN] + [("SPR", q, 0.2, np.nan, np.nan) for q in scores.MAIN]
    figure = twm_scores.aggregates(estimates(rows), normalised, methods=["TWM", "SPR"])
    text = written(figure)
    assert all(
        word in text
        for word in [
            "TWM (5)",
            "SPR (100)",
            "Median",
            "IQM",
            "Mean",
            "Optimality gap",
            "none of them ours",
            "less is better",
        ]
    )
    weights = [label.get_fontweight() for label in figure.axes[0].get_yticklabels()]
    assert weights == ["bold", "normal"]  # the paper's own method
    for ax in figure.axes:
        assert [line.get_xdata()[0] for line in ax.lines] == [0.5, 0.2]
        assert [line.get_markerfacecolor() == "white" for line in ax.lines] == [False, True]
        (bar, *_) = [collection for collection in ax.collections if len(collection.get_segments())]
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], [0.4, 0.7])


def test_a_method_without_an_aggregate_is_named(normalised):
    with pytest.raises(ValueError, match="no method 'C'; there are: A"):
        twm_scores.aggregates(estimates([("A", q, 0.5, 0.4, 0.7) for q in scores.MAIN]), normalised, methods=["C"])


def test_the_profile_draws_shares_and_bands_and_says_how_many_runs(normalised):
    thresholds = np.linspace(0, 8, 5)
    rows = kinds.twm.PROFILE.table(method="TWM", threshold=thresholds, share=1 - thresholds / 8, low=0.0, high=1.0)
    figure = twm_scores.profile(Table(kinds.twm.PROFILE, rows=rows), normalised, methods=["TWM"])
    assert "26 games, n = 5 runs each" in written(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), 1 - thresholds / 8)
    assert figure.axes[0].get_xlim() == (0, 8)


def test_improvements_stand_beside_a_line_of_no_difference(normalised):
    rows = [
        ("TWM", "IRIS", scores.IMPROVEMENT, 0.54, 0.49, 0.6),
        ("TWM", "STORM", scores.IMPROVEMENT, 0.37, 0.3, 0.4),
    ]
    compared = Table(kinds.twm.COMPARED, rows=table_of(kinds.twm.COMPARED, rows))
    figure = twm_scores.improvement(compared, normalised, method="TWM", others=["IRIS", "STORM"])
    assert "broken line: no difference" in written(figure)
    lines = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert lines == [0.54, 0.37, 0.5]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["IRIS", "STORM"]


def test_our_runs_stand_above_published_ones_in_a_panel_a_game(normalised):
    ours = kinds.twm.NORMALISED.table(
        method=kinds.twm.OURS, game=np.array(["Pong", "Pong", "Boxing", "Boxing"]), seed=np.array([0, 1, 0, 1]), runs=1,
        score=np.zeros(4), hns=np.array([0.2, 0.4, 2.0, 4.0]),
    )  # fmt: skip
    both = Table(kinds.twm.NORMALISED, rows=pa.concat_tables([normalised.arrow(), ours]))
    figure = twm_scores.games(both, methods=["TWM", "IRIS"])
    text = written(figure)
    assert "TWM, here: our own runs, the others published" in text
    assert [ax.get_title() for ax in figure.axes] == ["Boxing", "Pong"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["TWM, here (2)", "TWM (5)", "IRIS (5)"]
    points, mean = figure.axes[1].lines[:2]
    assert list(points.get_xdata()) == [0.2, 0.4]
    assert mean.get_xdata()[0] == pytest.approx(0.3)


def test_visits_are_averaged_over_a_hundredth_of_the_buffer_and_over_streams():
    size, tables = 200, []
    for name, seeds in (("a", 2), ("b", 3)):
        counts = [np.arange(size) + 10 * seed for seed in range(seeds)]
        columns = {"seed": np.repeat(np.arange(seeds), size), "interaction": np.tile(np.arange(size), seeds)}
        tables.append(kinds.twm.VISITS.table(sampler=name, **columns, visits=np.concatenate(counts)))
    figure = twm_scores.visits(
        Table(kinds.twm.VISITS, rows=pa.concat_tables(tables)), samplers={"a": "rule A", "b": "rule B"}
    )
    text = written(figure)
    assert all(word in text for word in ["rule A", "200 interactions", "n = 2 to 3 random streams"])
    ages, histogram = figure.axes
    for line, shift in zip(ages.lines[:2], (5, 10), strict=True):
        np.testing.assert_allclose(line.get_ydata(), 2 * np.arange(100) + 0.5 + shift)
        np.testing.assert_allclose(line.get_xdata(), np.arange(100) + 0.5)
    shares = [patch.get_data().values.sum() for patch in histogram.patches]
    np.testing.assert_allclose(shares, 1)


def test_every_method_with_runs_has_a_colour_of_its_own():
    colours = [twm_scores.colour(method) for method in ("TWM", "SimPLe", "IRIS", "STORM", "DIAMOND", "SPR")]
    assert all(a != b for (i, a), (j, b) in product(enumerate(colours), repeat=2) if i != j)
