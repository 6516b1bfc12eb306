"""Pictures of agents and of their states: multidimensional scaling and principal components, all deterministic."""

from typing import Literal

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import iter_groups
from agentomy.lenses.principal import principal_axes
from agentomy.lenses.rows import UNTRAINED, table_of
from agentomy.papers.bayes.measure.divergence import kl
from agentomy.papers.bayes.measure.optimality import regret
from agentomy.tables import Table
from agentomy.values import Count

# An agent of an embedding: its name, seed and update.
Agent = tuple[str, int, int]
AGENTS = kinds.common.AGENT.values


def embedding(
    predictions: kinds.bayes.PREDICTIONS, *, tasks: list[str], snapshots: Count, episodes: Count
) -> kinds.bayes.EMBEDDING:
    """Snapshots of predictors and the Bayes-optimal one in the plane (section 6.5).

    The dissimilarity is the square root of the mean symmetric KL over the first `episodes` episodes: between near
    predictors a KL grows with the square of their distance, so its root is what a plane can show. `snapshots` is how
    many of each run are taken, from the untrained network to the last.
    """
    embeddings = []
    for task in tasks:
        chosen = _chosen(predictions, task, snapshots)
        by = ("run", "family", "agent", "seed", "update")
        outputs: dict[Agent, np.ndarray] = {}
        for (run, family, *agent), rows in iter_groups(predictions, by, ("predictive", "log_probability")):
            if run == task and tuple(agent) in chosen and tuple(agent) not in outputs:
                of_task, steps = family, rows.array("log_probability").shape[1]
                outputs[tuple(agent)] = rows.array("predictive", steps, -1)[:episodes].astype(float)
        embeddings.append(_embedded(task, divergences(of_task, np.stack(list(outputs.values()))), list(outputs)))
    return pa.concat_tables(embeddings)


def divergences(family: str, outputs: np.ndarray) -> np.ndarray:
    """Root of the mean symmetric KL between all pairs [A, A], from predictive vectors [A, E, T, outputs]."""
    above = np.zeros((len(outputs), len(outputs)))  # the diagonal
    for i in range(len(outputs) - 1):
        first, rest = outputs[i], outputs[i + 1 :]
        symmetric = 0.5 * (kl(family, first, rest) + kl(family, rest, first)).mean(axis=(1, 2))
        above[i, i + 1 :] = np.sqrt(np.maximum(symmetric, 0))  # rounding of stored outputs can leave -1e-9
    return above + above.T


def regret_embedding(
    play: kinds.bayes.PLAY, *, tasks: list[str], snapshots: Count, policy: Literal["sampled", "argmax"]
) -> kinds.bayes.EMBEDDING:
    """Snapshots of bandit agents, which play one `policy`, and the Gittins agent in the plane (section 6.5).

    The dissimilarity is the absolute difference of cumulative regret, mean over the steps of an episode. All agents
    meet the same arms and rewards. `snapshots` is how many of each run are taken.
    """
    embeddings = []
    for task in tasks:
        chosen = _chosen(play, task, snapshots) | {("gittins", -1, -1)}
        regrets: dict[Agent, np.ndarray] = {}
        by = ("run", "policy", "agent", "seed", "update")
        for (run, played, *agent), rows in iter_groups(play, by, ("means", "actions")):
            wanted = agent[0] == "gittins" or played == policy
            if run == task and wanted and tuple(agent) in chosen and tuple(agent) not in regrets:
                regrets[tuple(agent)] = regret(rows.array("means"), rows.array("actions"))
        curves = np.array([by_step.mean(axis=0).cumsum() for by_step in regrets.values()])
        dissimilarity = np.abs(curves[:, None] - curves).mean(axis=2)
        embeddings.append(_embedded(task, dissimilarity, list(regrets)))
    return pa.concat_tables(embeddings)


def _chosen(table: Table, task: str, count: int) -> set[Agent]:
    """The Bayes-optimal agent and, for each seed, `count` evenly thinned snapshots, with the first and the last."""
    seen = {tuple(key[1:]) for key, _ in iter_groups(table, ("run", "agent", "seed", "update")) if key[0] == task}
    if not seen:
        raise ValueError(f"{table.kind.name}: no run '{task}'")
    updates = np.array(sorted({update for agent, _, update in seen if agent == "network"}))
    kept = set(updates[np.unique(np.linspace(0, len(updates) - 1, count).round().astype(int))])
    return {
        (agent, seed, update)
        for agent, seed, update in seen
        if agent == "bayes" or (agent == "network" and update in kept)
    }


def _embedded(run: str, dissimilarity: np.ndarray, agents: list[Agent]) -> pa.Table:
    names, seeds, updates = (np.array(column) for column in zip(*agents, strict=True))
    network = names == "network"
    points, stress = plane(dissimilarity, int(np.flatnonzero(~network)[0]), network & (updates == UNTRAINED))
    return kinds.bayes.EMBEDDING.table(
        run=run,
        agent=np.where(network, "network", "bayes"),
        seed=seeds,
        update=updates,
        x=points[:, 0],
        y=points[:, 1],
        stress=stress,
    )


def plane(dissimilarity: np.ndarray, centre: int, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Metric multidimensional scaling of dissimilarities [A, A] into the plane: points [A, 2] and stress.

    It starts from classical scaling. The dissimilarities leave shifts, turns and reflections open. So the agent
    `centre` is the origin, the points flagged in `start` lie to its right on average, and the point that is farthest
    from the horizontal lies above it. The stress is Kruskal's: the root of Σ (distance - dissimilarity)² / Σ distance².
    """
    from sklearn.manifold import MDS

    scaling = MDS(metric="precomputed", init="classical_mds", n_init=1, max_iter=3000, eps=1e-9, random_state=0)
    points = scaling.fit_transform(dissimilarity)
    points = points - points[centre]
    towards = points[start].mean(axis=0)
    cosine, sine = towards / np.hypot(*towards)
    points = points @ np.array([[cosine, -sine], [sine, cosine]])
    points[:, 1] *= np.sign(points[np.abs(points[:, 1]).argmax(), 1])
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    return points, float(np.sqrt(((distance - dissimilarity) ** 2).sum() / (distance**2).sum()))


def components(states: kinds.bayes.STATES, maps: kinds.bayes.MAPS, *, tasks: list[str]) -> kinds.bayes.COMPONENTS:
    """Leading principal components of networks' states and of sufficient statistics (section 6.4).

    The components of a space are those of the true states of all episodes and steps; each network and seed has its
    own. The states that the mlp map brings there from the other machine have coordinates along the same components.
    Every state carries the output that is read from it. The maps have to be those whose states were kept, on the
    episodes of `states`.
    """
    mapped = {}
    by = ("run", "agent", "seed", "map", "direction")
    columns = ("episode", "state", "output", "mapped_output", "q_difference")
    for (run, agent, seed, name, direction), rows in iter_groups(maps, by, columns):
        if run in tasks and agent in AGENTS and name == "mlp":
            mapped[run, agent, seed, direction] = rows
    panels = []
    for key, rows in iter_groups(states, by[:3], ("episode", "network", "bayes", "output", "optimum")):
        run, agent, seed = key
        if run in tasks and agent in AGENTS:
            for space, direction in (("network", "B→R"), ("bayes", "R→B")):
                if (*key, direction) not in mapped:
                    raise ValueError(f"components: no mlp map {direction} of run '{run}', {agent}, seed {seed}")
                panels += _panels(key, space, rows, mapped[*key, direction])
    if not panels:
        raise ValueError(f"components: no network of {', '.join(tasks)} among the states")
    return pa.concat_tables(panels)


def _panels(key: tuple[str, str, int], space: str, true: Table, mapped: Table) -> list[pa.Table]:
    """The two panels of a space, for a run, agent and seed: its true states, and those mapped into it."""
    run, agent, seed = key
    steps = mapped.array("q_difference").shape[1]
    at = {episode: row for row, episode in enumerate(true.values("episode"))}
    rows = [at.get(episode, -1) for episode in mapped.values("episode")]
    source = "bayes" if space == "network" else "network"
    outputs = {"network": true.array("output", steps, -1), "bayes": true.array("optimum", steps, -1)}
    if -1 in rows or not np.allclose(outputs[source][rows], mapped.array("output", steps, -1), atol=1e-4):
        raise ValueError(f"components: run '{run}': states and maps are not of the same episodes")
    states, images = true.array(space, steps, -1)[rows], mapped.array("state", steps, -1)
    if images.shape[-1] != states.shape[-1]:
        raise ValueError(f"components: run '{run}': the mapped states were not kept")
    axes, centre, share = principal_axes(states.reshape(-1, states.shape[-1]))
    panels = {
        space: (states, outputs[space][rows]),
        f"{source}→{space}": (images, mapped.array("mapped_output", steps, -1)),
    }
    tables = []
    for panel, (points, output) in panels.items():
        coordinates = (points.reshape(-1, points.shape[-1]) - centre) @ axes
        tables.append(
            kinds.bayes.COMPONENTS.table(
                run=run,
                agent=agent,
                seed=seed,
                panel=panel,
                episode=np.repeat(mapped.values("episode"), steps),
                t=np.tile(np.arange(1, steps + 1), len(rows)),
                pc1=coordinates[:, 0],
                pc2=coordinates[:, 1],
                share=share,
                output=output.reshape(-1, output.shape[-1]),
            )
        )
    return tables


def overlap(components: kinds.bayes.COMPONENTS) -> kinds.bayes.OVERLAP:
    """How far mapped states lie on the true ones in the plane of the two leading components (claim C7)."""
    rows = []
    for key, frame in components.frame().groupby(["run", "agent", "seed"], sort=False):
        panels = {name: part.sort_values(["episode", "t"]) for name, part in frame.groupby("panel")}
        for space, mapped in (("network", "bayes→network"), ("bayes", "network→bayes")):
            true, image = (panels[name][["pc1", "pc2"]].to_numpy() for name in (space, mapped))
            missed = ((image - true) ** 2).sum() / ((true - true.mean(axis=0)) ** 2).sum()
            rows.append((*key, space, 1 - missed))
    return table_of(kinds.bayes.OVERLAP, rows)
