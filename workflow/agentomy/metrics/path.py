"""Temporal SVD of policy paths from their inner products, and what it says beside the null models (sections 1 to 3).

Of a path M [T, P] only M Mᵀ is needed: its eigenvectors are the time courses U[:, k] of the policy along each
direction, its eigenvalues the squared singular values.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.tables import Table

PERIODS = ("whole", "first", "second", "third")
VARIANTS = ("raw", "delta")


def directions(gram: kinds.GRAM, *, shown: list) -> kinds.COURSES:
    """The directions numbered in `shown`: shares, and how the policy's coordinate along each moved."""
    for who, updates, window, squares, vectors in _decompositions(gram):
        singular = np.sqrt(squares)
        for k in (k for k in shown if k <= len(vectors)):
            course = vectors[:, k - 1]
            course = course if course[-1] >= course[0] else -course
            yield kinds.COURSES.table(
                **who,
                direction=np.array([k]),
                singular_value=singular[k - 1],
                share=singular[k - 1] / singular.sum(),
                energy=squares[k - 1] / squares.sum(),
                detour=detour(course),
                change=abs(course[-1] - course[0]),
                crossings=crossings(course),
                cosine=best_cosine(course),
                updates=updates[window][None],
                course=course[None],
            )


def dimensions(gram: kinds.GRAM, *, betas: list) -> kinds.DIMENSIONS:
    """D(β): the smallest number of directions that hold a share β of the sum of singular values."""
    for who, _, _, squares, _ in _decompositions(gram):
        needed = dimensionality(np.sqrt(squares), np.array(betas))
        yield kinds.DIMENSIONS.table(**who, beta=np.array(betas, float), dimensions=needed)


def dimensionality(singular: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """D(β) for each of `betas`, from singular values, largest first."""
    shares = np.cumsum(singular) / singular.sum()
    return np.minimum(np.searchsorted(shares, betas - 1e-12) + 1, len(singular))


def _decompositions(gram: Table) -> Iterator[tuple]:
    """(who; updates; window; squared singular values; left singular vectors), path by path and layer by layer."""
    for (run, seed, path), layers in _paths(gram):
        steps = len(layers["updates"])
        for layer, parts in layers["sums"].items():
            for period, window in windows(steps).items():
                for variant in VARIANTS:
                    squares, vectors = np.linalg.eigh(inner_products(*parts, window, variant))
                    who = {"run": run, "seed": seed, "path": path, "layer": layer, "period": period, "variant": variant}
                    yield who, layers["updates"], window, np.maximum(squares[::-1], 0), vectors[:, ::-1]


def _paths(gram: Table) -> Iterator[tuple[tuple, dict]]:
    """The inner products of each run, seed and path: by layer, and of all layers together."""
    found: dict[tuple, dict] = {}
    for rows in gram.groups():
        part = gram.of(rows)
        for row, record in enumerate(part.frame().to_dict("records")):
            updates = part.array("updates")[row]
            key = (record["run"], record["seed"], record["path"])
            sums = found.setdefault(key, {"updates": updates, "sums": {}})["sums"]
            parts = [
                part.array("delta", len(updates), len(updates))[row],
                part.array("start")[row],
                record["origin"],
            ]
            for layer in (record["layer"], "all"):
                before = sums.get(layer)
                sums[layer] = [a + b for a, b in zip(before, parts, strict=True)] if before else parts
    yield from found.items()


def windows(steps: int) -> dict[str, slice]:
    """The snapshots of the whole and of the three thirds of learning."""
    marks = [round(each) for each in np.linspace(0, steps - 1, 4)]
    thirds = [slice(begin, end + 1) for begin, end in pairwise(marks)]
    return dict(zip(PERIODS, [slice(0, steps), *thirds], strict=True))


def inner_products(
    delta: np.ndarray, start: np.ndarray, origin: float, window: slice, variant: Literal["raw", "delta"]
) -> np.ndarray:
    """M Mᵀ of a window of a path: of its parameters (raw), or of their differences from the window's first (delta).

    From those of the differences to the very first snapshot [T, T], and of these with that snapshot [T].
    """
    inside = delta[window, window]
    if variant == "raw":
        return inside + start[window, None] + start[None, window] + origin
    return inside - inside[:1] - inside[:, :1] + inside[0, 0]


def detour(course: np.ndarray) -> float:
    """Length of the way over the distance between its ends; capped at 1e6."""
    way, distance = np.abs(np.diff(course)).sum(), abs(course[-1] - course[0])
    return float(min(way / distance, 1e6)) if distance > 1e-12 else 1e6


def crossings(course: np.ndarray) -> int:
    """How often a time course crosses its mean."""
    above = course > course.mean()
    return int((above[1:] != above[:-1]).sum())


def best_cosine(course: np.ndarray) -> float:
    """The largest correlation of a time course with a cosine of any frequency (to one period in 4 steps) and phase."""
    steps = len(course)
    centred = course - course.mean()
    total = (centred**2).sum()
    if total == 0:
        return 0.0
    time = np.arange(steps) / (steps - 1)
    best = 0.0
    for half_turns in np.arange(0.5, steps / 4, 0.25):
        angle = np.pi * half_turns * time
        waves = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        waves -= waves.mean(axis=0)
        fitted = waves @ np.linalg.lstsq(waves, centred, rcond=None)[0]
        best = max(best, float((fitted**2).sum() / total))
    return float(np.sqrt(best))


# ---- what the claims are judged on ----------------------------------------------------------------------------------


def of_spectrum(courses: kinds.COURSES, dimensions: kinds.DIMENSIONS) -> kinds.COMPARISON:
    """The phenomena of the delta path as numbers, each real and as real minus and real over both nulls (section 3).

    Quantities are `NAME real`, `NAME real - walk`, `NAME real - shuffled`, `NAME real / walk`, `NAME real / shuffled`;
    of the whole network, or with `, LAYER` or `, PERIOD` behind. Names: `share 1`, `energy 1`, `D(0.8)`, `D(0.9)`,
    `convexity` (mean second difference of D over its β, from 0.5 on), and `detour k` and `crossings k` of the k-th
    direction.
    """
    frame = courses.frame()
    frame = frame[frame["variant"] == "delta"]
    found = [
        *((f"share {k}", part, "share") for k, part in frame[frame["direction"] <= 2].groupby("direction")),
        ("energy 1", frame[frame["direction"] == 1], "energy"),
        *((f"detour {k}", part, "detour") for k, part in frame.groupby("direction")),
        *((f"crossings {k}", part, "crossings") for k, part in frame.groupby("direction")),
    ]
    sizes = dimensions.frame()
    sizes = sizes[sizes["variant"] == "delta"]
    for beta in (0.8, 0.9):
        found.append((f"D({beta})", sizes[np.isclose(sizes["beta"], beta)], "dimensions"))
    keys = ["run", "seed", "path", "layer", "period"]
    curves = sizes[sizes["beta"] >= 0.5].sort_values("beta").groupby(keys, sort=False)["dimensions"]
    bends = curves.apply(lambda each: float(np.diff(each.to_numpy(), 2).mean())).rename("convexity").reset_index()
    found.append(("convexity", bends, "convexity"))
    return _beside_nulls(found)


def of_activity(activity: kinds.ACTIVITY) -> kinds.COMPARISON:
    """How unequally parameters moved, each quantity of `activity` named as in `of_spectrum`.

    With `, alive` behind where parameters of dead units are left out.
    """
    frame = activity.frame()
    found = []
    for (quantity, parameters), part in frame.groupby(["quantity", "parameters"], sort=False):
        found.append((f"{quantity}{', alive' if parameters == 'alive' else ''}", part, "value"))
    return _beside_nulls(found)


def _beside_nulls(found: list[tuple[str, pd.DataFrame, str]]) -> pa.Table:
    """Each quantity of the real path, and beside each null, for the layers as a whole and for the periods of all."""
    rows = []
    for name, frame, column in found:
        chosen = frame[(frame["period"] == "whole") | (frame["layer"] == "all")]
        wide = chosen.pivot(index=["run", "seed", "layer", "period"], columns="path", values=column)
        for (run, seed, layer, period), values in wide.iterrows():
            where = [each for each, plain in ((layer, "all"), (period, "whole")) if each != plain]
            behind = "".join(f", {each}" for each in where)
            rows.append((run, seed, f"{name} real{behind}", values["real"]))
            for null in ("walk", "shuffled"):
                rows.append((run, seed, f"{name} real - {null}{behind}", values["real"] - values[null]))
                if values["real"] > 0 and values[null] > 0:
                    rows.append((run, seed, f"{name} real / {null}{behind}", values["real"] / values[null]))
    return _comparison(rows)


def _comparison(rows: list[tuple]) -> pa.Table:
    run, seed, quantity, value = (np.array(each) for each in zip(*rows, strict=True))
    return kinds.COMPARISON.table(run=run, seed=seed, quantity=quantity, value=value.astype(float))
