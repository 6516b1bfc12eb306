"""Comparisons between runs of the same seeds, and whether agents learned at all."""

from agentomy import kinds
from agentomy.metrics.path_change import by_quantity


def of_learning(rollouts: kinds.ROLLOUTS) -> kinds.COMPARISON:
    """`learned`: the best average return along learning less that of the untrained network."""
    frame = rollouts.where(directions=-1).frame()
    average = frame.groupby(["run", "seed", "update"], sort=False)["return"].mean()
    rows = []
    for (run, seed), values in average.groupby(["run", "seed"], sort=False):
        by_update = values.droplevel(["run", "seed"])
        rows.append((run, seed, "learned", by_update.max() - by_update[0]))
    return by_quantity(rows)


def differences(
    values: kinds.COMPARISON, *, pairs: dict[str, str | list[str]], quantities: list[str]
) -> kinds.COMPARISON:
    """What runs have more of than others: `pairs` is run → other; runs become `RUN - OTHER`, of the seeds both have."""
    frame = values.frame().set_index(["run", "quantity", "seed"])["value"].sort_index()
    rows = []
    for run, others in pairs.items():
        for other in others if isinstance(others, list) else [others]:
            for quantity in quantities:
                missing = [each for each in (run, other) if (each, quantity) not in frame.index]
                if missing:
                    raise ValueError(f"comparison: run '{missing[0]}' has no '{quantity}'")
                found = (frame[run, quantity] - frame[other, quantity]).dropna()
                rows += [(f"{run} - {other}", seed, quantity, value) for seed, value in found.items()]
    return by_quantity(rows)
