"""Comparisons between runs of the same seeds or with a control, and whether agents learned at all."""

from typing import Literal

from agentomy import kinds
from agentomy.lenses.rows import comparison_rows

# control → what may stand in its place in the name of the quantity that it stands beside
BESIDE = {"untrained": (" trained", ""), "random": (" learned",)}


def of_learning(rollouts: kinds.paths.ROLLOUTS) -> kinds.common.COMPARISON:
    """How much more a run returns than its untrained network, on average over episodes.

    `learned`: the best snapshot; `late`: the mean over the later half of the snapshots. Of networks that do not change
    the best one is above the first by luck, the mean is not.
    """
    frame = rollouts.where(directions=-1).frame()
    average = frame.groupby(["run", "seed", "update"], sort=False)["return"].mean()
    rows = []
    for (run, seed), values in average.groupby(["run", "seed"], sort=False):
        by_update = values.droplevel(["run", "seed"])
        rows.append((run, seed, "learned", by_update.max() - by_update[0]))
        rows.append((run, seed, "late", by_update.sort_index().iloc[len(by_update) // 2 :].mean() - by_update[0]))
    return comparison_rows(rows)


def differences(
    values: kinds.common.COMPARISON, *, pairs: dict[str, str | list[str]], quantities: list[str]
) -> kinds.common.COMPARISON:
    """What runs have more of than others: `pairs` is run → other; runs become `RUN - OTHER`, of the seeds both have.

    Only these `quantities` are compared.
    """
    frame = values.frame().set_index(["run", "quantity", "seed"])["value"].sort_index()
    rows = []
    for run, others in pairs.items():
        for other in others if isinstance(others, list) else [others]:
            for quantity in quantities:
                missing = [each for each in (run, other) if (each, quantity) not in frame.index]
                if missing:
                    raise ValueError(f"comparison: run '{missing[0]}' has no '{quantity}'")
                one, two = frame[run, quantity].align(frame[other, quantity], join="inner")
                if one.empty:
                    raise ValueError(f"comparison: '{run}' and '{other}' have no seed in common with a '{quantity}'")
                rows += [(f"{run} - {other}", seed, quantity, value) for seed, value in (one - two).items()]
    return comparison_rows(rows)


def beside_control(
    values: kinds.common.COMPARISON, *, control: Literal["untrained", "random"] = "untrained"
) -> kinds.common.COMPARISON:
    """What networks have more of than their `control` of the same run and seed; a quantity keeps its name.

    Untrained networks stand beside trained ones (`NAME untrained` beside `NAME trained` or `NAME`), random directions
    beside learned ones (`NAME random` beside `NAME learned`). Other quantities are left out.
    """
    found = {(run, seed, name): value for run, seed, name, value in values.frame().itertuples(index=False)}
    rows = []
    for (run, seed, name), other in found.items():
        names = [name.replace(f" {control}", each) for each in BESIDE[control] if f" {control}" in name]
        rows += [(run, seed, each, found[run, seed, each] - other) for each in names if (run, seed, each) in found]
    if not rows:
        raise ValueError(f"comparison: no quantity with '{control}' in its name beside one of the same name")
    return comparison_rows(rows)
