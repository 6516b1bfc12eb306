"""Planted tables of subnetworks: toy models whose subnetworks are known, and agents with inputs of their own."""

import json

import numpy as np

from agentomy import kinds
from agentomy.tables import Table
from tests import in_memory

FEATURES, SAMPLES = 5, 60
# subnetwork → feature; the last is dead. The sign of a subnetwork is arbitrary: these have the one that is not drawn
FOR, FLIPPED, DEAD = (3, 1, 4, 0, 2, 1), (0, 3, 4), 5
DELTAS, SWEPT = (-1.0, -0.3, 0.0, 0.3, 1.0), tuple(np.linspace(-3, 3, 7))
RANKS = {f"blocks-rank-{rank}": rank for rank in range(1, 9)}
QUALITY, COUNTS, CLEANNESS = (
    [column.name for column in kind.columns if column.type == type_ and column.name not in ("seed", "models_learned")]
    for kind, type_ in (
        (kinds.subnetworks.QUALITY, "number"),
        (kinds.subnetworks.QUALITY, "integer"),
        (kinds.subnetworks.CLEANNESS, "number"),
    )
)
TOYS = {"tms-mse": "TMS", "blocks-mse": "blocks"}
AGENTS = {"maze-l3d": "maze", "cat-l3d": "predictor"}


def planted(seed: int) -> dict[int, dict[str, np.ndarray]]:
    """A bottleneck of two hidden units and rank-one subnetworks of it, one a feature."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * (np.arange(FEATURES) + rng.random()) / FEATURES
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    by_subnetwork = {-1: {"encoder": rows, "decoder": rows.T, "bias": np.full(FEATURES, -0.2)}}
    for k, feature in enumerate(FOR):
        one = np.eye(FEATURES)[feature]
        parts = {"encoder": np.outer(one, rows[feature]), "decoder": np.outer(rows[feature], one), "bias": 1.5 * one}
        by_subnetwork[k] = {name: (-0.4 if k in FLIPPED else 0.4) * part for name, part in parts.items()}
    return by_subnetwork


def tensor_rows(run: str, seed: int, networks: dict[int, dict[str, np.ndarray]]) -> list[dict]:
    key = {"run": run, "seed": seed, "condition": "learned"}
    return [
        {**key, "subnetwork": k, "tensor": name, "shape": json.dumps(tensor.shape), "weights": tensor.reshape(1, -1)}
        for k, tensors in networks.items()
        for name, tensor in tensors.items()
    ]


def perceptrons(seed: int) -> dict[int, dict[str, np.ndarray]]:
    """Two hidden layers: the network's own weights are noise, subnetwork k is one path, ending in feature k."""
    rng = np.random.default_rng(seed)
    shapes = {"layer1.weight": (4, 5), "layer1.bias": (4,), "layer2.weight": (3, 4), "layer2.bias": (3,)}
    shapes |= {"layer3.weight": (5, 3), "layer3.bias": (5,)}
    by_subnetwork = {-1: {name: rng.normal(size=shape) for name, shape in shapes.items()}}
    for k in range(3):
        by_subnetwork[k] = {name: np.zeros(shape) for name, shape in shapes.items()}
        for name, place in (("layer1.weight", (3, k)), ("layer2.weight", (2, 3)), ("layer3.weight", (k, 2))):
            by_subnetwork[k][name][place] = -0.5  # [to, from]
    return by_subnetwork


def matched_rows(run: str, seed: int, features: tuple, learned: bool = True) -> dict:
    live = np.array([k != DEAD for k in range(len(features))])
    given = {"run": run, "seed": seed, "condition": "learned", "subnetwork": np.arange(len(features))}
    return {
        **given,
        "block": features,
        "active": np.where(live, 0.11, 0.0),
        "live": live,
        "selectivity": 0.9,
        "learned": learned,
    }


def outputs(inputs: np.ndarray, *moves: tuple[int, float]) -> np.ndarray:
    """What the planted subnetworks do: each moves its own output up or down."""
    moved = inputs.copy()
    for k, delta in moves:
        moved[:, FOR[k]] += (-delta if k in FLIPPED else delta) * (0.2 + inputs[:, FOR[k]])
    return moved


def toy_tables(seeds: int = 3, unlearned: tuple[int, ...] = ()) -> dict[str, Table]:
    """All tables of toy models; those of the `unlearned` seeds have not learned their task."""
    rng = np.random.default_rng(3)
    points = rng.random((SAMPLES, FEATURES)) * (rng.random((SAMPLES, FEATURES)) < 0.3)
    pieces: dict[str, list] = {name: [] for name in ("subnetworks", "matched", "moved", "pairs", "effects")}
    pieces |= {name: [] for name in ("coefficients", "recovered", "curves", "quality", "cleanness")}
    for seed in range(seeds):
        key = {"run": "tms", "seed": seed, "condition": "learned"}
        pieces["subnetworks"] += tensor_rows("tms", seed, planted(seed)) + tensor_rows("mlp", seed, perceptrons(seed))
        learned = seed not in unlearned
        for run, features in {"tms": FOR, "mlp": (2, 1, 0), **dict.fromkeys(RANKS, FOR)}.items():
            pieces["matched"].append(matched_rows(run, seed, features, learned))
        steps = [(-1, 0.0), *((k, delta) for k in range(len(FOR)) for delta in DELTAS)]
        for k, delta in steps:
            at = {**key, "within": "all", "subnetwork": k, "delta": delta, "sample": np.arange(SAMPLES)}
            moved = outputs(points, (k, delta)) if k >= 0 else points
            pieces["moved"].append({**at, "second": -1, "second_delta": 0.0, "outputs": moved})
            for m, other in steps[1:]:
                if m > k >= 0:
                    both = outputs(points, (k, delta), (m, other))
                    pieces["pairs"].append({**at, "second": m, "second_delta": other, "outputs": both})
        for k, feature in enumerate(FOR):
            for delta in SWEPT:
                matching, up = np.arange(FEATURES) == feature, -delta if k in FLIPPED else delta
                change = np.where(matching, 0.4 * max(up, -0.3), 0.02 * up)
                at = {**key, "within": "all", "subnetwork": k, "delta": delta, "output": np.arange(FEATURES)}
                pieces["effects"].append({**at, "matching": matching, "on": 0.1, "off": 0.1, "median": change})
            true = rng.uniform(0, 3, FEATURES)
            at = {**key, "subnetwork": k, "feature": feature, "output": np.arange(FEATURES)}
            pieces["coefficients"].append({**at, "found": true / 9, "true": true})
        pieces["recovered"].append({**key, "r": 0.9 + seed / 100, "r_squared": 0.8})
        for run, number in RANKS.items():
            loss = 0.1 * number + np.exp(-np.arange(10) / 3) + 0.01 * seed
            pieces["curves"].append({"run": run, "seed": seed, "epoch": np.arange(1.0, 11), "loss": loss})
        for run in TOYS:
            for condition, value in (("learned", 0.2), ("random", 0.9)):
                at = {"run": run, "seed": seed, "condition": condition}
                value += seed / 100
                measured = {name: value for name in QUALITY} | {name: round(5 * value) for name in COUNTS}
                pieces["quality"].append({**at, **measured, "model_learned": learned, "models_learned": 1.0})
                if run == "tms-mse":  # the other has no encoder
                    pieces["cleanness"].append({**at, **dict.fromkeys(CLEANNESS, value)})
    artifacts = {
        name: in_memory.of_columns(kinds.ALL[{"pairs": "MOVED"}.get(name, name.upper())], rows)
        for name, rows in pieces.items()
    }
    return artifacts | {
        "points": in_memory.of_columns(
            kinds.subnetworks.POINTS,
            [
                {"sample": np.arange(SAMPLES), "split": split, "inputs": values, "targets": values}
                for split, values in (("train", 1 - points), ("decomposed", points))
            ],
        )
    }


# ---- agents ---------------------------------------------------------------------------------------------------------


def steered_table(seeds: int = 3, runs: tuple = tuple(AGENTS), count: int = 30) -> Table:
    """Learned subnetworks change their own inputs five times as much as others; random directions do not."""
    rng, rows = np.random.default_rng(8), []
    for run in runs:
        for seed in range(seeds):
            for condition in ("random", "learned"):
                for delta in (-1.0, 1.0):
                    rest = 10 ** rng.uniform(-3, -1, count)
                    given = {"run": run, "seed": seed, "condition": condition, "subnetwork": np.arange(count)}
                    change = rest * (5.0 if condition == "learned" else 1.0) * 10 ** rng.normal(0, 0.1, count)
                    change[0] *= 8  # dead
                    active = 0.2 * np.arange(count) / count
                    output = (np.arange(count) + (delta > 0)) % 2
                    rows.append(
                        {
                            **given,
                            "delta": delta,
                            "active": active,
                            "own": change,
                            "rest": rest,
                            "others": 1.0,
                            "output": output,
                        }
                    )
    return in_memory.of_columns(kinds.subnetworks.STEERED, rows)


def impacts_of(run: str, samples: int, count: int, seeds: int = 2) -> Table:
    """Subnetwork k has its largest impact on sample 2k, then on 2k + 1; the last is the busiest."""
    rng, rows = np.random.default_rng(9), []
    for seed in range(seeds):
        for condition in ("random", "learned"):
            impact = rng.random((samples, count))
            if condition == "learned":
                impact[2 * np.arange(count), np.arange(count)] = 9
                impact[2 * np.arange(count) + 1, np.arange(count)] = 8
            active = np.broadcast_to(0.2 * np.arange(count) / count, (samples, count))
            given = {"run": run, "seed": seed, "condition": condition, "sample": np.arange(samples)}
            rows.append({**given, "impact": impact, "active": active, "missed": 0.1, "size": 1.0})
    return in_memory.of_columns(kinds.subnetworks.IMPACTS, rows)


def subjects_of(run: str, inputs: np.ndarray, seeds: int = 2) -> Table:
    given = {"run": run, "seed": np.arange(seeds), "network": "{}", "reading": "policy"}
    flat = np.broadcast_to(inputs.reshape(1, -1), (seeds, inputs.size))
    return in_memory.of_columns(
        kinds.subnetworks.SUBJECTS, [{**given, "shape": json.dumps(inputs.shape[1:]), "inputs": flat}]
    )


def mazes(count: int = 80) -> np.ndarray:
    rng = np.random.default_rng(4)
    pictures = np.zeros((count, 9, 9, 3))
    for picture in pictures:
        wall = rng.random((9, 9)) < 0.4
        mouse, cheese = rng.permutation(81)[:2]
        wall.flat[[mouse, cheese]] = False
        picture[..., 0] = wall
        picture.reshape(81, 3)[mouse, 1] = picture.reshape(81, 3)[cheese, 2] = 1
    return pictures


def sequences(count: int = 80, steps: int = 16, categories: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    one_hot = np.eye(categories)[rng.integers(categories, size=(count, steps))]
    one_hot[:, 0] = 0
    return one_hot


def maze_tables() -> tuple[Table, Table, Table]:
    return impacts_of("maze-l3d", 80, 30), subjects_of("maze.region-2", mazes()), steered_table()


def sequence_tables() -> tuple[Table, Table, Table]:
    return impacts_of("cat-l3d", 80, 30), subjects_of("bayes.cat-3", sequences()), steered_table()
