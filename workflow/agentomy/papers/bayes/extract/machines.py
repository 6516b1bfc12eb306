"""A network and its Bayes-optimal counterpart as two state machines driven by the same inputs (section 6.3).

The input streams come from the prior; in bandits the arms are pulled by the Gittins agent or by the network itself,
and both machines see the same actions and rewards. The state at step t is the one from which the t-th output is read.
"""

from dataclasses import dataclass

import numpy as np
import torch

from agentomy import networks
from agentomy.environments import bandits, gittins, sequences
from agentomy.lenses.snapshots import first_and_last
from agentomy.networks import heads
from agentomy.papers.bayes.extract.play import Arena, difference, drawn_by_seed, preference
from agentomy.seeds import Streams
from agentomy.tables import Table

OTHER_BIAS = "untrained, other forget bias"


@dataclass(frozen=True)
class Drive:
    """E episodes of input, and what the Bayes-optimal machine makes of them; W is networks, or 1 if all share them."""

    inputs: np.ndarray  # [W, E, T, inputs]
    statistics: np.ndarray  # [W, E, T, statistics]
    optimum: np.ndarray  # [W, E, T, outputs]
    q_difference: np.ndarray  # [W, E, T] Q*(arm 1) - Q*(arm 0); zero for predictions


class Prediction:
    """The two machines of a prediction task."""

    driver = "prior"

    def __init__(self, table: Table):
        self.task = sequences.task(table.description)
        self.family = self.task.family
        self.steps = table.description.parameters["steps"]

    def drive(self, part: str, episodes: int, stack, seeds: np.ndarray, streams: Streams, device: str) -> Drive:
        """Episodes of a part (train, test) from the prior; the networks have no say, so that all seeds share them."""
        return self.fed(self.task.sample(streams.numpy(part), episodes, self.steps)[1])

    def fed(self, observations: np.ndarray) -> Drive:
        """Episodes with these observations [E, T]; no machine sees the last observation."""
        statistics = self.task.statistics(observations)
        inputs = sequences.previous(self.task.encode(observations))
        q_difference = np.zeros((1, *observations.shape))
        return Drive(inputs[None], statistics[None], self.task.predictive(statistics)[None], q_difference)

    def network_output(self, outputs: dict[str, torch.Tensor]) -> np.ndarray:
        """Predictive vectors from the network's read-outs."""
        return heads.predictive(self.family, outputs["predictive"]).double().cpu().numpy()

    def bayes_output(self, statistics: np.ndarray) -> np.ndarray:
        """Predictive vectors from statistics that a regression may have put out of range."""
        return self.task.predictive(self.task.clip(statistics))


class Bandit:
    """The two machines of a bandit task; their output is the probability of arm 1.

    The `driver` pulls the arms: "gittins", or "network" where each network plays its own sampled policy.
    """

    family = "bandit"

    def __init__(self, table: Table, discount: float, driver: str = "gittins"):
        if driver not in ("gittins", "network"):
            raise ValueError(f"bandits are driven by 'gittins' or 'network', not '{driver}'")
        self.task, self.discount, self.driver = bandits.task(table.description), discount, driver
        self.steps = table.description.parameters["steps"]
        self.gittins = gittins.indices(self.task, self.steps, discount)

    def drive(self, part: str, episodes: int, stack, seeds: np.ndarray, streams: Streams, device: str) -> Drive:
        """Episodes of a part, in which the driver pulls arms; arms and rewards are the same for all seeds."""
        rng = streams.numpy(part)
        _, rewards = self.task.sample(rng, episodes, self.steps)
        arena = Arena(self.task, rewards, self.discount)
        if self.driver == "network":
            uniforms = drawn_by_seed(seeds, streams, f"actions {part}", (episodes, self.steps))
            actions, _ = arena.networks(stack, uniforms, "sampled", device)
        else:
            actions = arena.reference("gittins", rng)[0][None]
        statistics = self.task.statistics(actions, arena.received(actions))
        q_difference, index = arena.seen(statistics)
        inputs = np.zeros((*actions.shape, bandits.ARMS + 1), np.float32)
        inputs[:, :, 1:] = bandits.observe(actions[:, :, :-1], arena.encoded[:, :-1])
        return Drive(inputs, statistics, preference(index)[..., None], q_difference)

    def network_output(self, outputs: dict[str, torch.Tensor]) -> np.ndarray:
        return torch.softmax(outputs["policy"], dim=-1)[..., 1:].double().cpu().numpy()

    def bayes_output(self, statistics: np.ndarray) -> np.ndarray:
        return preference(difference(self.gittins.index(self.task.round(statistics))))[..., None]


def stacks(parameters: Table, streams, device: str) -> dict[str, tuple[np.ndarray, "object"]]:
    """Agent → (seeds, stack): trained, untrained, and untrained with the other forget-gate bias.

    The last is a second control: a bias of +1 makes an untrained cell a near-integrator, which carries much of the
    history without any learning.
    """
    ends = first_and_last(parameters, device)
    seeds, _ = ends["untrained"]
    description = dict(parameters.description.network)
    description["forget_bias"] = 1.0 - description["forget_bias"]
    generators = [networks.generator(streams.entropy(f"{OTHER_BIAS} {seed}")) for seed in seeds]
    return {**ends, OTHER_BIAS: (seeds, networks.build(description, len(seeds)).draw(generators).to(device))}


def driven(stack, drive: Drive, machines: Prediction | Bandit, device: str) -> tuple[np.ndarray, np.ndarray]:
    """States (h, c) [S, E, T, 2N] and outputs [S, E, T, outputs] of a stack driven by the inputs."""
    inputs = torch.tensor(drive.inputs, dtype=torch.float32, device=device)
    states = stack.states(inputs.expand(len(stack.memory.bias), *inputs.shape[1:]))
    return states.cpu().numpy(), read(stack, states, machines)


def read(stack, states: torch.Tensor, machines: Prediction | Bandit) -> np.ndarray:
    """What a stack puts out at memory states [S, ..., 2N]; the read-out sees h alone."""
    with torch.no_grad():
        return machines.network_output(stack.read_out(states[..., : stack.width]))
