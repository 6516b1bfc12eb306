"""A network and its Bayes-optimal counterpart as two state machines driven by the same inputs (section 6.3).

The input streams come from the prior; in bandits the arms are pulled by the Gittins agent, so that both machines
see the same actions and rewards. The state at step t is the one from which the t-th output is read.
"""

from dataclasses import dataclass

import numpy as np
import torch

from agentomy import networks
from agentomy.checkpoints.play import Arena, preference
from agentomy.checkpoints.snapshots import first_and_last
from agentomy.environments import bandits, sequences
from agentomy.networks import heads
from agentomy.tables import Table

OTHER_BIAS = "untrained, other forget bias"


@dataclass(frozen=True)
class Drive:
    """E episodes of input and the Bayes-optimal machine's side of them."""

    inputs: np.ndarray  # [E, T, inputs]
    statistics: np.ndarray  # [E, T, statistics]
    optimum: np.ndarray  # [E, T, outputs]
    advantage: np.ndarray  # [E, T] Q*(arm 1) - Q*(arm 0); zero for predictions


class Prediction:
    """The two machines of a prediction task."""

    def __init__(self, table: Table):
        self.task = sequences.task(table.source)
        self.family = self.task.family
        self.steps = table.source["parameters"]["steps"]

    def drive(self, rng: np.random.Generator, episodes: int) -> Drive:
        _, observations = self.task.sample(rng, episodes, self.steps)
        statistics = self.task.statistics(observations)
        inputs = sequences.previous(self.task.encode(observations))
        return Drive(inputs, statistics, self.task.predictive(statistics), np.zeros((episodes, self.steps)))

    def network_output(self, outputs: dict[str, torch.Tensor]) -> np.ndarray:
        """Predictive vectors from the network's read-outs."""
        return heads.predictive(self.family, outputs["predictive"]).double().cpu().numpy()

    def bayes_output(self, statistics: np.ndarray) -> np.ndarray:
        """Predictive vectors from statistics that a regression may have put out of range."""
        return self.task.predictive(self.task.clip(statistics))


class Bandit:
    """The two machines of a bandit task; their output is the probability of arm 1."""

    family = "bandit"

    def __init__(self, table: Table, discount: float):
        self.task, self.discount = bandits.task(table.source), discount
        self.steps = table.source["parameters"]["steps"]

    def drive(self, rng: np.random.Generator, episodes: int) -> Drive:
        _, rewards = self.task.sample(rng, episodes, self.steps)
        self.arena = Arena(self.task, rewards, self.discount)
        actions, probability = self.arena.reference("gittins", rng)
        statistics = self.task.statistics(actions, self.arena.received(actions))
        advantage, _ = self.arena.seen(statistics)
        seen = [np.zeros((episodes, bandits.ARMS + 1), np.float32)]
        seen += [bandits.observe(actions[:, t], self.arena.encoded[:, t]) for t in range(self.steps - 1)]
        return Drive(np.stack(seen, axis=1), statistics, probability[..., None], advantage)

    def network_output(self, outputs: dict[str, torch.Tensor]) -> np.ndarray:
        return torch.softmax(outputs["policy"], dim=-1)[..., 1:].double().cpu().numpy()

    def bayes_output(self, statistics: np.ndarray) -> np.ndarray:
        _, index = self.arena.seen(self.task.round(statistics))
        return preference(index)[..., None]


def stacks(parameters: Table, streams, device: str) -> dict[str, tuple[np.ndarray, "object"]]:
    """Condition → (seeds, stack): trained, untrained, and untrained with the other forget-gate bias.

    The last is a second control: a bias of +1 makes an untrained cell a near-integrator, which alone carries
    much of the history.
    """
    found = first_and_last(parameters, device)
    seeds, _ = found["untrained"]
    description = dict(parameters.source["network"])
    description["forget_bias"] = 1.0 - description["forget_bias"]
    generators = [streams.torch(f"{OTHER_BIAS} {seed}") for seed in seeds]
    return {**found, OTHER_BIAS: (seeds, networks.build(description, len(seeds)).draw(generators).to(device))}


def driven(stack, drive: Drive, machines: Prediction | Bandit, device: str) -> tuple[np.ndarray, np.ndarray]:
    """States (h, c) [S, E, T, 2N] and outputs [S, E, T, outputs] of a stack driven by the inputs."""
    inputs = torch.tensor(drive.inputs, dtype=torch.float32, device=device)
    states = stack.states(inputs.expand(len(stack.memory.bias), *inputs.shape))
    return states.cpu().numpy(), read(stack, states, machines)


def read(stack, states: torch.Tensor, machines: Prediction | Bandit) -> np.ndarray:
    """What a stack puts out at memory states [S, ..., 2N]; the read-out sees h alone."""
    with torch.no_grad():
        return machines.network_output(stack.read_out(states[..., : stack.width]))
