"""What the formulas of natural Langevin dynamics promise, by run of each metric (arXiv 1712.01076)."""

import numpy as np

from agentomy import kinds
from agentomy.lenses.rows import table_of


def invariance(
    invariance: kinds.nld.INVARIANCE,
    *,
    felt_by: dict[str, list[str]],  # change → the runs of metrics that have to feel it
) -> kinds.nld.SENSITIVITY:
    """How far a change of the inputs moves outputs, beside the metrics that have to feel it (claim 6).

    Rounding grows with the logits, so that a difference is compared with the least one of those metrics, of the same
    seed.
    """
    rows = []
    for (change, seed), frame in invariance.frame().groupby(["change", "seed"], sort=False):
        differences = frame.set_index("run")["difference"]
        least = differences[felt_by[change]].min()
        rows += [(run, seed, change, difference, difference / least) for run, difference in differences.items()]
    return table_of(kinds.nld.SENSITIVITY, rows)


def stationary(stationary: kinds.nld.STATIONARY) -> kinds.nld.POSTERIOR_ERROR:
    """How near the exact posterior a sampler is at the smallest step, and how fast its error falls (claim 7)."""
    rows = []
    for key, frame in stationary.frame().sort_values("step").groupby(["run", "seed"], sort=False):
        errors, steps = frame["covariance_error"].to_numpy(), frame["step"].to_numpy()
        slope = np.log(errors[1] / errors[0]) / np.log(steps[1] / steps[0])
        rows.append((*key, frame["mean_error"].iloc[0], errors[0], slope))
    return table_of(kinds.nld.POSTERIOR_ERROR, rows)


def operations(operations: kinds.nld.OPERATIONS) -> kinds.nld.COST:
    """Floating-point operations of an update over those of back-propagation (claim 8)."""
    rows = [(row.run, row.seed, row.whole / row.plain) for row in operations.frame().itertuples()]
    return table_of(kinds.nld.COST, rows)
