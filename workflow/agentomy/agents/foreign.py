"""Agents that were trained elsewhere: checkpoints of other libraries become a run's parameters (docs/own-agent.md).

Nothing learns here. Files are read as `foreign_agents` reads them, without running anything of theirs; each network is
recognised, and its tensors are renamed to `features.`, `policy.`, `value.` and `target.`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from agentomy import kinds, networks
from agentomy.environments import simulators
from agentomy.foreign_agents import opening, returns, spaces
from agentomy.foreign_agents.files import refused
from agentomy.foreign_agents.from_scripts import stated
from agentomy.foreign_agents.normalisers import Normaliser, read_normaliser
from agentomy.foreign_agents.recognised import NORMALISER, Recognised
from agentomy.foreign_agents.series import same_network
from agentomy.foreign_agents.spaces import Space
from agentomy.networks.foreign.agent import rebuilt
from agentomy.networks.foreign.custom import custom
from agentomy.networks.foreign.stack import Agents
from agentomy.tables import Table
from agentomy.values import Count, Series


class Checkpoints:
    """The checkpoints of one run of some library's agent, in the order of their numbers.

    `files` is a pattern beside the study file, such as `runs/ppo/rl_model_{update}_steps.zip`; with `{seed}` it is
    several runs, each a seed. The number in a name is its update. `format` is what the files must be. `network` is
    {use: recognised}, beside which files that don't say it need activation, head, scale (of pixels) and initial; or it
    is a class of a module of the study with its arguments.
    """

    def __init__(
        self,
        environment: kinds.paths.EPISODES,
        *,
        files: Series,
        format: Literal["auto", "sb3", "state_dict", "safetensors"] = "auto",
        network: dict[str, bool | int | float | str] | None = None,
        normalise: Series
        | None = None,  # statistics of observations: vecnormalize.pkl or an .npz, {update} may be in it
        frames: Count = 1,  # how many observations the network sees at once
        evaluations: Series | None = None,  # evaluations.npz of an EvalCallback, for the claim of parity
        monitor: Series | None = None,  # monitor.csv of training, * for the files of several environments
        window: Count
        | None = None,  # steps before a checkpoint, of whose episodes `monitor` says returns; by default since the last
        skip: Count = 1,  # steps that `monitor` counts for one of the agent: 4 where AtariWrapper leaves frames out
        unit: str = "steps of the environment",  # of the number in a file's name
    ):
        self.files, self.format, self.frames, self.unit = files, format, frames, unit
        self.custom = network if network and network["use"] != "recognised" else None
        self.stated = stated(None if self.custom else network)
        self.normalisers, self.evaluations = normalise or {}, evaluations or {}
        self.window, self.monitored = window, self._monitored([Path(path) for path in (monitor or {}).values()], skip)
        self.observation, self.action = self._spaces(environment)
        first, scaled = self._read(next(iter(files)))
        self.originals = first.originals
        self.network = {
            "use": networks.use(Agents),
            "frames": frames,
            "scaled": _scaling(scaled),
            "architecture": first.architecture.model_dump(),
        }

    def _spaces(self, environment: Table | None) -> tuple[Space | None, Space | None]:
        """The spaces of the frames that the network sees, and of actions."""
        if environment is None:
            return None, None
        simulator = simulators.make(environment.description, np.random.default_rng(0))
        try:
            one, action = (
                spaces.from_gymnasium(space) for space in (simulator.env.observation_space, simulator.env.action_space)
            )
        except spaces.UnknownSpace as error:
            problem = f"found a {error} space; allowed: one array, or choices"
            raise refused(environment.description.use, "", problem) from None
        simulator.close()
        return spaces.stacked(one, self.frames), action

    def _monitored(self, paths: list[Path], skip: int) -> returns.Monitored | None:
        """The episodes of training; refused where they end so early that files must be missing."""
        if not paths:
            return None
        monitored, last = returns.read_monitors(paths, skip), max((n or 0 for n in self.files), default=0)
        if len(monitored.returns) and monitored.last < last / 2:
            problem = f"found episodes until step {monitored.last}, and a checkpoint of step {last}"
            raise refused(paths[0], "monitor", f"{problem}; allowed: a file for each environment of the run")
        return monitored

    # ---- reading -------------------------------------------------------------------------------------------------

    def _read(self, update: int | None) -> tuple[Recognised, Normaliser | None]:
        """A checkpoint's network, and the statistics by which its observations are scaled."""
        path = Path(self.files[update])
        opened = opening.opened(path, self.format)
        beside = self.normalisers.get(update)
        if beside and opened.normaliser:
            raise refused(path, "normalise", "found statistics in the file and beside it; allowed: one of the two")
        normaliser = read_normaliser(Path(beside)) if beside else opened.normaliser
        normaliser = normaliser if normaliser and normaliser.active else None
        recognised = self._recognised(opened)
        if normaliser:
            shape = [*normaliser.mean.shape]
            expected = spaces.single(recognised.architecture.observation, self.frames).shape
            if shape != expected:
                raise refused(Path(beside or path), "", f"found statistics of {shape}; allowed: of {expected}")
        return recognised, normaliser

    def _recognised(self, opened: opening.Opened) -> Recognised:
        if self.custom is None:
            return opening.recognised(opened, self.observation, self.action, self.stated)
        if self.observation is None:
            raise refused(
                opened.path, "", "a class of your own says nothing of its environment; allowed: `environment:`"
            )
        if len(opened.states) > 1:
            raise refused(
                opened.path, "", f"found {len(opened.states)} state dicts; allowed: that of {self.custom['use']}"
            )
        steps = opened.said.data.get("num_timesteps") if opened.said else None
        updates = steps if type(steps) is int else None
        return custom(self.custom, opened.states[0], self.observation, self.action, opened.path, updates)

    def _rebuilt(self, recognised: Recognised, path: Path) -> None:
        """Refuse tensors that are not just those of the network; a user's class has been asked already."""
        if self.custom is None:
            rebuilt(recognised, path)

    def snapshots(self, seed: int) -> Iterator[pa.Table]:
        """`kinds.common.PARAMETERS`, a piece a checkpoint, read when it is asked for."""
        self.rows: list[tuple[int, str, float]] = []
        statistics: list[Normaliser | None] = []

        def read() -> Iterator[tuple[Path, Recognised]]:
            for update, path in self.files.items():
                recognised, normaliser = self._read(update)
                statistics.append(normaliser)
                yield Path(path), recognised

        for update, (path, recognised) in zip(self.files, same_network(read()), strict=True):
            self._rebuilt(recognised, path)
            number, normaliser = self._number(update, recognised), statistics.pop()
            if _scaling(normaliser) != self.network["scaled"]:
                problem = f"found {_scaling(normaliser)}, and {self.network['scaled']} before; allowed: one scaling"
                raise refused(path, "normalise", problem)
            tensors = dict(recognised.tensors)
            if normaliser:
                tensors |= {f"{NORMALISER}mean": normaliser.mean, f"{NORMALISER}variance": normaliser.variance}
            self.rows += [(number, *noted) for noted in [*self._noted(update, number), *self._learning(number)]]
            self.rows.append((number, "parameters", float(sum(map(np.size, recognised.tensors.values())))))
            self.rows.append((number, "normaliser", float(self._sort(update, normaliser))))
            arrays = {name: np.asarray(tensor, np.float32)[None] for name, tensor in tensors.items()}
            yield kinds.common.PARAMETERS.table(seed=np.array([seed]), update=number, **arrays)

    def _sort(self, update: int | None, normaliser: Normaliser | None) -> int:
        """0: no statistics; 1: this checkpoint's own; 2: those of one file for several, later than most of them."""
        if normaliser is None:
            return 0
        return 2 if len(self.files) > 1 and len({*self.normalisers.values()}) == 1 else 1

    @staticmethod
    def _number(update: int | None, recognised: Recognised) -> int:
        """The number in the name; of a file without one the steps that it says, or 1: it has learned something."""
        return update if update is not None else recognised.updates or 1

    def log(self, run: str, seed: int) -> pa.Table:
        """`kinds.common.LOG` of the snapshots that were read: their size, and what others noted of their returns."""
        updates, quantities, values = map(np.array, zip(*self.rows, strict=True))
        return kinds.common.LOG.table(run=run, seed=seed, update=updates, quantity=quantities, value=values)

    def _noted(self, update: int | None, number: int) -> list[tuple[str, float]]:
        """Mean, deviation and number of the episodes that an EvalCallback noted at this time."""
        if update not in self.evaluations:
            return []
        noted = returns.read_evaluations(Path(self.evaluations[update]))
        at = np.flatnonzero(noted.steps == number)
        if not len(at):
            return []
        return _summary("noted", noted.returns[at[0]])

    def _learning(self, number: int) -> list[tuple[str, float]]:
        """Mean, deviation and number of the episodes that ended in training in the steps before this time."""
        if self.monitored is None:
            return []
        since = number - self.window if self.window else self._before(number)
        episodes = self.monitored.ended(since, number)
        return _summary("monitored", episodes) if len(episodes) else []

    def _before(self, number: int) -> int:
        """The time of the checkpoint before this one; of the first of several 0, of a single one a tenth of its own."""
        earlier = [update for update in self.files if update is not None and update < number]
        return max(earlier, default=0 if len(self.files) > 1 else number - max(number // 10, 1))


def _summary(what: str, episodes: np.ndarray) -> list[tuple[str, float]]:
    """Mean, deviation and number of episodes, as the log has them."""
    spread = float(episodes.std(ddof=1)) if len(episodes) > 1 else 0.0
    numbers = {"return": float(episodes.mean()), "deviation": spread, "episodes": float(len(episodes))}
    return [(f"{what} {name}", value) for name, value in numbers.items()]


def _scaling(normaliser: Normaliser | None) -> dict[str, float] | None:
    """What a description says of statistics."""
    return {"epsilon": normaliser.epsilon, "clip": normaliser.clip} if normaliser else None
