"""Inner products and moves of a policy path, read column by column: a long path of a big network is never in memory.

T is the number of snapshots, n that of the parameters in one column. Every quantity is also made for two null paths,
by the same code: a random walk with each parameter's own step size, and the real steps in shuffled order (section 3).
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agentomy import kinds
from agentomy.lenses.paths.temporal import periods
from agentomy.tables import Table
from agentomy.values import Count, Natural

PATHS = ("real", "walk", "shuffled")
UNLEARNT = ("target.", "normaliser.", "buffer.")  # how tensors of imported runs begin that are no parameters
PIECE = 4096  # parameters of a column that are in double precision at a time
PLAYERS = 10  # snapshots whose policies visit the probe states


def gram(
    parameters: kinds.common.PARAMETERS, *, part: str = "", since: Natural = 0, run, streams, progress
) -> kinds.paths.GRAM:
    """Inner products between snapshots, per layer, accumulated in double precision (section 1).

    Only tensors whose name begins with `part` are taken, and only snapshots from update `since` on: a part that rests
    until then would have fewer directions than its nulls for that reason alone. Needs: even checkpoints.
    """
    seeds, updates = snapshots_of(parameters, run, since)
    names = columns_of(parameters, part)
    sums: dict[tuple[int, str, str], list] = {}
    for number, name in enumerate(names):
        progress.step(number, len(names), "columns", run)
        path = column(parameters, name, seeds, updates)
        for s, seed in enumerate(seeds):
            for kind, piece in pieces(path[:, s], int(seed), name, streams):
                delta = piece - piece[0]
                products = [piece.shape[1], delta @ delta.T, delta @ piece[0], piece[0] @ piece[0]]
                key = (int(seed), kind, layer_of(name))
                sums[key] = [a + b for a, b in zip(sums[key], products, strict=True)] if key in sums else products

    def rows() -> Iterator[pa.Table]:
        for (seed, kind, layer), (size, delta, start, origin) in sums.items():
            yield kinds.paths.GRAM.table(
                run=run,
                seed=[seed],
                path=kind,
                layer=layer,
                size=size,
                updates=updates[None].astype(float),
                delta=delta[None],
                start=start[None],
                origin=origin,
            )

    return rows()


def moves(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    part: str = "",
    probe_states: Count = 1000,
    run,
    streams,
    device,
    progress,
) -> kinds.paths.MOVES:
    """How each parameter moved (section 1).

    A unit is dead if it never fires in `probe_states` states, which greedy policies of the seed's snapshots visit.
    Needs: even checkpoints, network, stack, hidden layers, seeded environment, single frame.
    """
    from agentomy.lenses.arena import Arena
    from agentomy.lenses.snapshots import revived

    _, updates = snapshots_of(parameters, run)
    arena = Arena(episodes, device, streams.numpy("probe").integers(2**31, size=1))
    visited: dict[int, list[np.ndarray]] = {}
    for _, seeds, stack in revived(parameters, device, thinned(updates, PLAYERS)):
        for seed, (states,) in zip(seeds, arena.play(stack, len(seeds), keep=True).observations, strict=True):
            visited.setdefault(int(seed), []).extend(states)
    probes = {seed: np.array(thinned(states, probe_states)) for seed, states in visited.items()}
    return _moves(parameters, probes, part, run, streams, device, progress)


def moves_of_clones(
    parameters: kinds.common.PARAMETERS,
    demonstrations: kinds.paths.DEMONSTRATIONS,
    *,
    probe_states: Count = 1000,
    run,
    streams,
    device,
    progress,
) -> kinds.paths.MOVES:
    """The same for networks cloned from demonstrations; the `probe_states` are states of the seed's expert."""
    from agentomy.lenses.snapshots import revived

    _, seeds, stack = next(revived(parameters, device))
    probes = {}
    for seed in seeds.tolist():
        lists = demonstrations.where(seed=seed).arrow(["observations"])["observations"]
        width = stack.layer1.weight.shape[2]
        episodes = [np.asarray(observations.values, np.float32).reshape(-1, width) for observations in lists]
        probes[seed] = np.array(thinned(np.concatenate(episodes), probe_states))
    return _moves(parameters, probes, "", run, streams, device, progress)


def _moves(parameters, probes, part, run, streams, device, progress) -> Iterator[pa.Table]:
    seeds, updates = snapshots_of(parameters, run)
    windows = periods(len(updates))
    dead = dead_parameters(parameters, probes, {int(updates[w.stop - 1]) for w in windows.values()}, device)
    names, offset, tensor = columns_of(parameters, part), 0, ""
    for number, name in enumerate(names):
        progress.step(number, len(names), "columns", run)
        offset = offset if tensor == tensor_of(name) else 0
        tensor = tensor_of(name)
        path = column(parameters, name, seeds, updates)
        within = slice(offset, offset + path.shape[2])
        offset = within.stop
        for s, seed in enumerate(seeds):
            lengths: dict[tuple[str, str], list] = {(kind, period): [] for kind in PATHS for period in windows}
            for kind, piece in pieces(path[:, s], int(seed), name, streams):
                for period, window in windows.items():
                    lengths[kind, period].append(moved(piece[window]))
            for (kind, period), parts in lengths.items():
                accumulated, final, flips = np.concatenate(parts, axis=1)
                yield kinds.paths.MOVES.table(
                    run=run,
                    seed=[seed],
                    path=kind,
                    period=period,
                    layer=layer_of(name),
                    tensor=name,
                    accumulated=accumulated[None],
                    final=final[None],
                    flips=flips[None],
                    dead=dead[int(updates[windows[period].stop - 1]), int(seed)][tensor][within][None],
                )


def moved(path: np.ndarray) -> np.ndarray:
    """Accumulated change, final change and share of sign flips [3, n] of a path [T, n] (section 1)."""
    steps = np.diff(path, axis=0)
    flips = (steps[1:] * steps[:-1] < 0).sum(axis=0) / max(len(steps) - 1, 1)
    return np.stack([np.abs(steps).sum(axis=0), np.abs(path[-1] - path[0]), flips])


# ---- reading --------------------------------------------------------------------------------------------------------


def tensor_of(column: str) -> str:
    return column.partition("[")[0]


def layer_of(column: str) -> str:
    """`layer1` of the columns `layer1.weight[0]`, `layer1.bias`, …"""
    return tensor_of(column).rpartition(".")[0]


def columns_of(parameters: Table, part: str = "") -> list[str]:
    """The names of the tensor columns that begin with `part`; target networks and statistics do not learn."""
    schema = next(iter(parameters.groups())).schema
    names = [name for name in schema.names if name not in ("seed", "update") and name.startswith(part)]
    names = [name for name in names if not name.startswith(UNLEARNT)]
    if not names:
        raise ValueError(f"path: no tensor begins with '{part}'")
    return names


def snapshots_of(parameters: Table, run: str, since: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and updates (from `since` on) of a path: every seed has a snapshot at each, and intervals are equal.

    Updates may be rounded to whole numbers, as where a run says how many snapshots it has.
    """
    snapshots = parameters.arrow(["seed", "update"]).to_pandas()
    seeds, updates = np.unique(snapshots["seed"]), np.unique(snapshots["update"])
    if len(snapshots.drop_duplicates()) != len(seeds) * len(updates):
        raise ValueError(f"path: run '{run}': not every seed has a snapshot at every update")
    even = np.abs(updates - np.linspace(updates[0], updates[-1], len(updates))).max() <= 0.5
    updates = updates[updates >= since]
    if len(updates) < 4 or not even:
        later = f" from update {since} on" if since else ""
        raise ValueError(f"path: run '{run}': needs at least 4 snapshots{later}, at equal intervals of updates")
    return seeds, updates


def column(parameters: Table, name: str, seeds: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """One tensor column along the path, [T, seeds, n] float32; nothing else is read."""
    path = None
    for rows in parameters.groups(["seed", "update", name]):
        rows = rows.filter(pc.greater_equal(rows["update"], int(updates[0])))
        if not len(rows):
            continue
        values = rows[name].combine_chunks().to_numpy_ndarray().reshape(len(rows), -1)
        if path is None:
            path = np.empty((len(updates), len(seeds), values.shape[1]), np.float32)
        at = np.searchsorted(updates, rows["update"].to_numpy()), np.searchsorted(seeds, rows["seed"].to_numpy())
        path[at] = values
    return path


def pieces(path: np.ndarray, seed: int, name: str, streams) -> Iterator[tuple[str, np.ndarray]]:
    """(real, walk or shuffled, path [T, ≤ PIECE] in double precision) of each piece of a column [T, n]."""
    normal = streams.numpy(f"walk {seed} {name}")
    order = streams.numpy(f"shuffled {seed}").permutation(len(path) - 1)  # the same for all columns
    for first in range(0, path.shape[1], PIECE):
        real = path[:, first : first + PIECE].astype(np.float64)
        steps = np.diff(real, axis=0)
        yield "real", real
        size = np.sqrt((steps**2).mean(axis=0))
        yield "walk", along(real[0], normal.standard_normal(steps.shape) * size)
        yield "shuffled", along(real[0], steps[order])


def along(start: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The path [T, n] with these steps [T - 1, n]."""
    return np.concatenate([start[None], start + steps.cumsum(axis=0)])


def thinned(values, count: int) -> list:
    """At most `count` of the values, evenly spaced and with both ends."""
    return [values[i] for i in sorted({round(place) for place in np.linspace(0, len(values) - 1, count)})]


# ---- dead units -----------------------------------------------------------------------------------------------------


def dead_parameters(
    parameters: Table, probes: dict[int, np.ndarray], updates: set[int], device: str
) -> dict[tuple, dict]:
    """(update, seed) → tensor → whether each parameter [n] belongs to a unit that is 0 on all of the seed's probes."""
    import torch

    from agentomy.lenses.snapshots import revived

    dead, most = {}, np.arange(max(map(len, probes.values())))
    for update, seeds, stack in revived(parameters, device, updates):
        # a seed with fewer probes has some of them twice, which makes no unit less dead
        repeated = np.stack([probes[int(seed)][most % len(probes[int(seed)])] for seed in seeds])
        inputs = torch.from_numpy(repeated).to(device)
        dtype = next(stack.parameters()).dtype
        active = stack.activations(inputs.to(dtype) if inputs.is_floating_point() else inputs)
        silent = {layer: (values == 0).all(dim=1).cpu().numpy() for layer, values in active.items()}
        shapes = {name: array.shape[1:] for name, array in stack.arrays().items()}
        for s, seed in enumerate(seeds):
            units = {layer: values[s].ravel() for layer, values in silent.items()}
            dead[update, int(seed)] = marked(shapes, units, getattr(stack, "channels_last", False))
    return dead


def marked(shapes: dict[str, tuple], silent: dict[str, np.ndarray], channels_last: bool) -> dict[str, np.ndarray]:
    """Tensor → 1 for each parameter [n] that leads into a silent unit, belongs to it or leads out of it; 0 for others.

    `shapes` are those of one network's tensors (outputs × inputs …); `silent` says which units of each hidden layer
    are silent. The units of a convolution are its filters; the next layer has an input for each place of each filter.
    """
    masks = {name: np.zeros(shape, np.int8) for name, shape in shapes.items()}
    layers = list(dict.fromkeys(layer_of(name) for name in shapes))
    for layer, units in silent.items():
        place = next(i for i, name in enumerate(layers) if name == layer or name.endswith(f".{layer}"))
        filters = shapes[f"{layers[place]}.weight"][0]
        by_filter = units.reshape(-1, filters).T if channels_last else units.reshape(filters, -1)
        dead = by_filter.all(axis=1)
        for name in (f"{layers[place]}.weight", f"{layers[place]}.bias"):
            if name in masks:
                masks[name][dead] = 1
        masks[f"{layers[place + 1]}.weight"][:, gone(dead, by_filter.shape[1], channels_last)] = 1
    return {name: mask.ravel() for name, mask in masks.items()}


def gone(dead: np.ndarray, places: int, channels_last: bool) -> np.ndarray:
    """Whether each input of the next layer comes from a dead filter; filters have that many `places`."""
    return np.tile(dead, places) if channels_last else np.repeat(dead, places)
