"""What changes an agent's actions: edits of what a layer gives, beside changes as long in random directions."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from agentomy import kinds
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Subject
from agentomy.lenses.inside.beside import Met, beside_twins
from agentomy.lenses.probing import is_number
from agentomy.lenses.rows import table_of
from agentomy.values import Count, Natural

MOST = 64  # units that are clamped; of wider layers the most variable


def edits(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    labels: str | None = None,  # MODULE.FUNCTION of a module of the study; else: how many steps of the game are left
    count: Count = 500,  # observations, equally far apart in what the last snapshot meets
    twins: Natural = 39,  # untrained agents on the same observations
    controls: Count = 8,  # random directions beside each edit
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.inside.ACTIVATION_EDITS:
    """How much the last snapshot's actions change if each hidden layer that leads to them is edited in three ways.

    A label's direction goes from the mean without it to that with it; a number counts as there above its median, and
    of several classes each is a label. What an agent remembers stays as it was.
    Needs: network, hidden layers, hooks, observations, labels, seeded environment.
    """
    around = {"count": count, "twins": twins, "streams": streams, "device": device, "progress": progress}
    around["adapter"] = adapter

    def pieces() -> Iterator[pa.Table]:
        for identity, shown, subject in beside_twins(parameters, Room(episodes), **around):
            masks = classes(shown.labels(labels))
            rows = []
            for layer, values in subject.hidden(shown.observations, shown.state).items():
                if not subject.acts_by(layer):
                    continue
                rng = streams.for_seed(identity["seed"]).numpy(f"random directions {layer} {identity['twin']}")
                site = Site(subject, layer, shown)
                for edit, label, unit, change in changes(values, masks, rng):
                    size = float(np.linalg.norm(change, axis=-1).mean())
                    effect = site.effect(change)
                    beside = [site.effect(of_equal_norm(change, rng)) for _ in range(controls if unit < 0 else 1)]
                    outcome = (edit, label, unit, size, site.measure, effect, float(np.mean(beside)))
                    rows.append((run, *identity.values(), layer, *outcome))
            yield table_of(kinds.inside.ACTIVATION_EDITS, rows)

    return pieces()


def classes(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Label → whether each observation has it [N]; those that all or none have are left out."""
    masks = {}
    for name, values in labels.items():
        if is_number(values):
            masks[name] = values > np.median(values)
        elif values.dtype.kind == "b":
            masks[name] = values
        else:
            masks |= {f"{name} {value}": values == value for value in np.unique(values)}
    return {name: mask for name, mask in masks.items() if 0 < mask.sum() < len(mask)}


def changes(
    values: np.ndarray, masks: dict[str, np.ndarray], rng: np.random.Generator
) -> Iterator[tuple[str, str, int, np.ndarray]]:
    """(edit, label, unit, what is added [1 or N, units]) of a layer that gives values [N, units]."""
    for label, mask in masks.items():
        yield "direction", label, -1, (values[mask].mean(axis=0) - values[~mask].mean(axis=0))[None]
    yield "resampled", "", -1, values[rng.permutation(len(values))] - values
    spread = values.std(axis=0)
    for unit in np.sort(np.argsort(-spread, kind="stable")[:MOST]):
        change = np.zeros_like(values)
        change[:, unit] = values[:, unit].mean() - values[:, unit]
        yield "clamped", "", int(unit), change


def of_equal_norm(change: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes [N, units] in random directions, each as long as its original; one that is added to all stays one."""
    drawn = rng.standard_normal(change.shape, dtype=change.dtype)
    return drawn * (np.linalg.norm(change, axis=-1) / np.linalg.norm(drawn, axis=-1))[:, None]


class Site:
    """One layer of an agent, and what its actions are without an edit. measure: how their change is told."""

    def __init__(self, subject: Subject, layer: str, shown: Met):
        self.subject, self.layer, self.shown = subject, layer, shown
        self.before = self._given(None)
        self.measure = {"logits": "total variation", "q": "changed choices", "mean": "shift"}[self.before[0]]

    @torch.no_grad()
    def _given(self, change: np.ndarray | None) -> tuple[str, np.ndarray]:
        """(name, outputs [N, A]) with something added to what the layer gives."""

        def added(output: Tensor) -> Tensor:
            if change is None:
                return output
            return output + torch.as_tensor(change).to(output).expand(len(output), -1).reshape(output.shape)

        with self.subject.editing(self.layer, added):
            given = self.subject.read(self.shown.observations, self.shown.state)[0]
        name = next(output for output in ("logits", "q", "mean") if output in given)
        values = given[name].softmax(dim=1) if name == "logits" else given[name]
        return name, values.double().cpu().numpy()

    def effect(self, change: np.ndarray) -> float:
        """How much the actions change, mean over observations."""
        (name, before), (_, after) = self.before, self._given(change)
        if name == "logits":
            return float(np.abs(after - before).sum(axis=1).mean() / 2)
        if name == "q":
            return float((after.argmax(axis=1) != before.argmax(axis=1)).mean())
        spread = before.std(axis=0)
        return float((np.abs(after - before) / np.where(spread > 0, spread, 1)).mean())
