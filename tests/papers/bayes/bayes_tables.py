"""Small made-up tables of the study of Bayes-optimal agents, with known structure."""

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.tables import Kind, Table

STEPS = 20
UPDATES = [0, 1, 3, 10, 30, 100, 300, 1000]
RUNS = ("cat-3", "gauss", "bb-1-1", "gb")


def table(kind: Kind, *pieces: dict) -> Table:
    """A table in memory from the columns of its pieces."""
    return Table(kind, rows=pa.concat_tables([kind.table(**piece) for piece in pieces]))


def as_table(kind: Kind, rows: pa.Table) -> Table:
    return Table(kind, rows=rows)


def counts(observations: np.ndarray, categories: int) -> np.ndarray:
    """Observations [E, T] → counts before each step [E, T, categories]."""
    seen = np.eye(categories)[observations]
    return np.concatenate([np.zeros_like(seen[:, :1]), seen.cumsum(axis=1)[:, :-1]], axis=1)


def optimal(observations: np.ndarray) -> np.ndarray:
    """The Bayes-optimal predictive [E, T, 3] under a Dirichlet(1, 1, 1) prior."""
    statistics = counts(observations, 3) + 1
    return statistics / statistics.sum(axis=-1, keepdims=True)


def sequences(rng: np.random.Generator, episodes: int = 30) -> tuple[Table, np.ndarray]:
    p = rng.dirichlet(np.ones(3), episodes)
    observations = (rng.random((episodes, STEPS, 1)) > p.cumsum(axis=1)[:, None, :-1]).sum(-1)
    columns = {"episode": np.arange(episodes), "parameters": p, "observations": observations}
    return table(kinds.bayes.SEQUENCES, columns), observations


def predictions(observations: np.ndarray, seeds: int = 3, task: str = "cat-3") -> Table:
    """Networks that mix the Bayes-optimal predictive with a uniform one, less and less along training."""
    best = optimal(observations)
    pieces = [predicted(best, observations, run=task, agent="bayes", seed=-1, update=-1)]
    for update in UPDATES:
        for seed in range(seeds):
            share = 0.9 / (1 + update / (10 + 5 * seed))
            mixture = (1 - share) * best + share * np.array([0.4 - 0.05 * seed, 0.3, 0.3 + 0.05 * seed])
            pieces.append(predicted(mixture, observations, run=task, agent="network", seed=seed, update=update))
    return table(kinds.bayes.PREDICTIONS, *pieces)


def predicted(predictive: np.ndarray, observations: np.ndarray, **labels) -> dict:
    log_probability = np.log(np.take_along_axis(predictive, observations[..., None], axis=-1)[..., 0])
    what = {"family": "categorical", "predictive": predictive, "log_probability": log_probability}
    return {**labels, **what, "episode": np.arange(len(observations))}


def play(rng: np.random.Generator, seeds: int = 3, episodes: int = 60, task: str = "bb-1-1") -> Table:
    """Bandit agents whose chance of the better-looking arm grows along training; the first arm looks better at ties."""
    means = rng.random((episodes, 2))
    rewards = (rng.random((episodes, STEPS, 2)) < means[:, None]).astype(float)
    luck = rng.random((episodes, STEPS))

    def played(right: float, **labels) -> dict:
        actions = np.zeros((episodes, STEPS), int)
        probability, q_difference = np.zeros((2, episodes, STEPS))
        tally = np.ones((episodes, 2, 2))  # of each arm: successes, failures, plus one
        for t in range(STEPS):
            mean = tally[..., 0] / tally.sum(axis=-1)
            q_difference[:, t] = mean[:, 1] - mean[:, 0]
            better = np.where(q_difference[:, t] == 0, 0.5, q_difference[:, t] > 0)
            probability[:, t] = right * better + (1 - right) * (1 - better)
            actions[:, t] = luck[:, t] < probability[:, t]
            row = np.arange(episodes)
            won = rewards[row, t, actions[:, t]]
            tally[row, actions[:, t], (1 - won).astype(int)] += 1
        received = np.take_along_axis(rewards, actions[..., None], axis=2)[..., 0]
        what = {"actions": actions, "rewards": received, "probability": probability, "q_difference": q_difference}
        return {"run": task, **labels, "episode": np.arange(episodes), "means": means, **what, "index": q_difference}

    references = {"gittins": 0.9999, "greedy": 0.99, "thompson": 0.9, "random": 0.5}
    pieces = [played(right, agent=agent, policy="argmax", seed=-1, update=-1) for agent, right in references.items()]
    for update in UPDATES:
        for seed in range(seeds):
            for policy, shift in (("sampled", 0.0), ("argmax", 0.8)):
                wrong = 0.5 / (1 + update / (20 + 10 * seed)) * (1 - shift * (update > 0))
                key = {"agent": "network", "policy": policy, "seed": seed, "update": update}
                pieces.append(played(1 - wrong, **key))
    return table(kinds.bayes.PLAY, *pieces)


def optimum() -> Table:
    values = {"cat-3": ("optimal log-loss", 0.85), "bb-1-1": ("optimal return", 12.6)}
    pieces = [{"run": run, "quantity": name, "t": 0, "value": value} for run, (name, value) in values.items()]
    return table(kinds.bayes.OPTIMUM, *pieces)


def simulation(seeds: int = 3) -> Table:
    """Four tasks; a trained network maps far better than an untrained one, and R→B better than B→R.

    On its own policy's histories a bandit agent maps twice as badly.
    """
    rng = np.random.default_rng(5)
    rows = []
    families, drives = ("categorical", "normal", "bandit", "bandit"), ("prior", "prior", "gittins", "gittins")
    by_network = [(run, "bandit", "network") for run in RUNS[2:]]
    for run, family, drive in [*zip(RUNS, families, drives, strict=True), *by_network]:
        for agent, factor in (("trained", 1), ("untrained", 100), ("untrained, other forget bias", 10)):
            for seed in range(seeds):
                for direction, worse in (("R→B", 1), ("B→R", 20)):
                    noise = np.exp(rng.normal(0, 0.2))
                    labels = {"run": run, "family": family, "drive": drive, "agent": agent, "seed": seed}
                    how = {"direction": direction, "map": "mlp"}
                    error = 4e-4 * factor * worse * noise * (2 if drive == "network" else 1)
                    what = {"state_error": error, "state_error_normalised": error, "output_error": 2e-3 * factor}
                    rows.append({**labels, **how, **what})
    return table(kinds.bayes.SIMULATION, *rows)


def machines(rng: np.random.Generator, noise: float = 0.02, outputs: int = 3) -> tuple[Table, Table]:
    """(states, maps) of a network whose state is a linear image of the counts, and of maps with known noise."""
    _, observations = sequences(rng, 40)
    statistics = counts(observations, 3)
    spread = rng.normal(size=(3, 8))
    network = np.tanh(0.1 * statistics @ spread)
    output = optimal(observations)
    run, family = "cat-3", "categorical"
    if outputs == 1:
        run, family, output = "bb-1-1", "bandit", output[..., :1]
    labels = {"run": run, "family": family, "agent": "trained", "seed": 0, "episode": np.arange(40)}
    q_difference = np.zeros(output.shape[:2])
    both = {"output": output, "q_difference": q_difference}
    states = table(kinds.bayes.STATES, {**labels, "network": network, "bayes": statistics, "optimum": output, **both})
    pieces = []
    for direction, target in (("R→B", statistics), ("B→R", network)):
        variance = target.reshape(-1, target.shape[-1]).var(axis=0).mean()
        error = noise * np.sqrt(variance) * rng.normal(size=target.shape)
        pieces.append(
            {
                **labels,
                "drive": "prior",
                "direction": direction,
                "map": "mlp",
                "squared_error": (error**2).mean(axis=-1),
                "target_variance": variance,
                "mapped_output": output,
                "state": target + error,
                **both,
            }
        )
    return states, table(kinds.bayes.MAPS, *pieces)
