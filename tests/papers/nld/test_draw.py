"""The figures of natural Langevin dynamics draw what the tables hold, and say how many seeds it is of."""

from itertools import product

import matplotlib
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from agentomy import kinds
from agentomy.drawing import style
from agentomy.papers.nld.draw import agents, inside, posterior
from agentomy.tables import Table
from tests import in_memory

matplotlib.use("agg")

SEEDS, UPDATES = (0, 1, 2), (0, 10, 20, 30)
METHODS = {"SGD": ["sgd-a", "sgd-b"], "QDOP": ["qdop-a", "qdop-b"]}
STEPS = {"sgd-a": 0.1, "sgd-b": 1.0, "qdop-a": 1e-3, "qdop-b": 1e-2}
BINS = [(5, 0.01), (7, 0.09), (9, 0.9)]  # of confidence, with the share of images in each
PREDICTORS, SPLITS = ("last", "mean", "ensemble"), ("train", "test")


def loss(run: str, seed: int, update: int, predictor: str, split: str) -> float:
    """A number that is different for each of them."""
    place = [list(STEPS).index(run), seed, UPDATES.index(update), PREDICTORS.index(predictor), SPLITS.index(split)]
    return 0.1 + 0.2 * place[0] + 0.01 * place[1] + 0.5 / (1 + place[2]) + 0.03 * place[3] + 0.07 * place[4]


@pytest.fixture(scope="module")
def predictive() -> Table:
    rows = [
        (run, run.split("-")[0], step, 0.0, seed, update, predictor, place, split)
        + (loss(run, seed, update, predictor, split), 0.9)
        for run, step in STEPS.items()
        for seed, (place, update), predictor, split in product(SEEDS, enumerate(UPDATES), PREDICTORS, SPLITS)
        if predictor != "ensemble" or place
    ]
    return in_memory.of_rows(kinds.nld.PREDICTIVE, rows)


@pytest.fixture(scope="module")
def chosen() -> Table:
    rows = [("SGD", "sgd-b", 1.0, 0.0, "last", 0.2, False), ("QDOP", "qdop-a", 1e-3, 1e-3, "ensemble", 0.1, False)]
    return in_memory.of_rows(kinds.nld.CHOSEN, rows)


@pytest.fixture(scope="module")
def predicted() -> Table:
    runs = {"SGD": "sgd-b", "QDOP": "qdop-a"}
    return in_memory.of_rows(
        kinds.nld.PREDICTED, [row for method, run in runs.items() for row in at_the_ends(method, run)]
    )


def at_the_ends(name: str, run: str) -> list[tuple]:
    """Rows of a run, called so, before and after learning."""
    return [
        (name, agent, seed, predictor, split, loss(run, seed, update, predictor, split), 0.9)
        for (agent, update), seed, predictor, split in product(
            (("untrained", 0), ("trained", 30)), SEEDS, PREDICTORS, SPLITS
        )
    ]


def written(figure: Figure) -> str:
    """Draws it, so that what cannot be drawn fails; all its words."""
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    return "\n".join(texts)


def points(ax, colour: str, marker: str) -> np.ndarray:
    """Points [n, 2] of the lines with this colour and marker."""
    lines = [line for line in ax.lines if line.get_marker() == marker and same_color(line.get_color(), colour)]
    return np.concatenate([np.column_stack(line.get_data()) for line in lines])


def test_the_main_figure_has_means_by_predictor_and_the_chosen_step(predicted, chosen, predictive):
    figure = posterior.main(predicted, chosen, predictive)
    text = written(figure)
    assert "QDOP\nη = 0.001, ε = 0.001" in text
    assert "SGD\nη = 1" in text
    assert "n = 3 training seeds" in text
    assert "an ensemble has 3 networks" in text
    squares = points(figure.axes[0], posterior.COLOURS["QDOP"], "s")
    expected = np.mean([loss("qdop-a", seed, 30, "ensemble", "test") for seed in SEEDS])
    assert squares[0] == pytest.approx([expected, 1.22])


def test_curves_show_the_last_networks_of_chosen_runs_and_the_ensembles_asked_for(predictive, chosen):
    figure = posterior.curves(predictive, chosen, ensembles=["QDOP"])
    assert "n = 3 training seeds" in written(figure)
    last, ensemble = ({line.get_color(): line.get_data() for line in ax.lines} for ax in figure.axes)
    assert set(last) == {posterior.COLOURS[method] for method in METHODS}
    assert set(ensemble) == {posterior.COLOURS["QDOP"]}
    expected = [np.mean([loss("qdop-a", seed, line, "ensemble", "test") for seed in SEEDS]) for line in UPDATES[1:]]
    np.testing.assert_allclose(ensemble[posterior.COLOURS["QDOP"]], [UPDATES[1:], expected])


def test_the_gap_has_a_point_for_each_seed_and_method(predicted, chosen):
    figure = posterior.gap(predicted, chosen)
    assert "n = 3 training seeds: a point each" in written(figure)
    dots = points(figure.axes[1], posterior.COLOURS["QDOP"], "o")
    expected = [[loss("qdop-a", seed, 30, "ensemble", split) for split in SPLITS] for seed in SEEDS]
    np.testing.assert_allclose(dots, expected)


def test_sizes_are_numbers_of_networks_and_not_updates(predictive, chosen):
    figure = posterior.sizes(predictive, chosen)
    written(figure)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]


def test_steps_ring_the_chosen_one_and_show_each_seed(predictive, chosen):
    figure = posterior.steps(predictive, chosen, methods=METHODS)
    written(figure)
    rings = [line for line in figure.axes[0].lines if line.get_markersize() == 9]
    assert [line.get_xdata()[0] for line in rings] == [1.0, 1e-3]
    dots = points(figure.axes[0], posterior.COLOURS["QDOP"], ".")
    expected = {loss(run, seed, 30, "ensemble", "test") for run in ("qdop-a", "qdop-b") for seed in SEEDS}
    assert {round(line, 6) for line in dots[:, 1]} == {round(line, 6) for line in expected}


def test_priors_name_their_runs_and_show_trained_ensembles():
    ends = in_memory.of_rows(kinds.nld.ENDS, [row for run in STEPS for row in at_the_ends(run, run)])
    figure = posterior.priors(ends, runs={"plain": "sgd-a", "with a metric": "qdop-a"})
    losses = [loss("qdop-a", seed, 30, "ensemble", "test") for seed in SEEDS]
    assert points(figure.axes[0], style.COLOURS["blue"], "s")[1] == pytest.approx([np.mean(losses), 1])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["plain", "with a metric"]
    assert "training" in written(figure)


def test_noise_sets_pixels_that_are_always_0_apart():
    rng, rows = np.random.default_rng(0), []
    for method, layer, zero in (("euclidean", "layer1", False), ("qdop", "layer1", False), ("qdop", "layer1", True)):
        values = {"run": f"{method}-a", "method": method, "seed": np.array(SEEDS), "layer": layer, "always_zero": zero}
        deviations = (5.0 if zero else 1.0) * rng.uniform(0.9, 1.1, (3, 20))
        rows.append(kinds.nld.NOISE.table(**values, deviations=deviations))
    figure = inside.noise(Table(kinds.nld.NOISE, rows=pa.concat_tables(rows)))
    assert "from pixels that are always 0" in written(figure)
    plain, metric = figure.axes
    counts = {shade: 0 for shade in ("blue", "vermillion")}
    for patch in metric.patches:
        for shade in counts:
            counts[shade] += patch.get_height() * same_color(patch.get_facecolor()[:3], style.COLOURS[shade])
    assert counts == {"blue": 60, "vermillion": 60}
    assert all(
        patch.get_x() > 3
        for patch in metric.patches
        if patch.get_height() and not same_color(patch.get_facecolor()[:3], style.COLOURS["blue"])
    )
    assert (plain.get_title(), metric.get_title()) == ("SGLD", "QDOP")


def test_theory_shows_every_seed_and_mean_errors_by_step():
    same = {("dop", "scaled"), ("qdop", "scaled"), ("qdop", "shifted")}
    changes = [
        (f"{m}-a", m, s, c, 30, 3 * 10.0**-s * (1e-12 if (m, c) in same else 1))
        for m, s, c in product(inside.METRICS, SEEDS, ("scaled", "shifted"))
    ]
    errors = [(f"{m}-a", m, s, step, 0.0, step * (1 + s)) for m, s, step in product(inside.METRICS, SEEDS, (0.01, 0.1))]
    figure = inside.theory(
        in_memory.of_rows(kinds.nld.INVARIANCE, changes), in_memory.of_rows(kinds.nld.STATIONARY, errors)
    )
    assert "30 steps of a new last layer with the same standard normals" in written(figure)
    circles = points(figure.axes[0], posterior.COLOURS["QDOP"], "o")
    np.testing.assert_allclose(sorted(circles[:, 1]), [3e-14, 3e-13, 3e-12])
    assert [3e-10, 3e-10] in [
        pytest.approx(line.get_ydata()) for line in figure.axes[0].lines
    ]  # of the least that feels it
    curve = next(line for line in figure.axes[1].lines if line.get_label() == "QDOP")
    np.testing.assert_allclose(curve.get_ydata(), [0.02, 0.2])


def test_no_method_has_the_colour_of_what_is_drawn_for_all():
    """As in the reliability diagrams, where the last network of each method is grey."""
    assert not any(same_color(colour, style.GREY) for colour in posterior.COLOURS.values())


def test_reliability_is_weighted_by_how_many_images_a_bin_has():
    rows = [("QDOP", predictor, 0, 9, 0.9, 1.0, 0.75) for predictor in ("last", "ensemble")]
    rows += [("QDOP", predictor, 1, 9, 0.98, 0.8, 0.25) for predictor in ("last", "ensemble")]
    figure = inside.reliability(in_memory.of_rows(kinds.nld.RELIABILITY, rows), methods=["QDOP"])
    assert "n = 2 training seeds" in written(figure)
    squares = points(figure.axes[0], posterior.COLOURS["QDOP"], "s")
    np.testing.assert_allclose(squares, [[0.92, 0.95]])


def test_reliability_says_how_many_images_are_in_each_bin():
    rows = [("QDOP", predictor, 0, b, b / 10, 0.5, share) for predictor in ("last", "ensemble") for b, share in BINS]
    figure = inside.reliability(in_memory.of_rows(kinds.nld.RELIABILITY, rows), methods=["QDOP"])
    written(figure)
    below = [ax for ax in figure.axes if ax.get_ylabel() == "share of\nimages"]
    for ax in below:
        shares = points(ax, posterior.COLOURS["QDOP"], "s")
        np.testing.assert_allclose(shares, [[b / 10, share] for b, share in BINS])
    assert len(below) == 1


def test_calibration_has_a_place_for_each_method_and_predictor():
    rows = [
        (method, predictor, seed, 0.1 + 0.01 * seed, 0.05, 0.8, 1.0, 1.5)
        for method, predictor, seed in product(METHODS, ("last", "ensemble"), SEEDS)
    ]
    figure = inside.calibration(in_memory.of_rows(kinds.nld.CALIBRATION, rows), methods=list(METHODS))
    assert "overconfidence: confidence less accuracy" in written(figure)
    assert points(figure.axes[0], posterior.COLOURS["QDOP"], "s")[0] == pytest.approx([0.11, 1.15])


def test_exploration_has_a_named_panel_a_run_and_each_seed_in_the_end():
    runs = {"dqn": "DQN", "langevin": "QDOP, by samples"}
    rows = [(run, seed, update, float(update + seed), 2) for run, seed, update in product(runs, SEEDS, (0, 10))]
    figure = agents.exploration(in_memory.of_rows(kinds.nld.RETURNS, rows), runs=runs)
    assert "2 greedy episodes each" in written(figure)
    panels = figure.axes[: len(runs)]
    for ax, label, shade in zip(panels, runs.values(), agents.SHADES, strict=False):
        assert ax.get_title() == label
        assert same_color(ax.title.get_color(), shade)
        curves = [line.get_ydata().tolist() for line in ax.lines if same_color(line.get_color(), shade)]
        assert curves == [[0, 10], [1, 11], [2, 12], [1, 11]]  # its seeds, and their mean
        assert not ax.collections  # no bands over each other
    ends = figure.axes[len(runs)]
    assert sorted(points(ends, agents.SHADES[0], ".")[:, 0]) == [10, 11, 12]


def test_returns_that_are_never_negative_have_no_interval_below_0():
    rows = [("dqn", seed, update, 5.0 * (seed == 2), 2) for seed, update in product(SEEDS, (0, 10))]
    figure = agents.exploration(in_memory.of_rows(kinds.nld.RETURNS, rows), runs={"dqn": "DQN"})
    (bars,) = figure.axes[1].collections
    (low, _), (high, _) = bars.get_segments()[0]
    assert low == 0
    assert high > 5


def test_an_accuracy_has_no_interval_beyond_1(chosen, predictive, predicted):
    rows = predicted.frame()
    rows.loc[rows["seed"] == 0, "accuracy"] = 1.0  # with 0.9, 0.9: the interval would reach 1.08
    table = Table(kinds.nld.PREDICTED, rows=kinds.nld.PREDICTED.table(**{name: rows[name].to_numpy() for name in rows}))
    ax = posterior.main(table, chosen, predictive).axes[2]
    ends = [segment[:, 0].max() for bars in ax.collections for segment in bars.get_segments()]
    assert max(ends) == 1


def test_no_two_keys_of_the_curves_legend_look_the_same(predictive, chosen):
    (legend,) = posterior.curves(predictive, chosen, ensembles=["QDOP"]).legends
    looks = [(key.get_color(), key.get_linestyle()) for key in legend.legend_handles]
    assert len(set(looks)) == len(looks) == len(METHODS)


@pytest.mark.parametrize("ends", [(0.11, 0.19), (0.1, 0.27), (0.02, 4.0)])
def test_a_logarithmic_axis_of_losses_has_at_least_three_ticks(ends):
    axis = Figure().subplots()
    axis.set(yscale="log", ylim=ends)
    posterior.plain_log(axis.yaxis)
    ticks = axis.get_yticks()
    assert len(ticks) >= 3
    assert [float(label.get_text()) for label in axis.get_yticklabels()] == pytest.approx(ticks)


def test_both_rows_of_doubt_have_one_colour_scale():
    rows = [("samples", 0, 7, 2, 3, 30, 1.0, 0.1, 0.0), ("dqn", 0, 7, 4, 3, 10, 3.0, 0.5, 1.0)]
    figure = agents.doubt(in_memory.of_rows(kinds.nld.DOUBT, rows), runs={"samples": "samples", "dqn": "snapshots"})
    above, below = np.reshape([ax.images[0].get_clim() for ax in figure.axes[:8]], (2, 4, 2))
    np.testing.assert_array_equal(above, below)
    assert above[1].tolist() == [0, 3]
    assert len(figure.axes) == 12  # a bar a column


def test_doubt_averages_over_seeds_by_visits_and_leaves_other_places_white():
    rows = [("samples", 0, 7, 2, 3, 30, 1.0, 0.1, 0.0), ("samples", 1, 7, 2, 3, 10, 3.0, 0.5, 1.0)]
    figure = agents.doubt(in_memory.of_rows(kinds.nld.DOUBT, rows), runs={"samples": "samples"})
    assert "7 networks of each" in written(figure)
    pictures = [ax.images[0].get_array() for ax in figure.axes if ax.images and ax.get_title()]
    assert [picture[2, 3] for picture in pictures] == pytest.approx([1.0, 1.5, 0.2, 0.25])
    assert all(picture.mask.sum() == 99 for picture in pictures)
