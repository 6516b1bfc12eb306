"""Whether classifiers are as often right as they are confident, and whether they doubt unfamiliar images."""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import roc_auc_score

from agentomy import kinds, selection
from agentomy.lenses.rows import table_of
from agentomy.tables import Table
from agentomy.values import Count


def reliability(classes: kinds.nld.CLASSES, chosen: kinds.nld.CHOSEN, *, bins: Count) -> kinds.nld.RELIABILITY:
    """How often test images are classified rightly, by how confident the prediction was, in `bins` of equal width."""
    rows = []
    for key, labels, probabilities in _predictions(classes, chosen, "test"):
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        numbers = np.minimum((confidence * bins).astype(int), bins - 1)
        for number in np.unique(numbers):
            inside = numbers == number
            rows.append((*key, number, confidence[inside].mean(), right[inside].mean(), inside.mean()))
    return table_of(kinds.nld.RELIABILITY, rows)


def calibration(
    classes: kinds.nld.CLASSES, chosen: kinds.nld.CHOSEN, reliability: kinds.nld.RELIABILITY
) -> kinds.nld.CALIBRATION:
    """Calibration error, and whether doubt tells images turned by 90 degrees from upright ones."""
    errors = {}
    for key, frame in reliability.frame().groupby(["method", "predictor", "seed"], sort=False):
        missed = frame["confidence"] - frame["accuracy"]
        errors[key] = (missed.abs() * frame["share"]).sum(), (missed * frame["share"]).sum()
    turned = {key: entropy(probabilities) for key, _, probabilities in _predictions(classes, chosen, "rotated")}
    rows = []
    for key, _, probabilities in _predictions(classes, chosen, "test"):
        upright = entropy(probabilities)
        unfamiliar = np.repeat([0, 1], [len(upright), len(turned[key])])
        detection = roc_auc_score(unfamiliar, np.concatenate([upright, turned[key]]))
        rows.append((*key, *errors[key], detection, upright.mean(), turned[key].mean()))
    return table_of(kinds.nld.CALIBRATION, rows)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """The entropy in nats of distributions [n, classes]; 0 log 0 = 0."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logs).sum(axis=1)


def _predictions(classes: Table, chosen: Table, split: str) -> Iterator[tuple[tuple, np.ndarray, np.ndarray]]:
    """((method, predictor, seed), labels [n], probabilities [n, classes]) of the chosen runs."""
    for run, method in chosen.frame().set_index("run")["method"].items():
        rows = selection.select(classes, run=run, split=split)
        frame, probabilities = rows.frame(), rows.array("probabilities").astype(float)
        for (predictor, seed), index in frame.groupby(["predictor", "seed"], sort=False).indices.items():
            yield (method, predictor, seed), frame["label"].to_numpy()[index], probabilities[index]
