"""Policy paths: how parameters moved from snapshot to snapshot, and their inner products, beside two null models.

A path is M [T, P]: row t is the flattened network at snapshot t. It is read a block of columns at a time, so that a
path of any size fits in memory. Null models go through the same code, block by block (section 3).
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.checkpoints.snapshots import snapshots
from agentomy.checkpoints.units import dead_parameters, visited
from agentomy.tables import Table

BLOCK = 4096  # columns at a time in double precision
PATHS = ("real", "walk", "shuffled")


def gram(parameters: kinds.PARAMETERS, *, part: str = "", run, streams, progress) -> kinds.GRAM:
    """Inner products between snapshots, by seed, layer and path, summed in double precision (section 1).

    Only tensors whose name begins with `part` are meant, such as the head of an agent that sees pixels.
    """
    seeds, updates = schedule(parameters, run)
    columns = columns_of(parameters, part)
    steps = len(updates)
    sums: dict[tuple, list] = {}
    for number, (column, layer) in enumerate(columns.items()):
        progress.step(number, len(columns), "columns", run)
        for seed, path, block in walked(parameters, column, seeds, streams):
            total = sums.setdefault((seed, path, layer), [0, np.zeros((steps, steps)), np.zeros(steps), 0.0])
            first, delta = block[0], block - block[0]
            total[0] += block.shape[1]
            total[1] += delta @ delta.T
            total[2] += delta @ first
            total[3] += float(first @ first)
    for (seed, path, layer), (size, delta, start, origin) in sums.items():
        yield kinds.GRAM.table(
            run=run,
            seed=np.array([seed]),
            path=path,
            layer=layer,
            size=size,
            updates=updates[None],
            delta=delta[None],
            start=start[None],
            origin=origin,
        )


def moves(
    parameters: kinds.PARAMETERS,
    episodes: kinds.EPISODES,
    *,
    probe_states: int,
    part: str = "",
    run,
    streams,
    device,
    progress,
) -> kinds.MOVES:
    """How each parameter moved, by seed, path and period; dead units are found on states that the agent visits."""
    probes = visited(parameters, episodes, probe_states, device)
    return _moves(parameters, dead_parameters(parameters, probes, device), part, run, streams, progress)


def moves_of_clones(
    parameters: kinds.PARAMETERS,
    demonstrations: kinds.DEMONSTRATIONS,
    *,
    probe_states: int,
    run,
    streams,
    device,
    progress,
) -> kinds.MOVES:
    """As `moves`, for policies that were trained on demonstrations: units are probed on the demonstrated states."""
    seeds, _ = schedule(parameters, run)
    size = parameters.source["network"]["inputs"]
    states = np.concatenate([row.reshape(-1, size) for row in demonstrations.values("observations")])
    chosen = states[np.linspace(0, len(states) - 1, probe_states).round().astype(int)]
    probes = np.repeat(chosen[None], len(seeds), axis=0)
    return _moves(parameters, dead_parameters(parameters, probes, device), "", run, streams, progress)


def _moves(parameters, dead, part, run, streams, progress) -> Iterator[pa.Table]:
    seeds, updates = schedule(parameters, run)
    columns = columns_of(parameters, part)
    passed: dict[str, int] = {}
    for number, (column, layer) in enumerate(columns.items()):
        progress.step(number, len(columns), "columns", run)
        tensor = column.partition("[")[0]
        found: dict[tuple, list] = {}
        for seed, path, block in walked(parameters, column, seeds, streams):
            for period, (begin, end) in periods(len(updates)).items():
                measured = moved(block[begin : end + 1])
                found.setdefault((seed, path, period), []).append(measured)
        for (seed, path, period), pieces in found.items():
            accumulated, final, flips = np.concatenate(pieces, axis=1)
            begin = passed.get(tensor, 0)
            mask = dead[seed][tensor][begin : begin + len(final)]
            yield kinds.MOVES.table(
                run=run,
                seed=np.array([seed]),
                path=path,
                period=period,
                layer=layer,
                tensor=column,
                accumulated=accumulated[None],
                final=final[None],
                flips=flips[None],
                dead=mask[None],
            )
        passed[tensor] = passed.get(tensor, 0) + len(final)


def moved(path: np.ndarray) -> np.ndarray:
    """Accumulated change, final change and sign-flip rate of each parameter: [T, n] → [3, n] (section 1)."""
    steps = np.diff(path, axis=0)
    flips = (steps[1:] * steps[:-1] < 0).mean(axis=0) if len(steps) > 1 else np.zeros(path.shape[1])
    return np.stack([np.abs(steps).sum(axis=0), np.abs(path[-1] - path[0]), flips])


def periods(steps: int) -> dict[str, tuple[int, int]]:
    """First and last snapshot of the whole and of the three thirds of learning."""
    marks = [round(each) for each in np.linspace(0, steps - 1, 4)]
    thirds = zip(("first", "second", "third"), pairwise(marks), strict=True)
    return {"whole": (0, steps - 1), **dict(thirds)}


def temporal_svd(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values [T] and left singular vectors [T, T] of a path M from M Mᵀ, largest first (section 1)."""
    squares, courses = np.linalg.eigh(gram)
    return np.sqrt(np.maximum(squares[::-1], 0)), courses[:, ::-1]


# ---- reading a path, and its null models ----------------------------------------------------------------------------


def schedule(parameters: Table, run: str) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and updates of the snapshots, which must be at equal intervals: all measures depend on them."""
    rows = [piece for piece in snapshots(parameters, ["seed", "update"])]
    seeds, updates = rows[0]["seed"].to_numpy(), np.array([piece["update"][0].as_py() for piece in rows], float)
    if len(updates) < 4 or len(set(np.diff(updates))) > 1:
        raise ValueError(
            f"the snapshots of run '{run}' are not four or more at equal intervals; allowed: snapshots: {{every: N}} "
            "with a number of updates that N divides"
        )
    return seeds, updates


def columns_of(parameters: Table, part: str) -> dict[str, str]:
    """The columns of the tensors that are meant, and the layer of each."""
    names = next(snapshots(parameters)).column_names
    chosen = [name for name in names if name not in ("seed", "update") and name.startswith(part)]
    if not chosen:
        raise ValueError(f"no tensor's name begins with '{part}'; there are {', '.join(names[2:])}")
    return {name: name.partition("[")[0].rpartition(".")[0] or name for name in chosen}


def walked(parameters: Table, column: str, seeds: np.ndarray, streams) -> Iterator[tuple[int, str, np.ndarray]]:
    """(seed, path, block [T, ≤ BLOCK] in double precision) of one column, real and null."""
    pieces = (rows[column].combine_chunks().to_numpy_ndarray() for rows in snapshots(parameters, [column]))
    whole = np.stack([piece.reshape(len(seeds), -1) for piece in pieces], axis=1)  # [S, T, n] float32
    for seed, path in zip(seeds.tolist(), whole, strict=True):
        normal = streams.numpy(f"walk {seed} {column}")
        order = streams.numpy(f"shuffled {seed}").permutation(len(path) - 1)  # the same for all columns
        for start in range(0, path.shape[1], BLOCK):
            real = path[:, start : start + BLOCK].astype(np.float64)
            yield seed, "real", real
            yield seed, "walk", random_walk(real, normal)
            yield seed, "shuffled", shuffled(real, order)


def random_walk(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A walk from the same start whose steps are independent, each parameter's of its own root-mean-square size."""
    size = np.sqrt(np.square(np.diff(path, axis=0)).mean(axis=0))
    steps = size * rng.standard_normal((len(path) - 1, path.shape[1]))
    return np.concatenate([path[:1], path[0] + np.cumsum(steps, axis=0)])


def shuffled(path: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The same steps, taken in another order."""
    return np.concatenate([path[:1], path[0] + np.cumsum(np.diff(path, axis=0)[order], axis=0)])
