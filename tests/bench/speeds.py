"""Measured speeds, as Markdown tables: `make bench`. A and B take turns in one run, so that their ratio holds."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from agentomy import kinds
from agentomy.agents.actor_critic import ActorCritic
from agentomy.agents.predictor import Predictor
from agentomy.descriptions import Task
from agentomy.environments import bandits, sequences
from agentomy.seeds import Streams
from agentomy.tables import Table

ROUNDS, UPDATES, STEPS, WIDTH, SEEDS = 7, 10, 20, 32, 3
JOBS = {  # of the study `bayes`, by stage
    "environments": "cat-3",
    "training": "cat-3",
    "checkpoints": "predictions",
    "metrics": "distance",
    "figures": "F3-convergence-prediction",
}


def environment(kind, use: str, **parameters) -> Table:
    return Table(kind, description=Task(use=use, parameters={**parameters, "steps": STEPS, "episodes": 1}))


def agent(make: Callable, table: Table, seeds: int):
    return make(table, [Streams("bench", "run", seed) for seed in range(seeds)], "cpu", width=WIDTH, updates=10**6)


class PlainPredictor:
    """The yardstick: one `nn.LSTM` network trained in the plainest way, at the same sizes."""

    def __init__(self, batch: int = 128):
        self.task, self.batch, self.rng = sequences.Categorical((1.0, 1.0, 1.0)), batch, np.random.default_rng(0)
        self.encoder, self.memory = nn.Linear(3, WIDTH), nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.decoder, self.readout = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        modules = (self.encoder, self.memory, self.decoder, self.readout)
        self.optimiser = torch.optim.Adam([weight for module in modules for weight in module.parameters()], 3e-3)

    def advance(self) -> None:
        _, observations = self.task.sample(self.rng, self.batch, STEPS)
        x = torch.tensor(observations).long()
        inputs = nn.functional.one_hot(x, 3).float().roll(1, dims=1)
        inputs[:, 0] = 0
        hidden, _ = self.memory(self.encoder(inputs).relu())
        logits = self.readout(self.decoder(hidden).relu())
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), x.flatten())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class PlainBandit:
    """The yardstick for bandits: an `nn.LSTM` that plays step by step with its gradient, one network."""

    def __init__(self, batch: int = 256):
        self.task, self.batch, self.rng = bandits.Bernoulli(((1.0, 1.0), (1.0, 1.0))), batch, np.random.default_rng(0)
        self.encoder, self.memory = nn.Linear(3, WIDTH), nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.decoder, self.readout = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        modules = (self.encoder, self.memory, self.decoder, self.readout)
        self.optimiser = torch.optim.Adam([weight for module in modules for weight in module.parameters()], 5e-3)

    def advance(self) -> None:
        _, rewards = self.task.sample(self.rng, self.batch, STEPS)
        encoded = self.task.encode_reward(rewards)
        observation, state, losses = np.zeros((self.batch, bandits.ARMS + 1), np.float32), None, []
        for t in range(STEPS):
            hidden, state = self.memory(self.encoder(torch.from_numpy(observation)[:, None]).relu(), state)
            outputs = self.readout(self.decoder(hidden[:, 0]).relu())
            policy = torch.distributions.Categorical(logits=outputs[:, :2])
            actions = policy.sample()
            observation = bandits.observe(actions.numpy(), encoded[:, t])
            received = torch.from_numpy(rewards[:, t]).float().gather(1, actions[:, None])[:, 0]
            advantage = received - outputs[:, 2]
            losses.append((advantage.square() - policy.log_prob(actions) * advantage.detach()).mean())
        self.optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        self.optimiser.step()


def interleaved(**runs: Callable[[], None]) -> dict[str, float]:
    """Median seconds of each, over rounds in which they take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: median(seconds) for name, seconds in times.items()}


def repeated(learner) -> Callable[[], None]:
    return lambda: [learner.advance() for _ in range(UPDATES)]


def trainers() -> None:
    """Environment steps a second of the trainers, one core."""
    cat = environment(kinds.bayes.SEQUENCES, "sequences.categorical", concentration=[1.0, 1.0, 1.0])
    arms = environment(kinds.bayes.BANDITS, "bandits.bernoulli", prior=[[1.0, 1.0], [1.0, 1.0]])
    print("| trainer (width 32, 20 steps) | environment steps/s | beside plain `nn.LSTM` |\n| --- | --- | --- |")
    for name, make, table, plain, batch in (
        ("predictor, batch 128", Predictor, cat, PlainPredictor(), 128),
        ("actor-critic, batch 256", ActorCritic, arms, PlainBandit(), 256),
    ):
        one, stack = agent(make, table, 1), agent(make, table, SEEDS)
        took = interleaved(plain=repeated(plain), one=repeated(one), stack=repeated(stack))
        work = UPDATES * batch * STEPS
        for label, key, seeds in (
            ("plain `nn.LSTM` loop", "plain", 1),
            ("1 seed", "one", 1),
            ("3 seeds", "stack", SEEDS),
        ):
            speed = work * seeds / took[key]
            ratio = speed / (work / took["plain"])
            print(f"| {name}, {label} | {speed / 1e3:.0f} k | {ratio:.2f} |")


def starts() -> None:
    """Seconds from the start of a job's process to the call of its function."""
    code = (
        "import json, sys, time; from agentomy.pipeline.run import stages;"
        "from agentomy.pipeline.plan.study import Plan;"
        "job = Plan(json.loads(sys.argv[1])).studies['bayes'].job(*sys.argv[2:]); job.digest();"
        "stages.find(job.use)"
    )
    config = json.dumps({"scale": "smoke", "studies": ["bayes"]})

    def start(stage: str, name: str) -> Callable[[], None]:
        extra = ["import matplotlib.pyplot;"] if stage == "figures" else []
        command = [sys.executable, "-c", "".join([*extra, code]), config, stage, name]
        return lambda: subprocess.run(command, check=True)

    took = interleaved(
        nothing=lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        **{stage: start(stage, name) for stage, name in JOBS.items()},
    )
    print("\n| job | start to first useful work, s |\n| --- | --- |")
    for stage, seconds in took.items():
        print(f"| {stage if stage != 'nothing' else 'python alone'} | {seconds:.2f} |")


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def main() -> None:
    torch.set_num_threads(1)
    print(f"{date.today()}, {machine()}; medians of {ROUNDS} rounds in which all take turns\n")
    trainers()
    starts()


if __name__ == "__main__":
    main()
