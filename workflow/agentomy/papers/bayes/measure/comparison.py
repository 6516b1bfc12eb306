"""The quantities that the claims of section 2 are judged on: one value per task and training seed."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.rows import ALL_TASKS, Row


def of_predictors(distance: kinds.bayes.DISTANCE) -> kinds.common.COMPARISON:
    """Final distance to the Bayes-optimal predictor and how it came about (claims C1, C3, C8).

    `final`, `worst step` and `excess` are in nats per step; `untrained ratio` is the untrained distance over the final
    one, and `remaining` the inverse; `trend` is the relative change over the last third of training, and `trend in
    noise` the same in standard errors.
    """
    rows: list[Row] = []
    for (run, seed), frame in distance.frame().groupby(["run", "seed"], sort=False):
        last = frame[frame["update"] == frame["update"].max()]
        found = _course(frame.groupby("update")["kl"].mean())
        found |= {"worst step": last["kl"].max(), "excess": last["excess"].mean()}
        rows += [(run, seed, name, value) for name, value in found.items()]
    return _table(rows)


def of_bandits(gap: kinds.bayes.GAP, optimum: kinds.bayes.OPTIMUM) -> kinds.common.COMPARISON:
    """Return lost against the exact optimum and how that came about, for both policies (claims C2, C3, C8).

    A quantity's name ends with the policy. `relative gap` is a share of the optimal return; `ratio to thompson` and
    such compare the return lost with that agent's; `regret above gittins` (reward per episode) is the paper's
    measure, with its sampling noise; `agreement` is the share of pulls a Gittins agent could have made. For the
    reference agents (seed -1) the relative gap is given.
    """
    optimal = optimum.where(quantity="optimal return").frame().set_index("run")["value"]
    rows: list[Row] = []
    for run, frame in gap.frame().groupby("run", sort=False):
        references = frame[frame["agent"] != "network"].groupby("agent", sort=False)
        lost, regret = references["gap"].sum(), references["regret"].sum()
        rows += [(run, -1, f"relative gap of {agent}", value / optimal[run]) for agent, value in lost.items()]
        networks = frame[frame["agent"] == "network"]
        for (policy, seed), curve in networks.groupby(["policy", "seed"], sort=False):
            last = curve[curve["update"] == curve["update"].max()]
            found = _course(curve.groupby("update")["gap"].sum())
            found["relative gap"] = found["final"] / optimal[run]
            found |= {f"ratio to {agent}": found["final"] / lost[agent] for agent in ("thompson", "greedy")}
            found["regret above gittins"] = last["regret"].sum() - regret["gittins"]
            found["agreement"] = last["agreement"].mean()
            rows += [(run, seed, f"{name} {policy}", value) for name, value in found.items()]
    return _table(rows)


def _course(curve: pd.Series) -> dict[str, float]:
    """A distance along training, indexed by update.

    - `untrained`, `final`: its first and last value, and `untrained ratio`, `remaining`: their quotients;
    - `trend`: relative change of the distance over the last third of training (see `trend`; below 0 it still falls),
      and `trend in noise`: the same in units of its standard error (a t statistic).
    """
    updates, values = curve.index.to_numpy(), curve.to_numpy()
    change, error = trend(updates, values)
    return {
        "untrained": values[0],
        "final": values[-1],
        "untrained ratio": values[0] / values[-1] if values[-1] > 0 else np.inf,
        "remaining": values[-1] / values[0],
        "trend": change,
        "trend in noise": change / error if error > 0 else np.nan,
    }


def trend(updates: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Relative change of the values over the last third of the updates, by a straight line, and its standard error.

    Both are shares of the mean value there. NaN with fewer than three points (a line through two has no noise).
    """
    late = 3 * updates >= 2 * updates.max()
    count = late.sum()
    if count < 3:
        return np.nan, np.nan
    x, y = updates[late] - updates[late].mean(), values[late] - values[late].mean()
    slope = (x @ y) / (x @ x)
    residual = y - slope * x
    error = np.sqrt((residual @ residual) / (count - 2) / (x @ x))
    third, level = updates.max() / 3, values[late].mean()
    return slope * third / level, error * third / level


def of_acquisition(acquisition: kinds.bayes.ACQUISITION) -> kinds.common.COMPARISON:
    """Whether the steps of an episode are learned at different times (claim C4).

    `acquisition spread`: decades of training between the first and the last step to be learned (0 if all come
    together); `acquisition order`: rank correlation of the step with when it is learned (positive if early steps come
    first, 0 if all come together); `steps learned`: share of those that needed learning.
    """
    rows: list[Row] = []
    for (run, seed), frame in acquisition.frame().groupby(["run", "seed"], sort=False):
        needed = frame[frame["update"] != 0]
        learned = needed.dropna(subset="update")
        updates = learned["update"].to_numpy()
        spread = np.log10(updates.max() / updates.min()) if len(updates) else np.nan
        order = 0.0
        if len(set(updates)) > 1:
            order = learned[["t", "update"]].rank().corr().to_numpy()[0, 1]
        rows.append((run, seed, "acquisition spread", spread))
        rows.append((run, seed, "acquisition order", order if len(updates) else np.nan))
        rows.append((run, seed, "steps learned", len(learned) / len(needed) if len(needed) else np.nan))
    return _table(rows)


def of_simulations(simulation: kinds.bayes.SIMULATION) -> kinds.common.COMPARISON:
    """How much better a trained network and the Bayes-optimal agent map onto each other (claims C5, C6).

    Taken are mlp maps, on inputs from the prior or, in bandits, from the Gittins agent's pulls.

    - `output ratio`, `state ratio`, each with its direction: untrained over trained, of Do and of normalised Ds, with
      the same initialisation;
    - `explained`: share of the target's variance that the map explains, 1 - normalised Ds, of trained networks;
    - `reverse state ratio`, `reverse output ratio`: B→R over R→B, of normalised Ds and of Do, of trained networks;
    - for all tasks together, by the seeds that all of them have, `reverse state worse`, `reverse output worse`: the
      share of tasks where that is above 1, and geometric means over tasks: `state ratio R→B over tasks` and `reverse
      state ratio, trained over untrained, over tasks`.
    """
    chosen = {"map": "mlp", "drive": ["prior", "gittins"], "condition": ["trained", "untrained"]}
    frame = simulation.where(**chosen).frame()
    frame = frame.rename(columns={"state_error_normalised": "state", "output_error": "output"})
    errors = frame.pivot(index=["run", "seed"], columns=["direction", "condition"], values=["state", "output"])
    tasks = {name: number for number, name in enumerate(frame["run"].unique())}
    errors = errors.sort_index(key=lambda level: level.map(tasks) if level.name == "run" else level)
    found = {}
    for direction in ("R→B", "B→R"):
        for name in ("output", "state"):
            found[f"{name} ratio {direction}"] = (
                errors[name, direction, "untrained"] / errors[name, direction, "trained"]
            )
        found[f"explained {direction}"] = 1 - errors["state", direction, "trained"]
    for name in ("state", "output"):
        found[f"reverse {name} ratio"] = errors[name, "B→R", "trained"] / errors[name, "R→B", "trained"]
    rows: list[Row] = [(*key, name, value) for name, values in found.items() for key, value in values.items()]
    shared = errors.groupby("seed").size() == len(tasks)
    found = {name: values[shared[values.index.get_level_values("seed")].to_numpy()] for name, values in found.items()}
    for name in ("state", "output"):
        shares = (found[f"reverse {name} ratio"] > 1).groupby("seed").mean()
        rows += [(ALL_TASKS, seed, f"reverse {name} worse", share) for seed, share in shares.items()]
    ratios = {
        "state ratio R→B over tasks": found["state ratio R→B"],
        # B→R over R→B of trained networks, over the same of untrained ones
        "reverse state ratio, trained over untrained, over tasks": found["state ratio R→B"] / found["state ratio B→R"],
    }
    for name, values in ratios.items():
        means = np.exp(np.log(values).groupby("seed").mean())
        rows += [(ALL_TASKS, seed, name, value) for seed, value in means.items()]
    return _table(rows)


def of_geometry(components: kinds.bayes.COMPONENTS, untrained: kinds.bayes.COMPONENTS) -> kinds.common.COMPARISON:
    """How far mapped states lie on the true ones in the plane of the two leading components (claim C7).

    `overlap in network space` and `overlap in bayes space`: 1 - Σ|mapped - true|² / Σ|true - mean|²; and the same of
    untrained networks, with that word behind.
    """
    rows: list[Row] = []
    for table, ending in ((components, ""), (untrained, " untrained")):
        for (run, seed), frame in table.frame().groupby(["run", "seed"], sort=False):
            panels = {name: part.sort_values(["episode", "t"]) for name, part in frame.groupby("panel")}
            for space, mapped in (("network", "bayes→network"), ("bayes", "network→bayes")):
                true, image = (panels[name][["pc1", "pc2"]].to_numpy() for name in (space, mapped))
                missed = ((image - true) ** 2).sum() / ((true - true.mean(axis=0)) ** 2).sum()
                rows.append((run, seed, f"overlap in {space} space{ending}", 1 - missed))
    return _table(rows)


def _table(rows: list[Row]) -> pa.Table:
    run, seed, quantity, value = (np.array(column) for column in zip(*rows, strict=True))
    return kinds.common.COMPARISON.table(run=run, seed=seed, quantity=quantity, value=value.astype(float))
