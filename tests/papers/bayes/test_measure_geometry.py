"""Embeddings and components of points that were planted."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.lenses.principal import principal_axes
from agentomy.papers.bayes.measure import geometry
from agentomy.tables import Table
from tests.papers.bayes import bayes_tables


def distances(points):
    return np.linalg.norm(points[:, None] - points, axis=-1)


def test_points_of_a_plane_are_found_again_up_to_rotation(rng):
    points = rng.normal(size=(20, 2))
    start = np.arange(20) < 3
    embedded, stress = geometry.plane(distances(points), 4, start)
    np.testing.assert_allclose(distances(embedded), distances(points), atol=1e-4)
    assert stress < 1e-4
    np.testing.assert_allclose(embedded[4], 0, atol=1e-12)
    np.testing.assert_allclose(embedded[start].mean(axis=0)[1], 0, atol=1e-9)
    assert embedded[start].mean(axis=0)[0] > 0


def test_a_rotated_copy_gives_the_same_picture(rng):
    points = rng.normal(size=(12, 2))
    start = np.arange(12) == 0
    turned = points @ np.array([[0.6, -0.8], [-0.8, -0.6]])
    pictures = [geometry.plane(distances(places), 5, start)[0] for places in (points, turned)]
    np.testing.assert_allclose(*pictures, atol=1e-4)


def test_stress_tells_what_a_plane_cannot_show(rng):
    _, flat = geometry.plane(distances(rng.normal(size=(15, 2))), 0, np.arange(15) == 1)
    _, deep = geometry.plane(distances(rng.normal(size=(15, 6))), 0, np.arange(15) == 1)
    assert flat < 1e-3 < 0.1 < deep


def test_normals_of_equal_width_are_embedded_at_their_means(rng):
    """Two outputs of N(m, 1) in two dimensions of history: the root of the symmetric KL is then Euclidean."""
    centres = rng.normal(size=(6, 2))
    pieces = []
    for number, centre in enumerate(centres):
        agent = {"agent": "network", "seed": 0, "update": number} if number else {"agent": "bayes"}
        labels = {"run": "gauss", "family": "normal", "seed": -1, "update": -1, **agent, "episode": np.arange(2)}
        if number == 1:
            labels["update"] = 0
        predictive = np.stack([np.broadcast_to(centre[:, None], (2, 3)), np.ones((2, 3))], axis=-1)
        pieces.append({**labels, "predictive": predictive, "log_probability": np.zeros((2, 3))})
    predictions = bayes_tables.table(kinds.bayes.PREDICTIONS, *pieces)
    rows = geometry.embedding(predictions, tasks=["gauss"], snapshots=9, episodes=2).to_pandas()
    # mean over two episodes of (m - m')² / 2
    np.testing.assert_allclose(distances(rows[["x", "y"]].to_numpy()), distances(centres) / 2, atol=1e-3)
    assert rows["stress"].max() < 1e-3
    assert rows["agent"].tolist() == ["bayes"] + ["network"] * 5


def test_the_dissimilarity_is_that_of_a_plain_double_loop(rng):
    outputs = rng.dirichlet(np.ones(3), size=(4, 5, 6))
    dissimilarity = geometry.divergences("categorical", outputs)
    for i, first in enumerate(outputs):
        for j, second in enumerate(outputs):
            there, back = (
                (first * np.log(first / second)).sum(-1).mean(),
                (second * np.log(second / first)).sum(-1).mean(),
            )
            assert dissimilarity[i, j] == pytest.approx(np.sqrt((there + back) / 2))


def test_snapshots_are_thinned_evenly_and_keep_both_ends(rng):
    predictions = bayes_tables.predictions(bayes_tables.sequences(rng)[1])
    rows = geometry.embedding(predictions, tasks=["cat-3"], snapshots=3, episodes=10).to_pandas()
    assert sorted(rows.loc[rows["seed"] == 2, "update"]) == [0, 30, 1000]
    assert len(rows) == 1 + 3 * 3


def test_runs_end_nearer_to_the_bayes_agent_than_they_start(rng):
    predictions = bayes_tables.predictions(bayes_tables.sequences(rng)[1])
    rows = geometry.embedding(predictions, tasks=["cat-3"], snapshots=4, episodes=10).to_pandas()
    networks = rows[rows["agent"] == "network"]
    radius = np.hypot(networks["x"], networks["y"]).groupby(networks["update"]).mean()
    assert radius.iloc[-1] < 0.1 * radius.iloc[0]
    np.testing.assert_allclose(rows.loc[rows["agent"] == "bayes", ["x", "y"]], 0, atol=1e-12)


def test_the_same_tables_give_the_same_embedding(rng):
    play = bayes_tables.play(rng)
    given = {"tasks": ["bb-1-1"], "snapshots": 5, "policy": "sampled"}
    assert geometry.regret_embedding(play, **given).equals(geometry.regret_embedding(play, **given))


def test_an_unknown_task_is_named(rng):
    with pytest.raises(ValueError, match="no run 'cat-9'"):
        geometry.embedding(
            bayes_tables.predictions(bayes_tables.sequences(rng)[1]), tasks=["cat-9"], snapshots=2, episodes=5
        )


def test_principal_axes_are_those_of_a_planted_ellipsoid(rng):
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    points = rng.normal(size=(20000, 5)) * [5, 3, 1, 0.5, 0.1] @ basis.T + 7
    axes, centre, share = principal_axes(points)
    np.testing.assert_allclose(np.abs(axes.T @ basis[:, :2]), np.eye(2), atol=0.02)
    np.testing.assert_allclose(centre, 7, atol=0.1)
    assert share == pytest.approx((25 + 9) / (25 + 9 + 1 + 0.25 + 0.01), abs=0.01)


def test_perfect_maps_put_mapped_states_on_the_true_ones(rng):
    states, maps = bayes_tables.machines(rng, noise=0.0)
    rows = geometry.components(states, maps, tasks=["cat-3"]).to_pandas()
    panels = {name: part[["pc1", "pc2"]].to_numpy() for name, part in rows.groupby("panel")}
    np.testing.assert_allclose(panels["network"], panels["bayes→network"], atol=1e-5)
    np.testing.assert_allclose(panels["bayes"], panels["network→bayes"], atol=1e-5)
    assert len(rows) == 4 * 40 * bayes_tables.STEPS
    for space in ("network", "bayes"):
        true = states.array(space, bayes_tables.STEPS, -1)
        squares = np.linalg.svd(np.concatenate(true - true.mean(axis=(0, 1))), compute_uv=False) ** 2
        shares = rows.loc[
            rows["panel"].isin([space, f"{'bayes' if space == 'network' else 'network'}→{space}"]), "share"
        ]
        np.testing.assert_allclose(shares, squares[:2].sum() / squares.sum(), rtol=1e-5)


def test_trained_and_untrained_networks_have_components_and_an_overlap_each(rng):
    tables = [bayes_tables.machines(rng, noise=noise) for noise in (0.0, 0.5)]

    def both(trained, untrained):
        rows, column = untrained.arrow(), pa.array(["untrained"] * len(untrained))
        return Table(
            trained.kind, rows=[trained.arrow(), rows.set_column(rows.schema.names.index("agent"), "agent", column)]
        )

    states, maps = (both(*pair) for pair in zip(*tables, strict=True))
    components = Table(kinds.bayes.COMPONENTS, rows=geometry.components(states, maps, tasks=["cat-3"]))
    overlap = geometry.overlap(components).to_pandas().set_index(["agent", "space"])["overlap"]
    for space in ("network", "bayes"):
        assert overlap["trained", space] == pytest.approx(1)
        assert 0.5 < overlap["untrained", space] < 0.97
    with pytest.raises(ValueError, match="no network of cat-9"):
        geometry.components(states, maps, tasks=["cat-9"])
    with pytest.raises(ValueError, match="no mlp map B→R of run 'cat-3', untrained, seed 0"):
        geometry.components(states, tables[0][1], tasks=["cat-3"])


def test_overlap_is_one_minus_the_missed_variance(rng):
    true = rng.normal(size=(500, 2))
    pieces = []
    for panel, shift in (("network", 0), ("bayes→network", 0.1), ("bayes", 0), ("network→bayes", 0)):
        points = true + shift * np.sqrt(true.var())
        labels = {"run": "cat-3", "agent": "trained", "seed": 0, "panel": panel, "episode": np.arange(500), "t": 1}
        places = {"pc1": points[:, 0], "pc2": points[:, 1], "share": 1.0, "output": np.zeros((500, 1))}
        pieces.append({**labels, **places})
    rows = geometry.overlap(bayes_tables.table(kinds.bayes.COMPONENTS, *pieces)).to_pandas().set_index("space")
    assert rows["overlap"].to_dict() == pytest.approx({"network": 0.99, "bayes": 1}, abs=1e-3)


def test_components_refuse_maps_of_other_episodes(rng):
    states, _ = bayes_tables.machines(rng)
    _, maps = bayes_tables.machines(rng)
    with pytest.raises(ValueError, match="not of the same episodes"):
        geometry.components(states, maps, tasks=["cat-3"])


def test_bandit_agents_are_as_far_apart_as_their_regrets_so_far_are_on_average():
    """Arms of means 0.8 and 0.3; agents differ in the step from which on they pull the better one: all on a line."""
    steps, pieces = 6, []
    for number, begun in enumerate((0, 2, 5)):
        agent = {"agent": "gittins"} if number == 0 else {"agent": "network", "seed": 0, "update": number - 1}
        actions = np.tile(np.arange(steps) < begun, (3, 1)).astype(int)
        unused = dict.fromkeys(("rewards", "probability", "q_difference", "index"), np.zeros((3, steps)))
        what = {"episode": np.arange(3), "means": np.tile([0.8, 0.3], (3, 1)), "actions": actions}
        row = {"run": "b", "seed": -1, "update": -1, **unused, **agent, **what}
        if agent["agent"] == "network":  # sampled actions come first, and are not asked for
            pieces.append({**row, "policy": "sampled", "actions": 1 - actions})
        pieces.append({**row, "policy": "argmax"})
    rows = geometry.regret_embedding(
        bayes_tables.table(kinds.bayes.PLAY, *pieces), tasks=["b"], snapshots=9, policy="argmax"
    ).to_pandas()
    regrets = np.array([[0.5 * min(t, begun) for t in range(1, steps + 1)] for begun in (0, 2, 5)])
    wanted = [[np.mean(np.abs(first - second)) for second in regrets] for first in regrets]
    np.testing.assert_allclose(distances(rows[["x", "y"]].to_numpy()), wanted, atol=1e-3)
