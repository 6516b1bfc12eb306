"""Aggregates of published scores come out as published, and intervals as the plain bootstrap's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from agentomy import kinds
from agentomy.environments import published
from agentomy.papers.twm.measure import scores, visits
from agentomy.seeds import Streams
from agentomy.tables import Table

STREAMS = Streams("test", "scores", 0)
some = settings(max_examples=50)
tables = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.floats(-1, 5))


@pytest.fixture(scope="module")
def normalised() -> Table:
    return Table(kinds.twm.NORMALISED, rows=scores.normalised(Table(kinds.twm.PUBLISHED, rows=published.scores())))


@pytest.fixture(scope="module")
def known() -> Table:
    return Table(kinds.twm.ESTIMATES, rows=published.aggregates())


def intervals(table) -> dict:
    """(value, low, high) by method, other method if there is one, and quantity."""
    frame = table.to_pandas()
    names = [name for name in ("method", "other", "quantity") if name in frame]
    return {tuple(row[names]): tuple(row[["value", "low", "high"]]) for _, row in frame.iterrows()}


def test_our_runs_stand_beside_published_ones_by_the_score_of_their_last_snapshot():
    rows = [("pong", seed, update, episode, value + episode) for seed, last in ((0, -20.7), (1, 14.6))
            for update, value in ((0, -21.0), (9, last)) for episode in (-1, 1)]  # fmt: skip
    run, seed, update, episode, value = map(np.array, zip(*rows, strict=True))
    columns = {"run": run, "seed": seed, "update": update, "episode": episode, "return": value}
    rollouts = Table(
        kinds.paths.ROLLOUTS, rows=kinds.paths.ROLLOUTS.table(**columns, period="whole", directions=-1, length=1)
    )
    table = Table(kinds.twm.PUBLISHED, rows=published.scores())
    joined = scores.ours(rollouts, table, games={"pong": "Pong"}).to_pandas()
    assert set(joined["game"]) == {"Pong"}
    ours = joined[joined["method"] == kinds.twm.OURS].sort_values("seed")
    np.testing.assert_allclose(ours["hns"], [0, 1], atol=1e-12)  # a random policy's score and a person's
    np.testing.assert_allclose(ours["score"], [-20.7, 14.6])
    theirs = scores.normalised(table).to_pandas().query("game == 'Pong'")
    kept = joined[joined["method"] != kinds.twm.OURS]
    assert sorted(kept["hns"]) == sorted(theirs["hns"])
    for games, wrong in (({"ping": "Pong"}, "ping"), ({"pong": "Ping"}, "Ping")):
        with pytest.raises(ValueError, match=wrong):
            scores.ours(rollouts, table, games=games)


# ---- section 12, test 1: the claims about published scores ----------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("TWM", [0.956, 0.505, 0.459, 0.513, 8]),
        ("IRIS", [1.046, 0.289, 0.501, 0.512, 10]),
        ("STORM", [1.222, 0.425, 0.561, 0.472, 9]),
        ("DIAMOND", [1.459, 0.373, 0.641, 0.480, 11]),
        ("SimPLe", [0.332, 0.134, 0.130, 0.729, 1]),
        ("EfficientZero", [1.943, 1.090, 1.047, 0.367, 14]),
    ],
)
def test_aggregates_are_those_of_the_sheet_to_three_decimals(normalised, method, expected):
    values = scores.scores_of(normalised, method)
    assert [round(float(aggregate(values)), 3) for aggregate in scores.AGGREGATES.values()] == expected


@pytest.mark.parametrize(
    ("method", "interval"),
    [
        (
            "TWM",
            {"mean": (0.862, 1.052), "median": (0.335, 0.575), "IQM": (0.399, 0.517), "optimality gap": (0.485, 0.543)},
        ),
        ("IRIS", {"mean": (0.970, 1.127), "IQM": (0.442, 0.563), "optimality gap": (0.492, 0.532)}),
        ("STORM", {"mean": (1.124, 1.311), "IQM": (0.511, 0.615), "optimality gap": (0.452, 0.493)}),
    ],
)
def test_intervals_are_those_of_the_sheet(normalised, method, interval):
    estimated = intervals(scores.aggregates(normalised, methods=[method], resamples=4000, streams=STREAMS))
    for quantity, expected in interval.items():
        np.testing.assert_allclose(estimated[method, quantity][1:], expected, atol=0.012, err_msg=quantity)


def test_the_games_at_human_level_are_the_eight(normalised):
    frame = normalised.where(method="TWM").frame()
    means = frame.groupby("game")["hns"].mean()
    expected = "Boxing CrazyClimber Jamesbond Krull KungFuMaster Pong RoadRunner UpNDown"
    assert " ".join(means.index[means >= 1]) == expected


def test_shares_above_thresholds_are_those_of_claim_8(normalised):
    values = scores.scores_of(normalised, "TWM")
    shares = [round(float(scores.share_above(values, threshold)), 2) for threshold in (0, 0.1, 0.25, 0.5, 1, 2, 4, 8)]
    assert shares == [0.99, 0.75, 0.55, 0.46, 0.30, 0.12, 0.07, 0]


@pytest.mark.parametrize(("other", "chance"), [("IRIS", 0.54), ("SimPLe", 0.81), ("STORM", 0.37), ("DIAMOND", 0.35)])
def test_chances_of_beating_others_are_those_of_claim_7(normalised, other, chance):
    one, another = (scores.scores_of(normalised, method) for method in ("TWM", other))
    assert round(float(scores.beats(one, another)), 2) == chance


def test_what_is_known_of_methods_without_runs_agrees_with_their_means(normalised, known):
    for method in ("CURL", "DrQ(eps)", "SPR", "DreamerV3"):
        ratios = normalised.where(method=method).values("hns")
        for quantity, value in (("mean", ratios.mean()), ("median", np.median(ratios))):
            there = known.where(method=method, quantity=quantity).values("value")[0]
            assert there == pytest.approx(value, abs=1.2e-3), (method, quantity)


def test_the_level_on_upndown_and_roadrunner_rests_on_one_run(normalised):
    frame = Table(kinds.twm.SPREAD, rows=scores.spread(normalised, methods=["TWM"])).frame()
    on_one = frame[(frame["mean"] >= 1) & (frame["without_best"] < 1)]
    assert on_one["game"].tolist() == ["RoadRunner", "UpNDown"]
    freeway = frame.set_index("game").loc["Freeway"]
    assert (freeway["runs"], freeway["least"], freeway["largest"]) == (5, 0, 31.14)


# ---- normalising ----------------------------------------------------------------------------------------------------


def test_a_random_policy_has_0_and_a_person_1():
    rows = [("random", -1, 0, -20.0), ("human", -1, 0, 20.0), ("A", 0, 1, -20.0), ("A", 1, 1, 20.0), ("B", -1, 9, 40.0)]
    method, seed, runs, score = (np.array(cells) for cells in zip(*rows, strict=True))
    table = kinds.twm.PUBLISHED.table(method=method, game="Pong", seed=seed, runs=runs, score=score, source="planted")
    frame = scores.normalised(Table(kinds.twm.PUBLISHED, rows=table)).to_pandas()
    assert frame["method"].tolist() == ["A", "A", "B"]
    assert frame["hns"].tolist() == [0, 1, 1.5]


def test_means_over_runs_and_unknown_methods_are_refused_in_one_line(normalised):
    with pytest.raises(ValueError, match="SPR is known by means over 100 runs alone; runs are needed"):
        scores.scores_of(normalised, "SPR")
    with pytest.raises(ValueError, match="no method 'TMW'; there are: .*TWM"):
        scores.scores_of(normalised, "TMW")


# ---- aggregates -----------------------------------------------------------------------------------------------------


@given(tables)
@some
def test_iqm_is_scipys_trimmed_mean(values):
    assert scores.iqm(values) == pytest.approx(stats.trim_mean(values.ravel(), 0.25), abs=1e-12)


@given(tables, tables)
@some
def test_the_chance_of_beating_is_mann_and_whitneys_u_and_turns_round(ours, theirs):
    games = min(len(ours), len(theirs))
    ours, theirs = ours[:games], theirs[:games]
    pairs = [
        stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b))
        for a, b in zip(ours, theirs, strict=True)
    ]
    chance = scores.beats(ours, theirs)
    assert chance == pytest.approx(np.mean(pairs), abs=1e-12)
    assert scores.beats(theirs, ours) == pytest.approx(1 - chance)


@given(tables)
@some
def test_every_aggregate_of_several_resamples_is_that_of_each(values):
    again = scores.resampled(values, 7, np.random.default_rng(0))
    for function in scores.AGGREGATES.values():
        np.testing.assert_allclose(function(again), [function(resample) for resample in again])


@given(tables)
@some
def test_the_optimality_gap_is_one_less_the_mean_where_nobody_is_above_a_person(values):
    assert scores.optimality_gap(np.minimum(values, 1)) == pytest.approx(1 - np.minimum(values, 1).mean())
    assert scores.optimality_gap(np.maximum(values, 1)) == 0


@given(tables)
@some
def test_a_profile_never_rises_and_its_integral_is_the_mean_above_zero(values):
    grid = np.linspace(0, 5, 2001)
    shares = np.array([scores.share_above(values, threshold) for threshold in grid])
    assert (np.diff(shares) <= 0).all()
    assert np.trapezoid(shares, grid) == pytest.approx(np.maximum(values, 0).mean(), abs=0.005)


# ---- bootstrap ------------------------------------------------------------------------------------------------------


def plain_bootstrap(values, function, resamples, rng):
    """Game by game, run by run."""
    drawn = []
    for _ in range(resamples):
        again = [[row[rng.integers(len(row))] for _ in row] for row in values]
        drawn.append(function(np.array(again)))
    return np.percentile(drawn, [2.5, 97.5])


@pytest.mark.parametrize("quantity", list(scores.MAIN))
def test_intervals_are_the_plain_bootstraps(quantity):
    values = np.random.default_rng(3).gamma(1.0, 0.7, size=(6, 5))
    function = scores.AGGREGATES[quantity]
    _, low, high = scores.estimated(function, values, scores.resampled(values, 4000, np.random.default_rng(0)))
    expected = plain_bootstrap(values, function, 1500, np.random.default_rng(1))
    np.testing.assert_allclose([low, high], expected, atol=0.12 * (high - low))


@given(tables)
@some
def test_runs_are_drawn_within_their_own_game(values):
    again = scores.resampled(values, 20, np.random.default_rng(1))
    for game, runs in enumerate(values):
        assert set(again[:, game].ravel()) <= set(runs)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(5).normal(size=(40, 5))
    again = scores.resampled(values, 20_000, np.random.default_rng(0))
    low, high = scores.ends(scores.mean(again))
    deviation = np.sqrt((values.var(axis=1) / 5).sum()) / 40
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.03)


def test_one_number_a_game_has_no_interval(normalised):
    estimated = intervals(scores.aggregates(normalised, methods=["EfficientZero"], resamples=10, streams=STREAMS))
    assert set(estimated) == {("EfficientZero", quantity) for quantity in scores.AGGREGATES}
    assert all(np.isnan([low, high]).all() for _, low, high in estimated.values())


def test_differences_are_those_of_aggregates_and_lie_in_their_intervals(normalised, known):
    given = {"method": "TWM", "others": ["IRIS", "SPR"], "resamples": 2000, "streams": STREAMS}
    estimated = intervals(scores.differences(normalised, known, **given))
    ours, theirs = (scores.scores_of(normalised, method) for method in ("TWM", "IRIS"))
    assert estimated["TWM", "IRIS", "IQM"][0] == pytest.approx(scores.iqm(ours) - scores.iqm(theirs))
    assert estimated["TWM", "SPR", "IQM"][0] == pytest.approx(scores.iqm(ours) - 0.337)
    assert len(estimated) == 8
    assert all(low < value < high for value, low, high in estimated.values())
    # the other's runs are resampled as well: more spread than one alone
    widths = {other: np.ptp(estimated["TWM", other, "mean"][1:]) for other in ("IRIS", "SPR")}
    assert widths["IRIS"] > widths["SPR"]


def test_improvements_have_intervals_around_them_and_depend_on_the_streams_alone(normalised):
    given = {"method": "TWM", "others": ["IRIS", "DIAMOND"], "resamples": 500}
    one, again, other = (scores.improvement(normalised, **given, streams=Streams("t", "i", s)) for s in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)
    assert all(low < value < high for value, low, high in intervals(one).values())


def test_the_runs_of_two_methods_are_drawn_apart(normalised):
    """A method against itself under another name: drawn alike, every resampling would be a tie."""
    frame = normalised.where(method="TWM").frame()
    again = {name: frame[name].to_numpy() for name in frame} | {"method": "again"}
    both = [normalised.arrow(), kinds.twm.NORMALISED.table(**again)]
    given = {"method": "TWM", "others": ["again"], "resamples": 200, "streams": STREAMS}
    (row,) = scores.improvement(Table(kinds.twm.NORMALISED, rows=both), **given).to_pylist()
    assert row["value"] == 0.5
    assert row["low"] < 0.48 < 0.52 < row["high"]


def test_a_profile_has_its_thresholds_and_bands_around_it(normalised):
    given = {"methods": ["TWM"], "largest": 8.0, "points": 17, "resamples": 300, "streams": STREAMS}
    frame = scores.profiles(normalised, **given).to_pandas()
    assert frame["threshold"].tolist() == np.arange(0, 8.5, 0.5).tolist()
    assert frame["share"][2] == scores.share_above(scores.scores_of(normalised, "TWM"), 1)
    assert ((frame["low"] <= frame["share"]) & (frame["share"] <= frame["high"])).all()


# ---- visits ---------------------------------------------------------------------------------------------------------


def counted(*counts) -> Table:
    counts = np.array(counts)
    seeds, size = counts.shape
    columns = {"seed": np.repeat(np.arange(seeds), size), "interaction": np.tile(np.arange(size), seeds)}
    return Table(kinds.twm.VISITS, rows=kinds.twm.VISITS.table(sampler="rule", **columns, visits=counts.ravel()))


def test_visits_are_averaged_by_age_band_and_compared_with_what_is_expected():
    table = counted([4, 4, 2, 2], [8, 0, 0, 0])
    frame = visits.by_age(table, bands=[0, 0.5, 1], expected={"rule": [5.0, 2.0]}).to_pandas()
    assert frame["since"].tolist() == [0, 0.5, 0, 0.5]
    assert frame["until"].tolist() == [0.5, 1, 0.5, 1]
    assert frame["simulation"].tolist() == [0, 0, 1, 1]
    assert frame["visits"].tolist() == [4, 2, 4, 0]
    assert frame["over_expected"].tolist() == [0.8, 1, 0.8, 0]
    unknown = visits.by_age(table, bands=[0, 0.5, 1], expected={"other": [5.0, 2.0]}).to_pandas()
    assert unknown["over_expected"].isna().all()


def test_each_simulation_has_its_own_entropy_and_variation():
    frame = visits.evenness(counted([4, 4, 2, 2], [8, 0, 0, 0])).to_pandas()
    assert frame["variation"].tolist() == pytest.approx([1 / 3, np.sqrt(3)])
    assert frame["entropy"][1] == 0


@given(st.integers(2, 50), st.integers(1, 9))
@some
def test_equal_visits_have_entropy_1_and_those_of_k_among_n_log_k_over_log_n(size, visited):
    assert visits.entropy(np.full(size, 3)) == pytest.approx(1)
    counts = np.zeros(size, int)
    counts[:visited] = 4
    assert visits.entropy(counts) == pytest.approx(np.log(min(size, visited)) / np.log(size))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bands": [0, 0.5]}, "rising shares from 0 to 1"),
        ({"bands": [0, 0.6, 0.5, 1]}, "rising shares"),
        ({"bands": [0, 0.01, 1]}, "bands with some"),
        ({"expected": {"rule": [1.0]}}, "expected.rule: found 1 of 2 bands"),
    ],
)
def test_bands_that_do_not_fit_are_refused_in_one_line(given, words):
    with pytest.raises(ValueError, match=words):
        visits.by_age(counted([1, 2, 3, 4]), **{"bands": [0, 0.5, 1], "expected": {}} | given)
