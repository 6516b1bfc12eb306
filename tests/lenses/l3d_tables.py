"""Networks to be decomposed, as tables; and double precision, for comparisons with plain twins."""

import json

import numpy as np
import torch

from agentomy import kinds, networks
from agentomy.agents.l3d import L3D
from agentomy.networks.gradients import Gradients
from agentomy.networks.impala import ImpalaStack
from agentomy.networks.recurrent import LSTMNetwork
from agentomy.networks.subnetworks import Subnetworks
from agentomy.networks.toy import Bottleneck, Smooth
from agentomy.networks.world_model import WorldModel
from agentomy.seeds import Streams
from agentomy.tables import Table

BOTTLENECK = {"use": networks.use(Bottleneck), "inputs": 4, "hidden": 3, "outputs": 5}
SMOOTH = {"use": networks.use(Smooth), "sizes": [4, 3, 2], "activation": "gelu"}
IMPALA = {
    "use": networks.use(ImpalaStack),
    "pixels": 5,
    "palette": "planes",
    "channels": [2, 3],
    "pools": [1],
    "hidden": 4,
    "actions": 5,
    "scale": "planes",
}
LSTM = {"use": networks.use(LSTMNetwork), "inputs": 3, "width": 4, "outputs": {"predictive": 3}}
WORLD = {
    "use": networks.use(WorldModel),
    "view": "grid",
    "channels": 2,
    "actions": 3,
    "filters": 1,
    "widths": [2],
    "latents": [2, 3],
    "transformer": {"width": 4, "layers": 2, "heads": 2, "head": 2, "feedforward": 6, "window": 2},
    "heads": {"latent": [5], "reward": [3], "discount": [3]},
    "policy": [3],
}


def drawn(description: dict, seeds: int = 2, spread: float = 0.5) -> dict[str, np.ndarray]:
    """Weights by name [S, *shape], of which none is zero."""
    shapes = {name: (seeds, *array.shape[1:]) for name, array in networks.build(description, 1).arrays().items()}
    rng = np.random.default_rng(3)
    return {name: (spread * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def sparse_inputs(samples: int, features: int, share: float = 0.4, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((samples, features), np.float32) * (rng.random((samples, features)) < share)


def pictures(samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(2, size=(samples, 5, 5, 3)).astype(np.uint8)


def sequences(samples: int, steps: int = 6) -> np.ndarray:
    return np.random.default_rng(0).random((samples, steps, 3), np.float32)


def windows(samples: int, steps: int = 4) -> np.ndarray:
    """Steps of a world model: code, action, and reward and end of the step before; some cross an end."""
    rng = np.random.default_rng(0)
    codes = np.eye(3)[rng.integers(3, size=(samples, steps, 2))].reshape(samples, steps, 6)
    others = [rng.integers(3, size=(samples, steps)), rng.random((samples, steps)), rng.random((samples, steps)) < 0.2]
    return np.concatenate([codes, np.stack(others, axis=-1)], axis=-1).astype(np.float32)


def subject_table(
    description: dict, arrays: dict, inputs: np.ndarray, reading: str = "values", run: str = "model", first: int = 0
) -> Table:
    """Of seeds `first`, `first` + 1, …; inputs [samples, *shape]."""
    seeds = len(next(iter(arrays.values())))
    rows = kinds.subnetworks.SUBJECTS.table(
        run=run,
        seed=np.arange(first, first + seeds),
        network=json.dumps(description),
        reading=reading,
        shape=json.dumps(inputs.shape[1:]),
        inputs=np.broadcast_to(inputs.reshape(1, -1), (seeds, inputs.size)),
        **arrays,
    )
    return Table(kinds.subnetworks.SUBJECTS, rows=rows)


def toy_subjects(description: dict = BOTTLENECK, seeds: int = 2, samples: int = 48) -> Table:
    features = description.get("inputs") or description["sizes"][0]
    return subject_table(description, drawn(description, seeds), sparse_inputs(samples, features))


def decomposer(subjects: Table, *seeds: int, double: bool = False, **parameters) -> L3D:
    given = {"epochs": 4, "count": 3, "rank": 1, "divergence": "mse", "keep": 0.3, "batch": 16} | parameters
    agent = L3D(subjects, [Streams("test", "l3d", seed) for seed in seeds], "cpu", **given)
    if double:
        in_double(agent.gradients)
        agent.net.double()
    return agent


def in_double(gradients: Gradients) -> Gradients:
    gradients.stack.double()
    for side in (gradients.weights, gradients.fixed):
        side.update({name: tensor.double() for name, tensor in side.items()})
    gradients.inputs = gradients.inputs.double()
    gradients.outputs = gradients.read(gradients.weights, gradients.inputs)
    return gradients


def factors_of(net: Subnetworks) -> dict[str, torch.Tensor]:
    """Views of all factors by name and number, each [S, 2, K, *part]: what is written to these is the network's."""
    by_tensor = net.factors(net.weights.data)
    return {f"{name}/{number}": factor for name, factors in by_tensor.items() for number, factor in enumerate(factors)}


def learn(agent, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [agent.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


def joined(tensors: dict[str, torch.Tensor], axes: int) -> np.ndarray:
    """Tensors by name [*lead, *shape] side by side, [*lead, parameters]; the lead has so many axes."""
    return np.concatenate(
        [np.asarray(tensor.detach()).reshape(*tensor.shape[:axes], -1) for tensor in tensors.values()], -1
    )
