"""The figures of the study of policy paths say what they show, draw what the tables hold, and name what is missing."""

import matplotlib
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from agentomy import kinds
from agentomy.lenses.paths import draw as path
from agentomy.papers.path.draw import returns as path_returns
from agentomy.tables import Table
from tests import in_memory
from tests.checks import check_page, is_drawn

matplotlib.use("agg")

LAYERS = ("layer1", "layer2", "layer3")
PERIODS = {"whole": slice(None), "first": slice(0, 24), "second": slice(24, 48), "third": slice(48, None)}
TIMES, DIRECTIONS = 72, (1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64)
QUANTILES, BETAS = np.linspace(0, 1, 41), np.arange(0.5, 1.0, 0.05).round(2)
MEASURES = {"untrained": 0.1, "score": 0.9, "auc": 0.6, "late": 0.7, "final": 0.8}  # shares of a level
ARMS = ("base", "pptb", "trimmed", "boosted", "averaged", "extrapolated", "random")


def walked(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    """A path that begins in a straight line and then dithers [T, size], and its two nulls."""
    speed = rng.lognormal(0, 1, size)
    steps = rng.normal(size=(TIMES, size)) * speed
    way = steps + rng.normal(size=size) * speed * np.exp(-np.arange(TIMES) / 20)[:, None]
    paths = {"real": way, "walk": steps, "shuffled": rng.permutation(way)}
    return {name: 5 * speed + moved.cumsum(axis=0) for name, moved in paths.items()}


def path_tables(runs: tuple = ("halfcheetah", "hopper"), seeds: int = 3, layers: tuple = LAYERS) -> dict[str, Table]:
    """Every table that the figures of paths read, of small invented policy paths."""
    rng = np.random.default_rng(5)
    change, dimensions, courses = [], [], []
    for run in runs:
        for seed in range(seeds):
            parts = {layer: walked(rng, 120) for layer in layers}
            parts["all"] = {name: np.concatenate([parts[layer][name] for layer in layers], 1) for name in path.PATHS}
            for layer, paths in parts.items():
                for name, whole in paths.items():
                    key = {"run": run, "seed": seed, "path": name, "layer": layer}
                    change += _change(whole, key)
                    for variant in ("raw", "delta"):
                        for period, part in PERIODS.items():
                            rows = whole[part] - (whole[part][0] if variant == "delta" else 0)
                            spectrum = {**key, "period": period, "variant": variant}
                            u, s, _ = np.linalg.svd(rows, full_matrices=False)
                            held = np.searchsorted(s.cumsum() / s.sum(), BETAS) + 1
                            dimensions.append({**spectrum, "beta": BETAS, "dimensions": held})
                            if period == "whole" and layer == "all":
                                courses += _courses(u, s, spectrum)
    tables = {
        "change": in_memory.of_columns(kinds.paths.CHANGE, change),
        "dimensions": in_memory.of_columns(kinds.paths.DIMENSIONS, dimensions),
    }
    return (
        tables
        | {"courses": in_memory.of_columns(kinds.paths.COURSES, courses)}
        | return_tables(rng, (*runs, *ARMS), seeds)
    )


def _change(whole: np.ndarray, key: dict) -> list[dict]:
    accumulated = np.abs(np.diff(whole, axis=0)).sum(axis=0)
    values = {"accumulated": accumulated, "detour": accumulated / np.abs(whole[-1] - whole[0])}
    given = {**key, "period": "whole", "parameters": "all", "quantile": QUANTILES}
    return [{**given, "quantity": name, "value": np.quantile(value, QUANTILES)} for name, value in values.items()]


def _courses(u: np.ndarray, s: np.ndarray, key: dict) -> list[dict]:
    rows = []
    for k in DIRECTIONS:
        course = u[:, k - 1] * (1 if u[-1, k - 1] >= u[0, k - 1] else -1)
        change = course[-1] - course[0]
        numbers = {
            "singular_value": s[k - 1],
            "share": s[k - 1] / s.sum(),
            "energy": s[k - 1] ** 2 / (s**2).sum(),
            "detour": np.abs(np.diff(course)).sum() / change,
            "change": change,
            "crossings": (np.diff(np.sign(course - course.mean())) != 0).sum(),
            "cosine": 0.9,
        }
        lists = {"updates": 100.0 * np.arange(TIMES)[None], "course": course[None]}
        rows.append({**key, "direction": k, **numbers, **lists})
    return rows


def measures(values: dict[str, float]) -> dict[str, np.ndarray]:
    """Columns of a table of scores, from measure → value."""
    return {"measure": np.array(list(values)), "value": np.array(list(values.values()))}


def return_tables(rng: np.random.Generator, runs: tuple, seeds: int) -> dict[str, Table]:
    rollouts, scores, rebuilt = [], [], []
    updates = np.repeat(np.arange(0, 40001, 4000), 5)
    for number, run in enumerate(runs):
        for seed in range(seeds):
            level = (2000 + 150 * number) * rng.uniform(0.8, 1.2)
            returns = level * (1 - np.exp(-updates / 15000)) + rng.normal(0, 150, len(updates))
            key = {"run": run, "seed": seed}
            given = {**key, "update": updates, "period": "whole", "episode": np.tile(np.arange(5), len(updates) // 5)}
            rollouts.append({**given, "directions": -1, "return": returns, "length": 1000})
            rollouts.append({**given, "directions": 4, "return": -returns, "length": 1000})
            scores.append({**key, **measures({name: level * share for name, share in MEASURES.items()})})
            for half in ("half1", "half2"):
                for k in (-1, 1, 2, 4, 8, 16, 32, 64, 128):
                    error = 0 if k == -1 else level / k
                    ends = {"maximum": level + error, "minimum": level - 2 * error, "snapshots": 6}
                    rebuilt.append(
                        {**key, "period": half, "directions": k, "mean": level - error, "difference": error, **ends}
                    )
    return {
        "rollouts": in_memory.of_columns(kinds.paths.ROLLOUTS, rollouts),
        "scores": in_memory.of_columns(kinds.paths.SCORES, scores),
        "reconstruction": in_memory.of_columns(kinds.paths.RECONSTRUCTION, rebuilt),
    }


@pytest.fixture(scope="module")
def one():
    return path_tables(seeds=1, layers=("layer1",))


@pytest.fixture(scope="module")
def full():
    return path_tables()


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


RUNS = ["halfcheetah", "hopper"]
PAIRS = {"halfcheetah": "pptb", "hopper": "random"}
LABELS = {run: f"the arm {run}" for run in ARMS}
PANELS = {f"panel of {run}": ["base", run] for run in ARMS[1:]}
# name: (draws the figure from the tables, words that a reader must find in it)
FIGURES = {
    "F1": (
        lambda t: path.change_and_detour(t["change"], runs=RUNS),
        [*RUNS, "accumulated change", "detour ratio", "layer1", "share of parameters", "random walk", "training seed"],
    ),
    "F2a": (
        lambda t: path.dimensionality(t["dimensions"], run="hopper", variant="raw"),
        [
            "whole network",
            "layer1",
            "share β",
            "directions needed",
            "real, first third",
            "shuffled steps",
            "real path",
            "raw path",
        ],
    ),
    "F2b": (
        lambda t: path.time_courses(
            t["courses"], run="hopper", variant="raw", directions=[1, 2, 3, 4, 8, 16, 32, 64], seed=0
        ),
        ["k = 1", "k = 64", "detour ", "change ", "training update", "72 snapshots, 100 updates apart", "seed 0"],
    ),
    "F3": (
        lambda t: path_returns.scheme(t["courses"], run="hopper", seed=0),
        ["direction 1", "direction 8", "trimmed: 4 directions kept", "boosted by 0.25", "last policy", "hopper"],
    ),
    "F4": (
        lambda t: path.optimisers(t["change"], t["courses"], runs=RUNS),
        [*RUNS, "accumulated change", "direction k", "share of Σ s", "U[:, 4]", "random walk", "seed 0"],
    ),
    "F6": (
        lambda t: path_returns.left_columns(t["courses"], t["rollouts"], runs=RUNS),
        [*RUNS, "return (reward)", "U[:, 1]", "update", "shuffled steps", "95 % intervals"],
    ),
    "F7": (
        lambda t: path_returns.learning_curves(t["rollouts"], arms=PANELS, labels=["TD3", "with it"]),
        [*PANELS, "TD3", "with it", "average return (reward)", "5 evaluation episodes", "95 % intervals over seeds"],
    ),
    "F8": (
        lambda t: path.null(t["courses"], runs=RUNS),
        [*RUNS, "energy share", "detour ratio", "mean crossings", "long random walk, exact", "direction k"],
    ),
    "T1": (
        lambda t: path_returns.scores_table(t["scores"], pairs=PAIRS),
        [*PAIRS, *PAIRS.values(), "Score\nof base", "AUC\nof other", "change", "aggregate", "s.d.", "reward"],
    ),
    "T10": (
        lambda t: path_returns.controls_table(t["scores"], arms=LABELS),
        [*LABELS.values(), "Score", "AUC", "final", "interval (95 %)", "paired by seed"],
    ),
    "T4": (
        lambda t: path_returns.reconstruction_table(t["reconstruction"], run="hopper"),
        ["snapshots", "128", "mean\nAR", "mean\n|ΔR|", "first half", "second half", "6 snapshots", "reward"],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_can_be_read_and_lies_on_the_page(full, name):
    draw, words = FIGURES[name]
    check_page(draw(full), words)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_one_seed_have_their_labels_on_the_page_too(one, name):
    draw, words = FIGURES[name]
    check_page(draw(one), words)


def test_distributions_are_those_of_the_seeds_and_their_geometric_mean(full):
    ax = path.change_and_detour(full["change"], runs=["hopper"]).axes[1]
    frame = full["change"].where(run="hopper", layer="layer2", quantity="detour").frame()
    for name in ("real", "walk"):
        values = frame[frame["path"] == name].pivot_table(index="quantile", columns="seed", values="value")
        assert is_drawn(ax, np.exp(np.log(values).mean(axis=1)), QUANTILES)
    assert is_drawn(ax, frame[(frame["path"] == "real") & (frame["seed"] == 2)]["value"], QUANTILES)


def test_dimensions_are_means_over_seeds_of_the_whole_path_above_its_thirds(full):
    figure = path.dimensionality(full["dimensions"], run="hopper", variant="delta")
    columns = len(figure.axes) // 2
    whole, part = figure.axes[columns - 1], figure.axes[-1]
    frame = full["dimensions"].where(run="hopper", layer="all", variant="delta").frame()
    of = {key: rows.groupby("beta")["dimensions"] for key, rows in frame.groupby(["path", "period"])}
    for name in path.PATHS:
        assert is_drawn(whole, BETAS, of[name, "whole"].mean())
    for period in path.PERIODS:
        assert is_drawn(part, BETAS, of["real", period].mean())
    walk = frame[(frame["path"] == "walk") & (frame["period"] != "whole")]
    assert is_drawn(part, BETAS, walk.groupby("beta")["dimensions"].mean())


def test_dimensions_have_bands_over_seeds_and_a_key_for_each_line(full):
    figure = path.dimensionality(full["dimensions"], run="hopper", variant="delta")
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    frame = full["dimensions"].where(run="hopper", variant="delta", path="real", period="whole").frame()
    first = frame[frame["layer"] == figure.axes[0].get_title()]
    assert {band[:, 1].min(), band[:, 1].max()} == {first["dimensions"].min(), first["dimensions"].max()}
    keys = figure.legends[0].legend_handles
    assert len({(key.get_color(), key.get_linestyle()) for key in keys}) == len(keys) == 6


def test_time_courses_are_drawn_beside_both_nulls(full):
    ax = path.time_courses(full["courses"], run="hopper", variant="delta", directions=[1, 3], seed=1).axes[1]
    rows = full["courses"].where(run="hopper", variant="delta", direction=3, seed=1)
    for name in path.PATHS:
        assert is_drawn(ax, 100 * np.arange(TIMES), rows.where(path=name).array("course")[0])


def test_the_known_answer_of_a_walk_is_drawn_only_for_the_delta_path(full):
    k = np.arange(1, 9)
    for variant, drawn in (("delta", True), ("raw", False)):
        energy, detour, crossings = path.null(full["courses"], runs=["hopper"], variant=variant).axes
        assert is_drawn(energy, k, 8 / (np.pi * (2 * k - 1)) ** 2) == drawn
        assert is_drawn(detour, k, 2 * k - 1) == is_drawn(crossings, k, k) == drawn


def test_points_beside_the_known_answer_are_medians_over_seeds(full):
    ax = path.null(full["courses"], runs=["hopper"]).axes[1]
    frame = full["courses"].where(run="hopper", variant="delta", path="walk", direction=list(range(1, 9))).frame()
    assert is_drawn(ax, np.arange(1, 9), frame.groupby("direction")["detour"].median())


def test_learning_curves_are_of_the_snapshots_themselves(full):
    ax = path_returns.learning_curves(full["rollouts"], arms={"x": ["hopper", "pptb"]}, labels=["a", "b"]).axes[0]
    frame = full["rollouts"].where(directions=-1, run=["hopper", "pptb"]).frame()
    for run in ("hopper", "pptb"):
        means = frame[frame["run"] == run].groupby(["update", "seed"])["return"].mean().groupby("update").mean()
        assert is_drawn(ax, means.index, means)
    assert [line.get_color() for line in ax.lines] == [path_returns.BASE, path_returns.PPTB]


def test_bands_of_returns_are_students_intervals_over_seeds(full):
    ax = path_returns.learning_curves(full["rollouts"], arms={"x": ["hopper", "pptb"]}, labels=["a", "b"]).axes[0]
    frame = full["rollouts"].where(directions=-1, run="pptb").frame()
    last = frame[frame["update"] == frame["update"].max()].groupby("seed")["return"].mean()
    expected = stats.t.interval(0.95, len(last) - 1, last.mean(), last.sem())
    band = ax.collections[1].get_paths()[0].vertices
    np.testing.assert_allclose(np.unique(band[band[:, 0] == band[:, 0].max(), 1]), expected)


def test_trimming_removes_the_minor_direction_and_boosting_follows_the_major_one(full):
    ax = path_returns.scheme(full["courses"], run="hopper", seed=0, minor=6).axes[0]
    rows = full["courses"].where(run="hopper", seed=0, variant="delta", path="real")
    x, y = (
        rows.where(direction=k).array("course")[0] * rows.where(direction=k).values("singular_value") for k in (1, 6)
    )
    assert is_drawn(ax, x, y)
    assert is_drawn(ax, [x[-1] + 0.25 * (x[-1] - x[0])], [0])


def texts_of(figure: matplotlib.figure.Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_differences_of_arms_are_paired_by_seed():
    scores = {"base": [10.0, 20.0, 30.0], "other": [32.0, 12.0, 22.0]}
    seeds = {"base": [0, 1, 2], "other": [2, 0, 1]}
    rows = [
        {"run": run, "seed": seed, **measures(dict.fromkeys(MEASURES, value))}
        for run in scores
        for seed, value in zip(seeds[run], scores[run], strict=True)
    ]
    texts = texts_of(
        path_returns.controls_table(
            in_memory.of_columns(kinds.paths.SCORES, rows), arms={"base": "base", "other": "other"}
        )
    )
    assert texts.count("+2.00 [+2.00, +2.00]") == len(path_returns.MEASURES)
    assert "20.0 ± 5.77" in texts


def test_changes_are_relative_to_the_size_of_the_base():
    values = {("a", 0): (-10.0, 10.0), ("a", 1): (-30.0, 10.0), ("b", 0): (-10.0, 11.0), ("b", 1): (-10.0, 12.0)}
    rows = [
        {"run": run, "seed": seed, **measures({"score": score, "auc": auc})}
        for (run, seed), (score, auc) in values.items()
    ]
    texts = texts_of(path_returns.scores_table(in_memory.of_columns(kinds.paths.SCORES, rows), pairs={"a": "b"}))
    assert texts.count("+50.0 %") == 2  # of the pair, and in the aggregate
    assert texts.count("+15.0 %") == 2
    assert "−20.0 ± 14.1" in texts


def test_the_note_gives_one_spacing_of_snapshots_or_one_for_each_run(full):
    courses = full["courses"].where(run="hopper", seed=0, direction=1, path="real", variant="delta").arrow()
    longer = courses.set_column(courses.schema.get_field_index("run"), "run", pa.array(["ant"]))
    steps = pa.array([[0.0, 250.0, 500.0]], courses.schema.field("updates").type)
    longer = longer.set_column(longer.schema.get_field_index("updates"), "updates", steps)
    both = Table(kinds.paths.COURSES, rows=pa.concat_tables([courses, longer]))
    assert path.snapshots(both.where(run="hopper")) == "72 snapshots, 100 updates apart"
    assert path.snapshots(both) == "hopper: 72 snapshots, 100 updates apart; ant: 3 snapshots, 250 updates apart"


def test_the_reconstruction_table_holds_means_over_seeds_in_the_order_of_k(full):
    texts = texts_of(path_returns.reconstruction_table(full["reconstruction"], run="hopper"))
    frame = full["reconstruction"].where(run="hopper", directions=4, period="half2").frame()
    assert f"{frame['difference'].mean():.0f}" in texts
    assert [text for text in texts if text.isdigit() and int(text) in (1, 2, 4, 8, 16, 32, 64, 128)][:3] == [
        "1",
        "2",
        "4",
    ]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda t: path.change_and_detour(t["change"], runs=["ant"]),
            "change: no run 'ant'; there are: half",
        ),
        (lambda t: path.change_and_detour(t["change"], runs=[]), "no runs to draw"),
        (
            lambda t: path.dimensionality(t["dimensions"], run="ant", variant="raw"),
            "dimensions: no run 'ant'; there are: halfcheetah, hopper",
        ),
        (
            lambda t: path.time_courses(t["courses"], run="hopper", variant="raw", directions=[1, 99]),
            "courses: no direction '99' with path 'real'; there are: 1, 2, 3",
        ),
        (
            lambda t: path.time_courses(t["courses"], run="hopper", variant="raw", directions=[1], seed=8),
            "courses: no seed '8' with run 'hopper', variant 'raw'; there are: 0, 1, 2",
        ),
        (lambda t: path.null(t["courses"].where(path="real"), runs=["hopper"]), "no path 'walk'; there are: real"),
        (
            lambda t: path_returns.scheme(t["courses"], run="hopper", seed=0, minor=4),
            "direction 4 must be trimmed; kept are 1 to 4",
        ),
        (
            lambda t: path_returns.learning_curves(t["rollouts"], arms={"x": ["ant", "base"]}, labels=["a", "b"]),
            "rollouts: no run 'ant'",
        ),
        (
            lambda t: path_returns.learning_curves(t["rollouts"], arms={"x": ["base"]}, labels=["a", "b"]),
            "'x' must name a base and a run beside it, not 1 runs",
        ),
        (lambda t: path_returns.learning_curves(t["rollouts"], arms={}, labels=["a", "b"]), "no panels to draw"),
        (lambda t: path_returns.left_columns(t["courses"], t["rollouts"], runs=["base"]), "courses: no run 'base'"),
        (lambda t: path_returns.scores_table(t["scores"], pairs={"base": "ant"}), "scores: no run 'ant'"),
        (lambda t: path_returns.controls_table(t["scores"], arms={}), "no arms to draw"),
        (lambda t: path_returns.reconstruction_table(t["reconstruction"], run="ant"), "reconstruction: no run 'ant'"),
    ],
)
def test_what_is_not_in_the_tables_is_named(full, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(full)
