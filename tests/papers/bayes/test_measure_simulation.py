"""Structural comparison on machines whose maps are known."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.papers.bayes.measure import simulation
from agentomy.papers.bayes.measure.divergence import kl
from tests.papers.bayes import bayes_tables


def by_direction(maps):
    return simulation.simulation(maps).to_pandas().set_index("direction")


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_the_state_error_of_a_map_with_planted_noise_is_that_noise(rng, noise):
    _, maps = bayes_tables.machines(rng, noise)
    errors = by_direction(maps)
    np.testing.assert_allclose(errors["state_error_normalised"], noise**2, rtol=0.1)
    variance = maps.where(direction="R→B").values("target_variance")[0]
    assert errors["state_error"]["R→B"] == pytest.approx(errors["state_error_normalised"]["R→B"] * variance)


def test_equal_outputs_have_no_output_error(rng):
    errors = by_direction(bayes_tables.machines(rng)[1])
    np.testing.assert_allclose(errors["output_error"], 0, atol=1e-7)


def maps_of(family, direction, output, mapped, q_difference=0.0):
    """One episode of MAPS."""
    steps = len(output)
    labels = {"run": "run", "family": family, "drive": "prior", "agent": "trained", "seed": 0}
    labels |= {"direction": direction, "map": "mlp"}
    error = {"episode": 0, "squared_error": np.zeros((1, steps)), "target_variance": 1.0}
    outputs = {"output": output[None], "mapped_output": mapped[None], "state": np.zeros((1, 0))}
    pulls = np.broadcast_to(np.asarray(q_difference, float), (1, steps))
    return bayes_tables.table(kinds.bayes.MAPS, {**labels, **error, **outputs, "q_difference": pulls})


def test_the_bayes_side_stands_first_in_both_directions():
    network, bayes = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    expected = float(kl("categorical", bayes, network)[0])
    to_bayes = by_direction(maps_of("categorical", "R→B", network, bayes))
    to_network = by_direction(maps_of("categorical", "B→R", bayes, network))
    assert to_bayes["output_error"].item() == pytest.approx(expected, rel=1e-5)
    assert to_network["output_error"].item() == pytest.approx(expected, rel=1e-5)


def test_a_bandits_output_error_is_the_difference_of_return_summed_over_the_episode():
    network, mapped = np.array([[0.9], [0.2], [0.5]]), np.array([[0.4], [0.4], [0.5]])
    errors = by_direction(maps_of("bandit", "R→B", network, mapped, [1.0, 2.0, 3.0]))
    assert errors["output_error"].item() == pytest.approx(abs(0.5 * 1 - 0.2 * 2), rel=1e-5)


def test_a_state_that_is_a_function_of_the_statistics_has_no_redundancy(rng):
    statistics = rng.integers(0, 5, size=(400, 3))
    state = np.tanh(statistics @ rng.normal(size=(3, 6)))
    assert simulation.variance_within(state, statistics) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("groups", [2, 50, 400])
def test_a_state_of_pure_noise_is_all_redundancy_however_small_the_groups(rng, groups):
    labels = rng.integers(0, groups, size=(2000, 1))
    assert simulation.variance_within(rng.normal(size=(2000, 4)), labels) == pytest.approx(1, abs=0.08)


def test_redundancy_is_the_planted_share(rng):
    labels = rng.integers(0, 20, size=(5000, 1))
    means = rng.normal(size=(20, 3))[labels[:, 0]]
    noise = rng.normal(size=means.shape) * means.std() * 0.5
    expected = noise.var(axis=0).sum() / (means + noise).var(axis=0).sum()
    assert simulation.variance_within(means + noise, labels) == pytest.approx(expected, rel=0.02)


def test_statistics_that_none_share_say_nothing():
    assert np.isnan(simulation.variance_within(np.eye(3), np.arange(3)[:, None]))


def test_redundancy_is_given_for_counts_only(rng):
    states, _ = bayes_tables.machines(rng)
    row = simulation.redundancy(states).to_pandas()
    assert row["redundancy"].item() == pytest.approx(0, abs=1e-9)
    columns = {name: states.array(name) for name in ("network", "bayes", "output", "optimum", "q_difference")}
    scalars = states.frame()
    named = {name: scalars[name].to_numpy() for name in scalars}
    real = bayes_tables.table(kinds.bayes.STATES, {**named, **columns, "bayes": columns["bayes"] + 0.25})
    with pytest.raises(ValueError, match="no run whose sufficient statistics are counts"):
        simulation.redundancy(real)


def errors(frame, **wanted):
    """Normalised Ds and Do of the four tasks, on inputs that the network did not choose."""
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame[frame["drive"] != "network"].set_index("run")[["state_error_normalised", "output_error"]]


def over_tasks(frame):
    table = bayes_tables.table(kinds.bayes.SIMULATION, {name: frame[name].to_numpy() for name in frame})
    return simulation.over_tasks(table).to_pandas().set_index(["agent", "seed"])


@pytest.mark.parametrize("agent", ["trained", "untrained"])
def test_means_over_tasks_are_geometric_and_those_of_one_agent_and_seed(agent):
    frame = bayes_tables.simulation().frame()
    row = over_tasks(frame).loc[agent, 2]
    forward, reverse = (errors(frame, agent=agent, seed=2, direction=direction) for direction in ("R→B", "B→R"))
    state, back = forward["state_error_normalised"], reverse["state_error_normalised"]
    assert row["tasks"] == 4
    assert row["state_error"] == pytest.approx(np.prod(state) ** (1 / 4))
    assert row["state_ratio"] == pytest.approx(np.prod(back / state) ** (1 / 4))
    assert (row["output_ratio"], row["state_worse"], row["output_worse"]) == (1, 1, 0)  # outputs are as bad both ways


def test_tasks_are_taken_together_by_the_seeds_that_all_have():
    frame = bayes_tables.simulation().frame()
    rows = over_tasks(frame[(frame["run"] != "gb") | (frame["seed"] != 2)])
    assert {seed for _, seed in rows.index} == {0, 1}
    with pytest.raises(ValueError, match="no seed that all tasks have"):
        over_tasks(frame[(frame["run"] == "gb") != (frame["seed"] == 0)])


@pytest.mark.parametrize(
    ("error", "share"), [("state_error_normalised", "state_worse"), ("output_error", "output_worse")]
)
def test_tasks_whose_reverse_map_is_worse_are_counted_for_states_and_outputs_apart(error, share):
    frame = bayes_tables.simulation().frame()
    for run, value in (("gb", 1e-9), ("gauss", 9.0)):
        frame.loc[(frame["run"] == run) & (frame["direction"] == "B→R"), error] = value
    row = over_tasks(frame).loc["trained", 0]
    assert row[share] == {"state_worse": 0.75, "output_worse": 0.25}[share]
