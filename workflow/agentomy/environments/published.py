"""Published scores on Atari with 100k interactions: input data, in CSV files beside this module.

Single runs of those methods whose repositories have five; means of the others. See data/atari100k_sources.csv.
"""

import csv
import math
from pathlib import Path

import numpy as np

from agentomy import kinds

DATA = Path(__file__).parent
# these names tell the digests that the files belong to the code: an edit remakes what depends on them
RUNS = "data/atari100k_runs.csv"
MEANS = "data/atari100k_means.csv"
AGGREGATES = "data/atari100k_aggregates.csv"
SOURCES = "data/atari100k_sources.csv"
REFERENCES = ("random", "human")
QUANTITIES = ("mean", "median", "IQM", "optimality gap")
GAMES, ALL_RUNS = 26, [f"run {number}" for number in range(5)]

# method, game, run (-1: a mean), score
Score = tuple[str, str, int, float]


def scores() -> kinds.twm.PUBLISHED:
    """Each published run of each game, or the mean where only the mean is known; and the references."""
    published = together(read_runs(DATA / RUNS), read_means(DATA / MEANS))
    sources = read_sources(DATA / SOURCES, {method for method, *_ in published})
    method, game, seed, score = (np.array(column) for column in zip(*published, strict=True))
    return kinds.twm.PUBLISHED.table(
        method=method,
        game=game,
        seed=seed,
        runs=np.array([sources[name][0] for name in method]),
        score=score,
        source=np.array([sources[name][1] for name in method]),
    )


def aggregates() -> kinds.twm.ESTIMATES:
    """Aggregates over all runs of methods whose runs are not in the data here, as computed where they are."""
    names = ("method", "quantity", "value", "low", "high")
    rows, path = {}, DATA / AGGREGATES
    for place, row in lines(path, names):
        key = (row["method"], row["quantity"])
        if key[1] not in QUANTITIES:
            raise wrong(place, "quantity", key[1], f"one of {', '.join(QUANTITIES)}")
        if key in rows:
            raise wrong(place, "quantity", key[1], "each once a method")
        ends = [number(row[name], place, name) if row[name] else math.nan for name in names[3:]]
        rows[key] = [number(row["value"], place, "value"), *ends]
    method, quantity = (np.array(column) for column in zip(*rows, strict=True))
    return kinds.twm.ESTIMATES.table(
        method=method, quantity=quantity, **dict(zip(names[2:], np.array(list(rows.values())).T, strict=True))
    )


def together(runs: list[Score], means: list[Score]) -> list[Score]:
    """Runs and means together. Raises if methods differ in games, or if a method is in both."""
    both = {method for method, *_ in runs} & {method for method, *_ in means}
    if both:
        raise ValueError(f"published: {min(both)} is in {RUNS} and in {MEANS}; allowed: in one of them")
    games: dict[str, set[str]] = {}
    for method, game, *_ in [*means, *runs]:
        games.setdefault(method, set()).add(game)
    expected = games["random"]
    for method, present in games.items():
        if present != expected:
            raise ValueError(
                f"published: {method} and the references differ in games: {', '.join(sorted(present ^ expected))}"
            )
    return [*means, *runs]


def read_runs(path: Path) -> list[Score]:
    """A row is a method and game, with a column for each run."""
    scores_of: dict[tuple[str, str], list[Score]] = {}
    for place, row in lines(path, ("method", "game", *ALL_RUNS)):
        method, game = row["method"], row["game"]
        if (method, game) in scores_of:
            raise wrong(place, "game", game, f"each game once for {method}")
        values = [number(row[name], place, name) for name in ALL_RUNS]
        scores_of[method, game] = [(method, game, run, value) for run, value in enumerate(values)]
    return [score for scores in scores_of.values() for score in scores]


def read_means(path: Path) -> list[Score]:
    """A row is a game, with a column for each method or reference; human and random scores must differ."""
    scores_of: dict[str, list[Score]] = {}
    for place, row in lines(path, ("game", *REFERENCES)):
        game = row.pop("game")
        if game in scores_of:
            raise wrong(place, "game", game, "each game once")
        scores_of[game] = [(method, game, -1, number(value, place, method)) for method, value in row.items()]
        if len({value for *_, value in scores_of[game][:2]}) < 2:
            raise wrong(place, "human", row["human"], "another score than random's")
    if len(scores_of) != GAMES:
        raise ValueError(f"published: {path.name}: found {len(scores_of)} games; allowed: {GAMES}")
    return [score for scores in scores_of.values() for score in scores]


def read_sources(path: Path, methods: set[str]) -> dict[str, tuple[int, str]]:
    """Method → how many runs a score is the mean of, and where it is from."""
    sources = {}
    for place, row in lines(path, ("method", "runs", "source")):
        runs = number(row["runs"], place, "runs")
        if runs < 0 or runs != int(runs):
            raise wrong(place, "runs", row["runs"], "a number of runs")
        sources[row["method"]] = (int(runs), row["source"])
    for method in sorted(methods ^ set(sources)):
        raise ValueError(f"published: {path.name}: {method} has {'scores' if method in methods else 'a source'} alone")
    return sources


def lines(path: Path, names: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """(place, row) of a CSV file whose first columns have these names."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.reader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"published: {path}: cannot be read ({error})") from None
    header = rows[0] if rows else []
    if tuple(header[: len(names)]) != names or len(set(header)) < len(header):
        raise ValueError(f"published: {path.name}: found columns {', '.join(header)}; allowed: {', '.join(names)}, …")
    numbered = []
    for count, row in enumerate(rows[1:], 2):
        place = f"{path.name}, line {count}"
        if len(row) != len(header):
            raise ValueError(f"published: {place}: found {len(row)} values; allowed: {len(header)}")
        numbered.append((place, dict(zip(header, row, strict=True))))
    if not numbered:
        raise ValueError(f"published: {path.name}: no rows")
    return numbered


def number(text: str, place: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise wrong(place, column, text, "a number")
    return value


def wrong(place: str, column: str, value: str, allowed: str) -> ValueError:
    return ValueError(f"published: {place}: {column}: found '{value}'; allowed: {allowed}")
