"""Which step each method is given, and how well its networks then predict (arXiv 1712.01076)."""

from agentomy import kinds, selection
from agentomy.lenses.rows import table_of, untrained_and_trained


def chosen(
    predictive: kinds.nld.PREDICTIVE, *, methods: dict[str, list[str]], predictors: dict[str, str]
) -> kinds.nld.CHOSEN:
    """The run of each method with the least validation loss in the end, mean over seeds; test images are not looked at.

    `methods` is method → its runs, one a step size; `predictors` is method → the predictor that counts.
    """
    frame = untrained_and_trained(predictive.where(split="validation").frame())
    trained = frame[frame["agent"] == "trained"]
    rows = []
    for method, runs in methods.items():
        tried = trained[trained["run"].isin(runs) & (trained["predictor"] == predictors[method])]
        missing = set(runs) - set(tried["run"])
        if missing:
            raise ValueError(
                f"chosen: method '{method}': no run '{min(missing)}' with the predictor '{predictors[method]}'"
            )
        means = tried.groupby("run").agg({"nll": "mean", "step": "first", "epsilon": "first"})
        run = means["nll"].idxmin()
        nll, step, epsilon = means.loc[run]
        inner = means["step"].min() < step < means["step"].max()
        rows.append((method, run, step, epsilon, predictors[method], nll, inner))
    return table_of(kinds.nld.CHOSEN, rows)


def of_runs(predictive: kinds.nld.PREDICTIVE) -> kinds.nld.ENDS:
    """Loss and accuracy of every run, before learning and in the end."""
    frame = untrained_and_trained(predictive.frame())
    return kinds.nld.ENDS.table(**{column.name: frame[column.name].to_numpy() for column in kinds.nld.ENDS.columns})


def of_methods(ends: kinds.nld.ENDS, chosen: kinds.nld.CHOSEN) -> kinds.nld.PREDICTED:
    """Loss and accuracy of each method with the step that was chosen for it, before learning and in the end."""
    methods = chosen.frame().set_index("run")["method"]
    frame = selection.select(ends, run=[*methods.index]).frame()
    frame = frame.assign(method=frame["run"].map(methods))
    columns = kinds.nld.PREDICTED.columns
    return kinds.nld.PREDICTED.table(**{column.name: frame[column.name].to_numpy() for column in columns})
