"""Embeddings and components of points that were planted."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.lenses.principal import principal_axes
from agentomy.papers.bayes.measure import comparison, geometry
from agentomy.tables import Table
from tests.papers.bayes import bayes_tables


def distances(points):
    return np.linalg.norm(points[:, None] - points, axis=-1)


def test_points_of_a_plane_are_found_again_up_to_rotation(rng):
    points = rng.normal(size=(20, 2))
    start = np.arange(20) < 3
    found, stress = geometry.plane(distances(points), 4, start)
    np.testing.assert_allclose(distances(found), distances(points), atol=1e-4)
    assert stress < 1e-4
    np.testing.assert_allclose(found[4], 0, atol=1e-12)
    np.testing.assert_allclose(found[start].mean(axis=0)[1], 0, atol=1e-9)
    assert found[start].mean(axis=0)[0] > 0


def test_a_rotated_copy_gives_the_same_picture(rng):
    points = rng.normal(size=(12, 2))
    start = np.arange(12) == 0
    turned = points @ np.array([[0.6, -0.8], [-0.8, -0.6]])
    found = [geometry.plane(distances(each), 5, start)[0] for each in (points, turned)]
    np.testing.assert_allclose(*found, atol=1e-4)


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
        who = {"run": "gauss", "family": "normal", "seed": -1, "update": -1, **agent, "episode": np.arange(2)}
        if number == 1:
            who["update"] = 0
        predictive = np.stack([np.broadcast_to(centre[:, None], (2, 3)), np.ones((2, 3))], axis=-1)
        pieces.append({**who, "predictive": predictive, "log_probability": np.zeros((2, 3))})
    predictions = bayes_tables.table(kinds.bayes.PREDICTIONS, *pieces)
    found = geometry.embedding(predictions, tasks=["gauss"], snapshots=9, episodes=2).to_pandas()
    # mean over two episodes of (m - m')² / 2
    np.testing.assert_allclose(distances(found[["x", "y"]].to_numpy()), distances(centres) / 2, atol=1e-3)
    assert found["stress"].max() < 1e-3
    assert found["agent"].tolist() == ["bayes"] + ["network"] * 5


def test_the_dissimilarity_is_that_of_a_plain_double_loop(rng):
    outputs = rng.dirichlet(np.ones(3), size=(4, 5, 6))
    found = geometry.divergences("categorical", outputs)
    for i, one in enumerate(outputs):
        for j, other in enumerate(outputs):
            there, back = (one * np.log(one / other)).sum(-1).mean(), (other * np.log(other / one)).sum(-1).mean()
            assert found[i, j] == pytest.approx(np.sqrt((there + back) / 2))


def test_snapshots_are_thinned_evenly_and_keep_both_ends(rng):
    predictions = bayes_tables.predictions(bayes_tables.sequences(rng)[1])
    found = geometry.embedding(predictions, tasks=["cat-3"], snapshots=3, episodes=10).to_pandas()
    assert sorted(found.loc[found["seed"] == 2, "update"]) == [0, 30, 1000]
    assert len(found) == 1 + 3 * 3


def test_runs_end_nearer_to_the_bayes_agent_than_they_start(rng):
    predictions = bayes_tables.predictions(bayes_tables.sequences(rng)[1])
    found = geometry.embedding(predictions, tasks=["cat-3"], snapshots=4, episodes=10).to_pandas()
    networks = found[found["agent"] == "network"]
    radius = np.hypot(networks["x"], networks["y"]).groupby(networks["update"]).mean()
    assert radius.iloc[-1] < 0.1 * radius.iloc[0]
    np.testing.assert_allclose(found.loc[found["agent"] == "bayes", ["x", "y"]], 0, atol=1e-12)


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
    found = geometry.components(states, maps, tasks=["cat-3"]).to_pandas()
    panels = {name: part[["pc1", "pc2"]].to_numpy() for name, part in found.groupby("panel")}
    np.testing.assert_allclose(panels["network"], panels["bayes→network"], atol=1e-5)
    np.testing.assert_allclose(panels["bayes"], panels["network→bayes"], atol=1e-5)
    assert len(found) == 4 * 40 * bayes_tables.STEPS
    for space in ("network", "bayes"):
        true = states.array(space, bayes_tables.STEPS, -1)
        squares = np.linalg.svd(np.concatenate(true - true.mean(axis=(0, 1))), compute_uv=False) ** 2
        shares = found.loc[
            found["panel"].isin([space, f"{'bayes' if space == 'network' else 'network'}→{space}"]), "share"
        ]
        np.testing.assert_allclose(shares, squares[:2].sum() / squares.sum(), rtol=1e-5)


def test_components_are_those_of_the_condition_asked_for(rng):
    (trained, good), (control, bad) = (bayes_tables.machines(rng, noise=noise) for noise in (0.0, 0.5))

    def both(one, other):
        column = pa.array(["untrained"] * len(other.arrow()))
        place = other.arrow().column_names.index("condition")
        return Table(one.kind, rows=[one.arrow(), other.arrow().set_column(place, "condition", column)])

    tables = both(trained, control), both(good, bad)
    found = [
        Table(kinds.bayes.COMPONENTS, rows=geometry.components(*tables, tasks=["cat-3"], condition=condition))
        for condition in ("trained", "untrained")
    ]
    overlap = comparison.of_geometry(*found).to_pandas().set_index("quantity")["value"]
    for space in ("network", "bayes"):
        assert overlap[f"overlap in {space} space"] == pytest.approx(1)
        assert 0.5 < overlap[f"overlap in {space} space untrained"] < 0.97
    with pytest.raises(ValueError, match="no untrained network of cat-3"):
        geometry.components(trained, good, tasks=["cat-3"], condition="untrained")


def test_components_refuse_maps_of_other_episodes(rng):
    states, _ = bayes_tables.machines(rng)
    _, maps = bayes_tables.machines(rng)
    with pytest.raises(ValueError, match="not of the same episodes"):
        geometry.components(states, maps, tasks=["cat-3"])


def test_bandit_agents_are_as_far_apart_as_their_regrets_so_far_are_on_average():
    """Arms of means 0.8 and 0.3; agents differ in the step from which on they pull the better one: all on a line."""
    steps, pieces = 6, []
    for number, begun in enumerate((0, 2, 5)):
        who = {"agent": "gittins"} if number == 0 else {"agent": "network", "seed": 0, "update": number - 1}
        actions = np.tile(np.arange(steps) < begun, (3, 1)).astype(int)
        unused = dict.fromkeys(("rewards", "probability", "q_difference", "index"), np.zeros((3, steps)))
        what = {"episode": np.arange(3), "means": np.tile([0.8, 0.3], (3, 1)), "actions": actions}
        row = {"run": "b", "seed": -1, "update": -1, **unused, **who, **what}
        if who["agent"] == "network":  # sampled actions come first, and are not asked for
            pieces.append({**row, "policy": "sampled", "actions": 1 - actions})
        pieces.append({**row, "policy": "argmax"})
    found = geometry.regret_embedding(
        bayes_tables.table(kinds.bayes.PLAY, *pieces), tasks=["b"], snapshots=9, policy="argmax"
    ).to_pandas()
    regrets = np.array([[0.5 * min(t, begun) for t in range(1, steps + 1)] for begun in (0, 2, 5)])
    wanted = [[np.mean(np.abs(one - other)) for other in regrets] for one in regrets]
    np.testing.assert_allclose(distances(found[["x", "y"]].to_numpy()), wanted, atol=1e-3)
