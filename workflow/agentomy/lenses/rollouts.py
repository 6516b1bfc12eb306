"""What trained policies do in their task: evaluation episodes, demonstrations, and rebuilt policies."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds, networks
from agentomy.lenses.arena import Arena
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import one_by_one
from agentomy.lenses.paths.extract import UNLEARNT
from agentomy.lenses.paths.temporal import temporal_svd
from agentomy.lenses.snapshots import revived, snapshots, updates_of
from agentomy.networks.foreign.stack import Agents
from agentomy.tables import Table, tensors
from agentomy.values import Count


def returns(
    parameters: kinds.common.PARAMETERS, episodes: kinds.paths.EPISODES, *, every: Count, run, device, progress
) -> kinds.paths.ROLLOUTS:
    """Returns of all episodes, which the snapshots at multiples of `every` updates play greedily."""
    arena = Arena(episodes, device)
    updates = [update for update in updates_of(parameters) if update % every == 0]

    def pieces() -> Iterator[pa.Table]:
        for number, (update, seeds, stack) in enumerate(revived(parameters, device, updates)):
            progress.step(number, len(updates), "snapshots", run)
            yield arena.rows(stack, run=run, seed=seeds, update=update, period="whole", directions=-1)

    return pieces()


def reconstructed(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    directions: list[Count],
    snapshots_per_period: Count,  # snapshots that are rebuilt, equally far apart
    part: str = "",
    adapter: str | None = None,
    run,
    device,
    progress,
) -> kinds.paths.ROLLOUTS:
    """Returns of policies rebuilt from the first k directions of the path of each half of learning (section 1).

    θ^(k) = U[:, :k] S[:k] V[:, :k]ᵀ of the raw path, for which UᵀM is enough; `directions` are the values of k.
    Tensors whose name does not begin with `part` stay those of the snapshot. Needs: even checkpoints, network, seeded
    environment.
    """
    play, updates = _playing(parameters, episodes, device, adapter), updates_of(parameters)
    middle = len(updates) // 2
    periods = {"half1": updates[: middle + 1], "half2": updates[middle:]}

    def pieces() -> Iterator[pa.Table]:
        for number, (period, inside) in enumerate(periods.items()):
            seeds, path = whole_path(parameters, inside, part)
            doubles = (matrix.astype(np.float64) for matrix in flat(path))
            courses = [temporal_svd(matrix @ matrix.T)[1] for matrix in doubles]
            chosen = sorted({round(place) for place in np.linspace(0, len(inside) - 1, snapshots_per_period)})
            for step, place in enumerate(chosen):
                progress.step(number + step / len(chosen), len(periods), "periods", f"{run}, {period}")
                stack = next(revived(parameters, device, [inside[place]]))[2]
                original = stack.arrays()
                for k in (-1, *(k for k in directions if k <= len(inside))):
                    if k > 0:
                        # row `place` of U_k U_kᵀ M
                        weights = np.stack([course[place, :k] @ course[:, :k].T for course in courses])
                        rebuilt = {name: np.einsum("st,ts...->s...", weights, along) for name, along in path.items()}
                        stack.load({**original, **rebuilt})
                    yield play(stack, run=run, seed=seeds, update=inside[place], period=period, directions=k)

    return pieces()


def _playing(parameters: Table, episodes: Table, device: str, adapter: str | None) -> Callable[..., pa.Table]:
    """What lets a stack play all episodes: (stack, seed [S], columns) → `kinds.paths.ROLLOUTS`.

    The pipeline's own networks play side by side; others have memories and whole games of their own.
    """
    description = parameters.description
    if adapter is None and description.network["use"] != networks.use(Agents):
        return Arena(episodes, device).rows
    room = Room(episodes)

    def play(stack, seed: np.ndarray, **columns) -> pa.Table:
        played = [room.play(subject) for _, subject in one_by_one(stack, seed, description, device, adapter)]
        count = len(room.seeds)
        return kinds.paths.ROLLOUTS.table(
            **columns,
            seed=np.repeat(seed, count),
            episode=np.tile(np.arange(count), len(seed)),
            **{"return": np.concatenate([games.returns for games in played])},
            length=np.concatenate([games.lengths for games in played]),
        )

    return play


def demonstrations(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    episodes_per_seed: Count,
    run,
    streams,
    device,
) -> kinds.paths.DEMONSTRATIONS:
    """States and actions of the last snapshot's policies; each plays `episodes_per_seed` episodes."""
    last = updates_of(parameters)[-1]
    _, seeds, stack = next(revived(parameters, device, [last]))
    starts = streams.numpy("demonstrations").integers(2**31, size=episodes_per_seed)
    arena = Arena(episodes, device, starts)
    played = arena.play(stack, len(seeds), keep=True)
    for s, seed in enumerate(seeds):
        for e in range(episodes_per_seed):
            observations, actions = played.observations[s][e], played.actions[s][e]
            yield kinds.paths.DEMONSTRATIONS.table(
                run=run,
                seed=np.array([seed]),
                episode=e,
                observations=np.array(observations)[None],
                actions=np.array(actions)[None],
                **{"return": played.returns[s, e]},
            )


def whole_path(parameters: Table, updates: list[int], part: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Seeds, and each tensor of the snapshots at `updates` as [T, S, *shape] float32."""
    tensor_paths: dict[str, list[np.ndarray]] = {}
    for rows in snapshots(parameters):
        if rows["update"][0].as_py() in updates:
            seeds = rows["seed"].to_numpy()
            for name, array in tensors(rows).items():
                if name.startswith(part) and not name.startswith(UNLEARNT):
                    tensor_paths.setdefault(name, []).append(array)
    return seeds, {name: np.stack(arrays) for name, arrays in tensor_paths.items()}


def flat(path: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """The path of each seed as a matrix [T, P]."""
    steps, seeds = next(iter(path.values())).shape[:2]
    for seed in range(seeds):
        yield np.concatenate([tensor[:, seed].reshape(steps, -1) for tensor in path.values()], axis=1)
