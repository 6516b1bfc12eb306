"""The figures and metrics of our own world models show what the tables hold, and say how many seeds it is of (TWM)."""

from itertools import product

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure
from scipy import stats

from agentomy import kinds, tables
from agentomy.drawing import style
from agentomy.papers.twm.draw import inside, runs
from agentomy.papers.twm.measure import runs as metrics
from agentomy.tables import Table
from tests import in_memory
from tests.described import trained

matplotlib.use("agg")

RUNS = {"base": "TWM", "plain": "plain bonus"}
SEEDS, SNAPSHOTS = (0, 1, 2), (0, 20, 40)
PREFILL, PRETRAINING, UPDATES = 100, 10, 40  # interactions, updates


def interactions(update: int) -> float:
    return PREFILL + 10.0 * max(0, update - PRETRAINING)


def entropy(run: str, seed: int, update: int) -> float:
    """The base comes down to 0.2 and stays; the plain bonus collapses to 0.01."""
    end = 0.2 if run == "base" else 0.01
    return max(end + 0.001 * seed, 1 - update / 20)


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Table:
    """One file a run and seed, as training writes them."""
    folder, paths = tmp_path_factory.mktemp("logs"), []
    for run, seed in product(RUNS, SEEDS):
        rows = []
        for update in range(2, UPDATES + 1, 2):
            rows.append((run, seed, update, "interactions", interactions(update)))
            rows.append((run, seed, update, "policy_entropy", entropy(run, seed, update)))
            rows.append((run, seed, update, "reward", 1.0 + seed))
        paths.append(folder / f"{run}{seed}.parquet")
        rows = in_memory.of_rows(kinds.common.LOG, rows).arrow()
        tables.write(paths[-1], kinds.common.LOG, rows, trained(run=run))
    return Table(kinds.common.LOG, paths)


@pytest.fixture(scope="module")
def rollouts() -> Table:
    rows = [
        (run, seed, update, "whole", -1, episode, float(update + 10 * seed + episode), 5)
        for run, seed, update, episode in product(RUNS, SEEDS, SNAPSHOTS, (0, 1))
    ]
    return in_memory.of_rows(kinds.paths.ROLLOUTS, rows)


def loss(model: str, quantity: str, seed: int, update: int) -> float:
    base = {"next_latent": 8.0, "reward": 1.0, "discount": 0.5, "latent_entropy": 0.2}[quantity]
    return {"snapshot": base / (1 + update), "untrained": 2 * base, "constant": base / 2}[model] + 0.1 * seed


@pytest.fixture(scope="module")
def losses() -> Table:
    rows = [
        (run, seed, update, model, quantity, loss(model, quantity, seed, update))
        for run, seed, update, model in product(RUNS, SEEDS, SNAPSHOTS, ("snapshot", "untrained", "constant"))
        for quantity in ("next_latent", "reward", "discount", "latent_entropy")
        if (model, quantity) != ("constant", "latent_entropy")
    ]
    return in_memory.of_rows(kinds.twm.MODEL_LOSSES, rows)


def grid(paddle: int, balls: list[int]) -> np.ndarray:
    """A 3 × 3 picture of two sorts of objects: one paddle below, balls above."""
    picture = np.zeros((3, 3, 2))
    picture[2, paddle, 0] = 1
    for ball in balls:
        picture[0, ball, 1] = 1
    return picture.ravel()


@pytest.fixture(scope="module")
def imagined() -> Table:
    """Real pictures have a paddle and at most one ball; those imagined late have two balls in one of two rollouts."""
    rows = []
    for rollout, step in product((0, 1), range(4)):
        balls = [0, 1] if rollout and step >= 2 else [] if step == 3 else [1]
        shown = 0.9 * grid(step % 3, balls) + 0.05
        rows.append(("base", 0, 40, rollout, "imagined", step, step, 0.5, 0.9, 0.9**step, False, 2, shown))
        rows.append(
            (
                "base",
                0,
                40,
                rollout,
                "real",
                step,
                3 - step,
                -0.5,
                0.0,
                1.0,
                step == 3,
                2,
                grid(step % 3, [2] if step < 3 else []),
            )
        )
    return in_memory.of_rows(kinds.twm.IMAGINED, rows)


@pytest.fixture(scope="module")
def attention() -> Table:
    """Head 1 looks at the code of this step alone, head 2 at the reward of three steps ago; untrained, all alike."""
    tokens = [(age, modality) for age in range(4) for modality in "zar" if age or modality != "r"]
    rows = []
    for update, view, head, (age, modality) in product((0, 40), ("mean", "example"), (1, 2), tokens):
        weight = 1 / len(tokens)
        if update:
            weight = float((age, modality) == ((0, "z") if head == 1 else (3, "r")))
        rows.append(("base", 0, update, view, 30 if view == "mean" else 1, 1, head, age, modality, weight))
    return in_memory.of_rows(kinds.twm.ATTENTION, rows)


def written(figure: Figure) -> str:
    """Draws it, so that what cannot be drawn fails; all its words."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def lines(ax, colour: str) -> list[np.ndarray]:
    return [np.column_stack(line.get_data()) for line in ax.lines if same_color(line.get_color(), colour)]


# ---- along learning --------------------------------------------------------------------------------------------------


def test_learning_curves_are_mean_returns_at_the_interactions_of_their_snapshots(rollouts, log):
    figure = runs.learning_curves(rollouts, log, panels={"Breakout": RUNS})
    text = written(figure).replace("\n", " ")
    assert "n = 3 training seeds 2 evaluation episodes" in text
    assert all(label in text for label in [*RUNS.values(), "untrained", "Breakout", "95 % intervals over seeds"])
    (curve,) = lines(figure.axes[0], runs.FIRST)
    np.testing.assert_allclose(curve, [(0 if u == 0 else interactions(u), u + 10.5) for u in SNAPSHOTS])
    (untrained,) = lines(figure.axes[0], style.GREY)
    assert untrained[:, 1].tolist() == [10.5, 10.5]


def test_bands_of_returns_are_students_intervals_and_none_goes_below_zero(rollouts, log):
    figure = runs.learning_curves(rollouts, log, panels={"Breakout": RUNS})
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    last = UPDATES + np.array([0.5, 10.5, 20.5])  # the returns of the three seeds
    assert band[:, 1].max() == pytest.approx(stats.t.interval(0.95, 2, last.mean(), stats.sem(last))[1])
    assert band[:, 1].min() == 0  # that of the untrained network, 0.5 to 20.5, would reach to -14


def test_nothing_of_a_later_panel_is_cut(rollouts, log):
    frame = pd.concat([rollouts.frame(), rollouts.frame().query("run == 'plain'").assign(run="low")], ignore_index=True)
    frame.loc[frame["run"] == "plain", "return"] *= 9  # the second panel needs more room than the first
    table = Table(kinds.paths.ROLLOUTS, rows=pa.Table.from_pandas(frame, rollouts.arrow().schema, preserve_index=False))
    rows = log.frame()
    rows = pd.concat([rows, rows.query("run == 'plain' and update <= 20").assign(run="low")], ignore_index=True)
    logged = Table(kinds.common.LOG, rows=pa.Table.from_pandas(rows, log.arrow().schema, preserve_index=False))
    figure = runs.learning_curves(table, logged, panels={"x": {"base": "a", "low": "b", "plain": "c"}})
    for ax in figure.axes:
        for line in (*lines(ax, runs.FIRST), *lines(ax, runs.BESIDE)):
            assert (line >= [ax.get_xlim()[0], ax.get_ylim()[0]]).all()
            assert (line <= [ax.get_xlim()[1], ax.get_ylim()[1]]).all()


def test_each_panel_of_learning_curves_has_one_run_beside_the_games_first(rollouts, log):
    figure = runs.learning_curves(rollouts, log, panels={"Breakout": RUNS, "alone": {"plain": "TWM"}})
    beside, alone = figure.axes
    assert beside.get_title() == "plain bonus"
    assert [len(lines(ax, runs.BESIDE)) for ax in (beside, alone)] == [1, 0]
    figure = runs.learning_curves(rollouts, log, panels={"Breakout": {"base": "TWM"}, "alone": {"plain": "TWM"}})
    assert [ax.get_title() for ax in figure.axes] == ["Breakout", "alone"]
    assert all(len(lines(ax, runs.FIRST)) == 1 for ax in figure.axes)


def test_the_policys_entropy_is_drawn_after_pre_training_with_its_threshold(log):
    figure = runs.along_learning(log, runs=RUNS, quantities=["policy_entropy", "reward"])
    assert "n = 3 training seeds" in written(figure)
    (curve,) = lines(figure.axes[0], style.CYCLE[1])
    joint = range(PRETRAINING + 2, UPDATES + 1, 2)
    expected = [(interactions(u), np.mean([entropy("plain", seed, u) for seed in SEEDS])) for u in joint]
    np.testing.assert_allclose(curve, expected)
    (threshold,) = lines(figure.axes[0], style.GREY)
    assert threshold[:, 1].tolist() == [0.1, 0.1]
    assert not lines(figure.axes[1], style.GREY)


def test_a_run_or_quantity_that_was_not_logged_is_named(log):
    with pytest.raises(ValueError, match="no run 'other'; there are: base, plain"):
        runs.along_learning(log, runs={"other": "x"}, quantities=["reward"])
    with pytest.raises(ValueError, match="'base' has not reported 'returns'"):
        runs.along_learning(log, runs=RUNS, quantities=["returns"])


def test_fresh_and_untrained_losses_are_shares_of_the_best_constants(losses, log):
    figure = runs.fresh_losses(losses, log, runs={"base": "TWM"})
    assert "n = 3 training seeds" in written(figure)
    curves = lines(figure.axes[1], style.CYCLE[0])
    for model, curve in zip(("snapshot", "untrained"), curves, strict=True):
        shares = [
            [loss(model, "reward", seed, u) / loss("constant", "reward", seed, u) for seed in SEEDS] for u in SNAPSHOTS
        ]
        np.testing.assert_allclose(curve[:, 1], np.mean(shares, axis=1))
    assert any(set(line.get_ydata()) == {1} for line in figure.axes[1].lines)


def test_fresh_losses_begin_with_the_end_of_pre_training(log):
    rows = [
        ("base", seed, update, model, quantity, 1.0 + update + (model == "constant"))
        for seed, update, model in product(SEEDS, (0, 4, PRETRAINING, 40), ("snapshot", "untrained", "constant"))
        for quantity in ("next_latent", "reward", "discount")
    ]
    figure = runs.fresh_losses(in_memory.of_rows(kinds.twm.MODEL_LOSSES, rows), log, runs={"base": "TWM"})
    for ax in figure.axes:
        assert [curve[:, 0].tolist() for curve in lines(ax, style.CYCLE[0])] == [[PREFILL, interactions(40)]] * 2


def test_along_learning_the_first_run_alone_has_a_band(log):
    for ax in runs.along_learning(log, runs=RUNS, quantities=["policy_entropy", "reward"]).axes:
        (band,) = ax.collections
        assert same_color(band.get_facecolor()[0][:3], style.CYCLE[0])


def test_a_constant_that_is_perfect_gives_no_share(losses, log):
    frame = losses.frame()
    frame.loc[(frame["model"] == "constant") & (frame["update"] == SNAPSHOTS[0]), "value"] = 0.0
    kind = kinds.twm.MODEL_LOSSES
    table = Table(kind, rows=kind.table(**{name: frame[name].to_numpy() for name in frame}))
    (curve, *_) = lines(runs.fresh_losses(table, log, runs={"base": "TWM"}).axes[1], style.CYCLE[0])
    assert len(curve) == len(SNAPSHOTS) - 1
    assert np.isfinite(curve).all()


# ---- inside ----------------------------------------------------------------------------------------------------------


def test_imagined_pictures_stand_above_real_ones_with_action_reward_and_discount(imagined):
    figure = inside.imagined(imagined, run="base", actions=list("abcd"))
    text = written(figure)
    assert len(figure.axes) == 2 * 2 * 4
    assert "b\n+0.50  0.90" in text
    assert "d\n−0.50  0.00" in text
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown[2, 0], 0.95 * np.array(to_rgb(inside.OBJECTS[0])))
    real = figure.axes[4].images[0].get_array()
    np.testing.assert_allclose(real[0, 2], to_rgb(inside.OBJECTS[1]))
    np.testing.assert_allclose(real[1, 1], 0)


def test_objects_are_named_in_their_colours(imagined):
    (legend,) = inside.imagined(imagined, run="base", objects=["paddle", "ball"]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["paddle", "ball"]
    for key, colour in zip(legend.legend_handles, inside.OBJECTS, strict=False):
        assert same_color(key.get_facecolor(), colour)
    with pytest.raises(ValueError, match="objects: 1 names for 2 sorts of objects: paddle"):
        inside.imagined(imagined, run="base", objects=["paddle"])


def test_a_strip_says_the_sign_of_the_reward_and_is_as_bright_as_the_weight(imagined):
    figure = inside.imagined(imagined, run="base")
    (dream,), (real,) = figure.axes[2].patches, figure.axes[4].patches
    assert same_color(dream.get_facecolor()[:3], style.COLOURS["green"])
    assert dream.get_alpha() == pytest.approx(0.81)
    assert real.get_facecolor()[0] > 0.8
    assert real.get_alpha() == 1


def test_frames_of_a_screen_are_shown_by_their_last_one_in_grey():
    picture = np.zeros((64, 64, 4))
    picture[..., -1] = 0.25
    np.testing.assert_allclose(inside.coloured(picture), np.full((64, 64, 3), 0.25))


def test_reconstructions_stand_below_what_was_seen():
    rows = [("base", 0, 40, n, 1.5 + n, 2, grid(n, [0]), 0.5 * grid(n, [0])) for n in range(2)]
    figure = inside.reconstructions(in_memory.of_rows(kinds.twm.RECONSTRUCTIONS, rows), run="base")
    text = written(figure)
    assert "1.5\n" in text
    assert "2.5" in text
    seen, decoded = (figure.axes[place].images[0].get_array() for place in (1, 3))
    np.testing.assert_allclose(decoded, seen / 2)
    np.testing.assert_allclose(seen[2, 1], to_rgb(inside.OBJECTS[0]))


def test_of_frames_the_newest_is_shown_with_half_the_squared_error_of_all():
    frames = np.zeros((64, 64, 4))
    frames[..., 3] = 0.5
    least = 0.5 * np.log(2 * np.pi) * frames.size
    rows = [("base", 0, 40, 0, least + 37.0, 4, frames.ravel().tolist(), (frames / 2).ravel().tolist())]
    figure = inside.reconstructions(in_memory.of_rows(kinds.twm.RECONSTRUCTIONS, rows), run="base")
    text = written(figure)
    assert "37\n" in text
    assert "half the squared error" in text
    seen, decoded = (figure.axes[place].images[0].get_array() for place in (0, 1))
    assert (seen == 0.5).all()
    assert (decoded == 0.25).all()


def test_attention_is_drawn_oldest_first_in_the_colour_of_the_modality(attention):
    figure = inside.attention(attention, run="base")
    text = written(figure)
    assert "trained, mean (darkest: 1.00)" in text
    assert "mean over 30 steps" in text
    image = figure.axes[0].images[0].get_array()
    assert image.shape == (2, 11, 3)
    np.testing.assert_allclose(image[0, -2], to_rgb(style.COLOURS["blue"]))  # the code of this step, before its action
    np.testing.assert_allclose(image[1, 2], to_rgb(style.COLOURS["green"]))  # the reward of the oldest
    np.testing.assert_allclose(image[1, -2], 1)


# ---- what claims are judged on ---------------------------------------------------------------------------------------


def row(table, **wanted) -> dict:
    """The one row with these values."""
    frame = table.to_pandas()
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    (only,) = frame.to_dict("records")
    return only


def test_losses_of_the_last_snapshot_stand_beside_the_best_constants(losses):
    table = metrics.fresh_losses(losses)
    assert table.num_rows == len(RUNS) * len(SEEDS) * 3
    for quantity in ("next_latent", "reward", "discount"):
        shown = row(table, run="base", seed=1, quantity=quantity)
        last, constant = (loss(model, quantity, 1, 40) for model in ("snapshot", "constant"))
        assert shown["loss"] == pytest.approx(last)
        assert shown["above_constant"] == pytest.approx(last - constant)
        assert shown["over_constant"] == pytest.approx(last / constant)


def test_a_loss_has_no_share_of_a_constant_prediction_that_is_perfect(losses):
    frame = losses.frame()
    perfect = frame.assign(value=frame["value"].where(frame["model"] != "constant", 0.0))
    rows = kinds.twm.MODEL_LOSSES.table(**{name: perfect[name].to_numpy() for name in perfect})
    table = metrics.fresh_losses(Table(kinds.twm.MODEL_LOSSES, rows=rows)).to_pandas()
    assert table["over_constant"].isna().all()
    assert (table["above_constant"] == table["loss"]).all()


def test_a_collapsed_policy_is_out_of_bounds_and_one_that_keeps_its_entropy_is_not(log):
    table = metrics.entropy(log, low=0.05, high=0.5)
    base, plain = row(table, run="base", seed=1), row(table, run="plain", seed=2)
    assert (base["out_of_bounds"], plain["out_of_bounds"]) == (0, 1)
    assert base["late"] == pytest.approx(0.201)
    assert plain["least"] == pytest.approx(0.012)
    wide = metrics.entropy(log, low=0.0, high=0.1).to_pandas().set_index(["run", "seed"])["out_of_bounds"]
    assert (wide["base", 1], wide["plain", 1]) == (1, 0)


def test_attention_is_summed_by_modality(attention):
    shares = metrics.modalities(attention).to_pandas().set_index(["agent", "modality"])["share"]
    assert shares["trained"].to_dict() == {"a": 0.0, "r": 0.5, "z": 0.5}
    assert shares["untrained", "a"] == pytest.approx(4 / 11)


def test_attention_is_summed_by_age_and_heads_may_differ_in_it(attention):
    table = metrics.ages(attention)
    trained, untrained = (row(table, agent=agent) for agent in ("trained", "untrained"))
    assert (trained["beyond_last"], trained["range"]) == (0.5, 3)
    assert untrained["beyond_last"] == pytest.approx(6 / 11)  # of ages 2 and 3, of 0 to 3
    assert untrained["range"] == pytest.approx(0)


def test_imagined_pictures_with_objects_that_real_ones_never_have_are_not_possible(imagined):
    shown = row(metrics.dreamt(imagined, late=2))
    assert (shown["possible"], shown["pictures"], shown["sharp"]) == (0.5, 4, 1)
    assert shown["reward_error"] == pytest.approx(1.0)
    assert row(metrics.dreamt(imagined, late=0))["possible"] == 0.75
