"""Published scores are whole and say where they are from; visits follow the rule of sampling."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.environments import published, visits
from agentomy.papers.twm.measure import visits as evenness
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table

FIVE_RUNS = {"TWM", "IRIS", "STORM", "DIAMOND", "SimPLe"}
BANDS = [0, 0.05, 0.25, 0.5, 0.75, 0.9, 1]


@pytest.fixture(scope="module")
def scores():
    return Table(kinds.twm.PUBLISHED, rows=published.scores()).frame()


# ---- published scores -----------------------------------------------------------------------------------------------


def test_every_method_has_26_games_and_those_with_runs_have_five(scores):
    for (method, _), group in scores.groupby(["method", "game"]):
        assert group["seed"].tolist() == (list(range(5)) if method in FIVE_RUNS else [-1])
    assert (scores.groupby("method")["game"].nunique() == 26).all()
    assert set(scores["method"]) > FIVE_RUNS


def test_every_score_says_where_it_was_published_and_over_how_many_runs(scores):
    assert (scores["source"].str.len() > 10).all()
    runs = scores.groupby("method")["runs"].first()
    assert (runs[list(FIVE_RUNS)] == 1).all()
    assert (runs["SPR"], runs["DreamerV3"], runs["EfficientZero"]) == (100, 5, 0)


@pytest.mark.parametrize(
    ("method", "game", "mean"),
    [("TWM", "Alien", 674.6), ("TWM", "UpNDown", 15982), ("IRIS", "Pong", 14.6), ("SimPLe", "Krull", 2205)]
    + [("STORM", "Gopher", 8240), ("DIAMOND", "Breakout", 132.5), ("SPR", "Kangaroo", 3617), ("human", "Boxing", 12.1)],
)
def test_means_are_those_of_the_literature(scores, method, game, mean):
    of_game = scores[(scores["method"] == method) & (scores["game"] == game)]["score"]
    assert of_game.mean() == pytest.approx(mean, rel=5e-4)


def test_known_aggregates_are_of_methods_whose_runs_are_not_here(scores):
    known = Table(kinds.twm.ESTIMATES, rows=published.aggregates()).frame()
    assert set(known["method"]) == {"CURL", "DrQ(eps)", "SPR", "DreamerV3"}
    assert (known.groupby("method")["quantity"].nunique() == 4).all()
    assert np.isfinite(known["low"]).sum() == np.isfinite(known["high"]).sum() == 4


@pytest.fixture
def data(tmp_path, monkeypatch):
    shutil.copytree(published.DATA / "data", tmp_path / "data")
    monkeypatch.setattr(published, "DATA", tmp_path)
    return tmp_path


BAD = [
    (
        published.RUNS,
        "TWM,Alien,840,",
        "TWM,Alien,8x40,",
        ["atari100k_runs.csv, line 2: run 0: found '8x40'", "number"],
    ),
    (published.RUNS, "TWM,Alien,840,", "TWM,Alien,nan,", ["line 2: run 0: found 'nan'", "a number"]),
    (published.RUNS, "TWM,Alien,840,", "TWM,Alien,", ["line 2: found 6 values; allowed: 7"]),
    (published.RUNS, "TWM,Amidar,", "TWM,Alien,", ["line 3: game: found 'Alien'", "each game once for TWM"]),
    (published.RUNS, "IRIS,Pong", "IRIS,Pnog", ["IRIS and the references differ in games: Pnog, Pong"]),
    (published.RUNS, "run 4", "run 5", ["atari100k_runs.csv: found columns", "run 4"]),
    (published.MEANS, "SPR", "IRIS", ["IRIS is in data/atari100k_runs.csv and in data/atari100k_means.csv"]),
    (published.MEANS, "SPR", "CURL", ["found columns", "CURL, DrQ(eps), CURL"]),
    (published.MEANS, "227.8,7127.7", "227.8,227.8", ["line 2: human: found '227.8'", "another score than random's"]),
    (published.MEANS, "SPR", "SRP", ["atari100k_sources.csv: SPR has a source alone"]),
    (published.SOURCES, "SPR,100,", "SPR,-100,", ["runs: found '-100'", "a number of runs"]),
    (published.SOURCES, "IRIS,1,", "ISIR,1,", ["atari100k_sources.csv: IRIS has scores alone"]),
    (published.AGGREGATES, "CURL,median", "CURL,modus", ["line 3: quantity: found 'modus'", "mean, median, IQM"]),
    (published.AGGREGATES, "CURL,median", "CURL,mean", ["line 3: quantity: found 'mean'", "each once a method"]),
    (published.AGGREGATES, "0.261", "", ["line 2: value: found ''"]),
]


@pytest.mark.parametrize(("file", "before", "after", "words"), BAD)
def test_a_bad_file_is_one_clear_line(data, file, before, after, words):
    text = (data / file).read_text()
    assert before in text
    (data / file).write_text(text.replace(before, after, 1))
    with pytest.raises(ValueError, match="published: ") as error:
        [published.scores(), published.aggregates()]
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "found columns"),
        (b"\xff\xfe", "cannot be read"),
        (b"game,random,human\n", "no rows"),
    ],
)
def test_a_file_that_is_missing_empty_or_no_text_is_one_clear_line(data, content, words):
    path = data / published.MEANS
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=f"published: .*atari100k_means.csv.*{words}"):
        published.scores()


def test_a_game_that_is_missing_everywhere_is_missed(data):
    for file in (published.MEANS, published.RUNS):
        text = (data / file).read_text().splitlines(keepends=True)
        (data / file).write_text("".join(line for line in text if "Pong" not in line))
    with pytest.raises(ValueError, match="found 25 games; allowed: 26"):
        published.scores()


# ---- visits ---------------------------------------------------------------------------------------------------------

TENTH = {"capacity": 10_000, "prefill": 500, "updates": 12_500, "starts": 100, "invalid": 15}
SMALL = {"capacity": 300, "prefill": 60, "updates": 150, "starts": 10, "invalid": 3}


def simulated(samplers: dict, seeds: int = 1, streams: int = 0, **sizes) -> Table:
    progress = Progress("test", every=1e9)
    given = {"samplers": samplers, "seeds": seeds, "streams": Streams("test", "visits", streams), "progress": progress}
    return Table(kinds.twm.VISITS, rows=visits.simulated(**given, **sizes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temperature", "bands", "entropy", "variation"),
    [(20, [148, 146, 137, 124, 106, 74], 0.998, 0.19), (None, [395, 259, 131, 62, 26, 6.7], 0.959, 0.89)],
    ids=["balanced", "uniform"],
)
def test_visits_by_age_are_those_of_claim_10_within_3_percent(temperature, bands, entropy, variation):
    seeds = 1 if temperature else 20
    counts = simulated({"rule": temperature}, seeds, **TENTH).values("visits").reshape(seeds, -1)
    np.testing.assert_allclose(evenness.by_band(counts.mean(axis=0), BANDS), bands, rtol=0.03)
    assert np.mean([evenness.entropy(visits) for visits in counts]) == pytest.approx(entropy, abs=1e-3)
    assert np.mean(counts.std(axis=1) / counts.mean(axis=1)) == pytest.approx(variation, abs=5e-3)


def test_uniform_visits_are_what_they_are_expected_to_be():
    """Each update uses each of the n valid indices with probability starts / n."""
    counts = simulated({"uniform": None}, 40, **SMALL).values("visits").reshape(40, -1)
    valid = visits.sizes(300, 60, 150) - 3
    expected = (10 / valid * (np.arange(300)[:, None] < valid)).sum(axis=1)
    variance = (10 / valid * (1 - 10 / valid) * (np.arange(300)[:, None] < valid)).sum(axis=1)
    off = (counts.mean(axis=0) - expected) / np.sqrt(np.maximum(variance, 1e-12) / 40)
    assert np.abs(off[expected > 0]).max() < 4.5
    assert np.mean(off[expected > 0] ** 2) == pytest.approx(1, abs=0.35)


@given(st.sampled_from([None, 0.3, 5.0, 1e6]), st.integers(0, 1000))
@settings(max_examples=25)
def test_every_update_uses_as_many_starts_and_none_that_is_not_there(temperature, streams):
    counts = simulated({"rule": temperature}, streams=streams, **SMALL).values("visits")
    assert counts.sum() == 150 * 10
    assert counts.max() <= 150
    valid = visits.sizes(300, 60, 150) - 3
    assert not counts[valid.max() :].any()
    for size in (60, 150, 250):  # whoever is drawn came before
        assert counts[size:].sum() <= 10 * (valid > size).sum()


def test_a_cold_rule_keeps_counts_of_equal_age_within_one():
    counts = simulated({"rule": 1e-3}, capacity=60, prefill=60, updates=50, starts=7, invalid=0).values("visits")
    assert counts.max() - counts.min() <= 1


def test_colder_rules_are_more_even():
    table = simulated({"uniform": None, "warm": 5, "cold": 0.5}, **SMALL)
    spreads = table.frame().groupby("sampler", sort=False)["visits"].std()
    assert spreads.is_monotonic_decreasing


def test_sizes_grow_evenly_from_the_prefill_to_nearly_all():
    sizes = visits.sizes(100_000, 5000, 125_000)
    assert (sizes[0], sizes[-1]) == (5000, 99_999)
    assert set(np.diff(sizes)) == {0, 1}


def plain_top(rng, logits, count):
    """One after the other, each from what is left: what sampling without replacement means."""
    left, chosen = list(range(len(logits))), []
    for _ in range(count):
        weights = np.exp(logits[left] - logits[left].max())
        chosen.append(left.pop(rng.choice(len(left), p=weights / weights.sum())))
    return chosen


def test_gumbel_top_k_is_drawing_one_after_the_other():
    rng, logits, draws = np.random.default_rng(0), np.array([0.0, -0.5, -1.0, -2.0, -3.0]), 20_000
    fast, plain, near = {}, {}, np.inf
    for _ in range(draws):
        chosen, near = visits.top(rng, logits, 2, near)
        for tally, key in ((fast, chosen), (plain, plain_top(rng, logits, 2))):
            tally[frozenset(map(int, key))] = tally.get(frozenset(map(int, key)), 0) + 1
    for pair in set(fast) | set(plain):
        one, other = fast.get(pair, 0), plain.get(pair, 0)
        assert abs(one - other) < 4.5 * np.sqrt(one + other + 1), pair


@given(st.integers(1, 60), st.data())
@settings(max_examples=60)
def test_any_guess_gives_the_same_draw(size, data):
    count, seed = data.draw(st.integers(1, size)), data.draw(st.integers(0, 99))
    near = data.draw(st.floats(-10, 10))
    logits = np.random.default_rng(seed).normal(size=size)
    one, _ = visits.top(np.random.default_rng(seed), logits, count, np.inf)
    other, _ = visits.top(np.random.default_rng(seed), logits, count, near)
    assert set(one) == set(other)
    assert len(set(one)) == count


def test_visits_depend_on_their_streams_alone_and_not_on_the_other_rules():
    one, again, other = (simulated({"a": 5, "b": None}, 2, streams, **SMALL).arrow() for streams in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)
    alone = simulated({"b": None}, 2, **SMALL)
    assert (
        alone.values("visits").tolist()
        == Table(kinds.twm.VISITS, rows=one).where(sampler="b").values("visits").tolist()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"starts": 58}, "starts ≤ prefill - invalid"),
        ({"capacity": 50}, "prefill ≤ capacity"),
        ({"starts": 0}, "starts"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=words):
        simulated({"rule": None}, **SMALL | change)


def test_a_temperature_that_is_not_above_zero_is_refused():
    with pytest.raises(ValueError, match="samplers.rule: found 0; allowed: a temperature above 0, or null"):
        simulated({"rule": 0}, **SMALL)
