"""Which step each way of learning would be given, and how well its networks then predict (arXiv 1712.01076)."""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from agentomy import kinds, selection
from agentomy.lenses.rows import comparison_rows
from agentomy.tables import Table
from agentomy.values import Count

PREDICTORS = ("last", "mean", "ensemble")


def chosen(
    predictive: kinds.nld.PREDICTIVE, *, methods: dict[str, list[str]], predictors: dict[str, str]
) -> kinds.nld.CHOSEN:
    """The run of each method with the least validation loss in the end, mean over seeds; test images are not looked at.

    `methods` is method → its runs, one a step size; `predictors` is method → the predictor that counts.
    """
    frame = final(predictive, "validation")
    rows = []
    for method, runs in methods.items():
        own = frame[frame["run"].isin(runs) & (frame["predictor"] == predictors[method])]
        missing = set(runs) - set(own["run"])
        if missing:
            raise ValueError(
                f"chosen: method '{method}': no run '{min(missing)}' with the predictor '{predictors[method]}'"
            )
        means = own.groupby("run").agg({"nll": "mean", "step": "first", "epsilon": "first"})
        best = means["nll"].idxmin()
        found = means.loc[best]
        inner = means["step"].min() < found["step"] < means["step"].max()
        rows.append((method, best, found["step"], found["epsilon"], predictors[method], found["nll"], inner))
    columns = zip(kinds.nld.CHOSEN.columns, zip(*rows, strict=True), strict=True)
    return kinds.nld.CHOSEN.table(**{column.name: np.array(values) for column, values in columns})


def final(predictive: Table, split: str) -> pd.DataFrame:
    """What is known of the last snapshots, on one part of the images."""
    frame = predictive.where(split=split).frame()
    return frame[frame["update"] == frame.groupby("run")["update"].transform("max")]


def of_chosen(predictive: kinds.nld.PREDICTIVE, chosen: kinds.nld.CHOSEN) -> kinds.common.COMPARISON:
    """Loss and accuracy of each method at the step that was chosen for it; its name takes the place of the run's.

    A name ends with the predictor: `nll test last`, `accuracy test ensemble`, `nll train mean` and so on; `gap`: test
    less train loss, and `gap to shifted`: less that of shifted training images, if there are any. `nll gain` and
    `accuracy gain` are how much better the ensemble is than the last network, on test images; `nll gain of the mean`
    is how much better the mean of parameters is. `nll test PREDICTOR untrained` is that of the network before learning,
    for each predictor alike.
    """
    rows = []
    names = chosen.frame().set_index("run")["method"]
    parts = {split: final(predictive, split) for split in ("train", "shifted", "test")}
    parts = {split: frame.set_index(["run", "seed", "predictor"]) for split, frame in parts.items() if len(frame)}
    selection.select(predictive, split="test", run=[*names.index])  # each of them is judged
    test = predictive.where(split="test", predictor="last").frame().sort_values("update")
    untrained = test.groupby(["run", "seed"])["nll"].first()
    for (run, seed), _ in parts["test"].groupby(["run", "seed"], sort=False):
        if run not in names:
            continue
        found = {
            f"{what} {split} {predictor}": frame.loc[(run, seed, predictor), what]
            for split, frame in parts.items()
            for predictor in PREDICTORS
            for what in ("nll", "accuracy")
        }
        for split, name in (("train", "gap"), ("shifted", "gap to shifted")):
            if split in parts:
                found |= {
                    f"{name} {each}": found[f"nll test {each}"] - found[f"nll {split} {each}"] for each in PREDICTORS
                }
        found["nll gain"] = found["nll test last"] - found["nll test ensemble"]
        found["accuracy gain"] = found["accuracy test ensemble"] - found["accuracy test last"]
        found["nll gain of the mean"] = found["nll test last"] - found["nll test mean"]
        found |= {f"nll test {each} untrained": untrained[run, seed] for each in PREDICTORS}
        rows += [(names[run], seed, name, value) for name, value in found.items()]
    return comparison_rows(rows)


def beside(
    values: kinds.common.COMPARISON, *, method: str, predictor: str, others: dict[str, str]
) -> kinds.common.COMPARISON:
    """How much more a method has than others, each with the predictor that counts for it: `nll test`, `accuracy test`.

    `predictor` is that of the method, and `others` is method → predictor. Runs become `METHOD - OTHER`; seeds that
    only one has are left out.
    """
    frame = values.frame().set_index(["run", "quantity", "seed"])["value"].sort_index()
    rows = []
    for other, its in others.items():
        for what in ("nll test", "accuracy test"):
            found = (frame[method, f"{what} {predictor}"] - frame[other, f"{what} {its}"]).dropna()
            if found.empty:
                raise ValueError(f"comparison: '{method}' and '{other}' have no seed in common")
            rows += [(f"{method} - {other}", seed, what, value) for seed, value in found.items()]
    return comparison_rows(rows)


def of_theory(
    invariance: kinds.nld.INVARIANCE,
    stationary: kinds.nld.STATIONARY,
    operations: kinds.nld.OPERATIONS,
    *,
    moved: dict[str, list[str]],  # change → the runs of metrics that it is to make a difference for
) -> kinds.common.COMPARISON:
    """What the formulas promise, by run of each metric (claims 6 to 8).

    `scaled`, `shifted`: largest differences of logits, and `scaled over others`, `shifted over others`: as shares of
    the least difference of the metrics that are moved, of the same seed; `mean error`, `covariance error`: at the
    smallest step; `slope`: by how much the covariance error falls, as a power of the step, between the two smallest;
    `operations`: those of an update over those of back-propagation.
    """
    rows = []
    for (change, seed), one in invariance.frame().groupby(["change", "seed"], sort=False):
        differences = one.set_index("run")["difference"]
        others = differences[moved[change]].min()
        for run, difference in differences.items():
            rows += [(run, seed, change, difference), (run, seed, f"{change} over others", difference / others)]
    for (run, seed), one in stationary.frame().sort_values("step").groupby(["run", "seed"], sort=False):
        least, next_one = one.iloc[0], one.iloc[1]
        slope = np.log(next_one["covariance_error"] / least["covariance_error"]) / np.log(
            next_one["step"] / least["step"]
        )
        found = {"mean error": least["mean_error"], "covariance error": least["covariance_error"], "slope": slope}
        rows += [(run, seed, name, value) for name, value in found.items()]
    for each in operations.frame().itertuples(index=False):
        rows.append((each.run, each.seed, "operations", each.whole / each.plain))
    return comparison_rows(rows)


# ---- calibration ----------------------------------------------------------------------------------------------------


def reliability(classes: kinds.nld.CLASSES, chosen: kinds.nld.CHOSEN, *, bins: Count) -> kinds.nld.RELIABILITY:
    """How often test images are classified rightly, by how confident the prediction was, in `bins` of equal width."""
    rows = []
    for (method, seed, predictor), labels, probabilities in _each(classes, chosen, "test"):
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        number = np.minimum((confidence * bins).astype(int), bins - 1)
        for each in np.unique(number):
            inside = number == each
            rows.append((method, predictor, seed, each, confidence[inside].mean(), right[inside].mean(), inside.mean()))
    columns = zip(kinds.nld.RELIABILITY.columns, zip(*rows, strict=True), strict=True)
    return kinds.nld.RELIABILITY.table(**{column.name: np.array(values) for column, values in columns})


def of_calibration(
    classes: kinds.nld.CLASSES, chosen: kinds.nld.CHOSEN, reliability: kinds.nld.RELIABILITY
) -> kinds.common.COMPARISON:
    """Calibration, and whether doubt tells unfamiliar images from others; a quantity's name ends with the predictor.

    `calibration error`: mean |confidence - accuracy| over bins, weighted by their shares; `overconfidence`: the same
    with its sign; `detection`: area under the ROC curve of the predictive entropy, rotated against test images; and
    the mean `entropy` of each, in nats.
    """
    rows = []
    for key, one in reliability.frame().groupby(["method", "seed", "predictor"], sort=False):
        method, seed, predictor = key
        missed = one["confidence"] - one["accuracy"]
        rows.append((method, seed, f"calibration error {predictor}", (missed.abs() * one["share"]).sum()))
        rows.append((method, seed, f"overconfidence {predictor}", (missed * one["share"]).sum()))
    turned = {key: entropy(probabilities) for key, _, probabilities in _each(classes, chosen, "rotated")}
    for key, _, probabilities in _each(classes, chosen, "test"):
        method, seed, predictor = key
        upright = entropy(probabilities)
        unfamiliar = np.repeat([0, 1], [len(upright), len(turned[key])])
        detection = roc_auc_score(unfamiliar, np.concatenate([upright, turned[key]]))
        rows.append((method, seed, f"detection {predictor}", detection))
        rows.append((method, seed, f"entropy test {predictor}", upright.mean()))
        rows.append((method, seed, f"entropy rotated {predictor}", turned[key].mean()))
    return comparison_rows(rows)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """In nats, of distributions [n, classes]; 0 log 0 = 0."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logs).sum(axis=1)


def _each(classes: Table, chosen: Table, split: str):
    """((method, seed, predictor), labels [n], probabilities [n, classes]) of the chosen runs."""
    for run, method in chosen.frame().set_index("run")["method"].items():
        own = selection.select(classes, run=run, split=split)
        frame, probabilities = own.frame(), own.array("probabilities").astype(float)
        for (seed, predictor), index in frame.groupby(["seed", "predictor"], sort=False).indices.items():
            yield (method, seed, predictor), frame["label"].to_numpy()[index], probabilities[index]


# ---- agents ---------------------------------------------------------------------------------------------------------


def of_exploration(rollouts: kinds.paths.ROLLOUTS) -> kinds.common.COMPARISON:
    """What agents get in evaluation episodes: `return` in the end, `best return`, and their mean along learning.

    Quantities: `return`, `best return`, `mean return` (of snapshots behind the first) and `untrained return`.
    """
    frame = rollouts.where(directions=-1).frame()
    average = frame.groupby(["run", "seed", "update"], sort=False)["return"].mean().reset_index()
    rows = []
    for (run, seed), one in average.sort_values("update").groupby(["run", "seed"], sort=False):
        values = one["return"].to_numpy()
        found = {"return": values[-1], "best return": values.max(), "mean return": values[1:].mean()}
        rows += [(run, seed, name, value) for name, value in {**found, "untrained return": values[0]}.items()]
    return comparison_rows(rows)


def of_doubt(doubt: kinds.nld.DOUBT) -> kinds.common.COMPARISON:
    """Whether samples disagree where they have seldom been.

    `deviation`, `relative deviation` (over the mean value) and `dissent`: means over states; `rank correlation`: of
    how often the ball is at a place and how far the values there disagree.
    """
    rows = []
    for (run, seed), one in doubt.frame().groupby(["run", "seed"], sort=False):
        shares = one["visits"] / one["visits"].sum()
        found = {name: (shares * one[name]).sum() for name in ("deviation", "dissent")}
        found["relative deviation"] = found["deviation"] / abs((shares * one["value"]).sum())
        # three places or more: a correlation of fewer says nothing
        found["rank correlation"] = spearmanr(one["visits"], one["deviation"])[0] if len(one) > 2 else np.nan
        rows += [(run, seed, name, value) for name, value in found.items()]
    return comparison_rows(rows)
