"""What the pipeline's tables say of any agent beside its untrained twins: returns, use of layers, a game step by step.

Nothing is computed with a network here, and no environment is made: jobs have done that, which may run a user's code.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from agentomy import kinds
from agentomy.explorer.results import PARAMETERS, Results, Run
from agentomy.tables import BrokenTable, Kind, Table, TableError

# sort of evidence → the kind of its tables, and the function that makes them
SORTS: dict[str, tuple[Kind, str]] = {
    "returns": (kinds.behaviour.GAME_RETURNS, "lenses.behaviour.extract.returns"),
    "units": (kinds.behaviour.UNITS, "lenses.behaviour.units.units"),
    "watched": (kinds.inside.WATCHED, "lenses.inside.watch.watched"),
}
NOTED = {"noted return": "noted elsewhere", "monitored return": "noted in training"}
LOG = ".log.parquet"


@dataclass
class Evidence:
    """The tables of one run by their sort."""

    run: Run
    tables: dict[str, list[Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class Game:
    """A game: rewards until each step [T], actions [T, A], what is seen [T, H, W], saliency by output, frames."""

    rewards: np.ndarray
    actions: np.ndarray
    seen: np.ndarray
    saliency: dict[str, np.ndarray]
    frames: np.ndarray | None


def evidence(results: Results) -> tuple[dict[str, Evidence], list[str]]:
    """The runs of which there is any, by label, imported ones first, and what is wrong with files."""
    runs, evidence, problems = {(run.study, run.name): run for run in results.runs()}, {}, []
    for study in results.studies:
        for paths in results.pieces(study).values():
            for path in paths:
                sort, problem = _sort(results, path)
                if problem:
                    problems.append(problem)
                if sort is None:
                    if problem:
                        continue
                    break  # of another kind, as are the others of this extraction
                name = str(results.table(SORTS[sort][0], path).description.run)
                run = runs.get((study, name)) or runs.get(tuple(name.split(".", 1)))
                if run is not None:
                    of = evidence.setdefault(run.label, Evidence(run))
                    of.tables.setdefault(sort, []).append(path)
    if not evidence:
        raise TableError(
            f"no agent with returns, units or a game: none below {results.folder}; your own agent's study has them: "
            "agentomy import PATTERN --env ID"
        )
    return dict(sorted(evidence.items(), key=lambda item: not item[1].run.imported)), problems


def _sort(results: Results, path: Path) -> tuple[str | None, str]:
    """The sort of a table, or none; and what is wrong with it."""
    for sort, (kind, _) in SORTS.items():
        try:
            results.table(kind, path)
        except BrokenTable as error:
            return None, str(error)
        except TableError:
            continue
        return sort, ""
    return None, ""


def why_missing(of: Evidence, sort: str) -> str:
    """What makes a table that is not there."""
    entry = f"{sort}: {{use: {SORTS[sort][1]}, of: [{of.run.name}]}}"
    return f"no {sort} of this run: write `{entry}` under `checkpoints:` in workflow/studies/{of.run.study}.yaml"


def _read(results: Results, of: Evidence, sort: str) -> Table:
    return results.table(SORTS[sort][0], *of.tables[sort])


def returns(results: Results, of: Evidence, seed: int) -> pd.DataFrame:
    """Mean return and its 95 % interval over games, by mode, update and twin (-1: the agent itself)."""
    frame = _read(results, of, "returns").where(seed=seed).frame(["mode", "update", "twin", "return"])
    means = frame.groupby(["mode", "update", "twin"], sort=False)["return"].agg(["mean", "sem"]).fillna(0.0)
    half = 1.96 * means["sem"]
    return means.assign(low=means["mean"] - half, high=means["mean"] + half).reset_index()


def noted(results: Results, of: Evidence, seed: int) -> pd.DataFrame:
    """Returns that others noted, of an imported run: quantity, update, value."""
    path = of.run.files[seed]
    log = path.with_name(path.name.removesuffix(PARAMETERS) + LOG)
    if not log.exists():
        return pd.DataFrame({"quantity": [], "update": [], "value": []})
    return results.table(kinds.common.LOG, log).where(seed=seed, quantity=[*NOTED]).frame()


def units(results: Results, of: Evidence, seed: int) -> pd.DataFrame:
    """Layer, quantity, update, twin, value."""
    return _read(results, of, "units").where(seed=seed).frame(["layer", "quantity", "update", "twin", "value"])


def players(results: Results, of: Evidence, seed: int) -> dict[str, tuple[int, int]]:
    """Who played a game that was watched: label → update and twin, the last snapshot first, then its twins."""
    played = _read(results, of, "watched").where(seed=seed).frame(["update", "twin"]).drop_duplicates()
    snapshots = sorted(played[played["twin"] < 0]["update"], reverse=True)
    twins = played[played["twin"] >= 0].sort_values("twin").itertuples(index=False)
    labelled = {f"snapshot at {update}": (int(update), -1) for update in snapshots[:1]}
    labelled |= {f"untrained twin {twin}": (int(update), int(twin)) for update, twin in twins}
    return labelled | {f"snapshot at {update}": (int(update), -1) for update in snapshots[1:]}


def game(results: Results, of: Evidence, seed: int, update: int, twin: int) -> Game:
    """A game; cached as long as its files stay the same."""
    paths = tuple(of.tables["watched"])
    return _game(results, paths, tuple(path.stat().st_mtime_ns for path in paths), seed, update, twin)


@lru_cache(maxsize=16)
def _game(results: Results, paths: tuple[Path, ...], written: tuple, seed: int, update: int, twin: int) -> Game:
    table = results.table(kinds.inside.WATCHED, *paths).where(seed=seed, update=update, twin=twin)
    sizes = table.frame(["rows", "columns", "frame_rows", "frame_columns", "reward"])
    if sizes.empty:
        raise TableError(f"{paths[0]}: no game of update {update}, twin {twin}")
    height, width, tall, wide = (int(sizes[name].iloc[0]) for name in sizes.columns[:4])
    outputs = {name: table.array(name) for name in kinds.inside.OUTPUTS}
    try:
        return Game(
            sizes["reward"].to_numpy(),
            table.array("action"),
            table.array("seen", height, width),
            {name: pictures.reshape(-1, height, width) for name, pictures in outputs.items() if pictures.size},
            table.array("frame", tall, wide, 3) if tall * wide else None,
        )
    except ValueError:
        raise TableError(f"{paths[0]}: pictures of other sizes than it says; run snakemake again") from None
