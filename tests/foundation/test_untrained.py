"""What networks that learned nothing can show is no evidence: claims have controls, and none holds without learning."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from agentomy import kinds
from agentomy.judge.verdicts import HOLDS
from agentomy.lenses.paths import measure
from agentomy.papers.bayes.measure import learning, simulation
from agentomy.pipeline.plan.study import Plan
from agentomy.tables import Kind, Table
from tests.papers.bayes import bayes_tables
from tests.studies import SOURCE
from tests.untrained import Untrained

pytestmark = pytest.mark.slow

# ---- controls --------------------------------------------------------------------------------------------------------

# metrics that set a run beside another, or beside its control
COMPARED = {"lenses.paths.measure.gains"}
# what the quantities, runs and tests of a control are called
CONTROLS = ("untrained", "random", "walk", "shuffled", "constant", "thompson", "cheese anywhere")
# … and quantities that are measured against the untrained network in themselves
MEASURED = {"learned", "late"}
PUBLISHED = "computed from scores that others published"
FORMULA = "follows from the formulas, whatever the weights"
REPORTED = "nothing is judged"
WITHOUT = {
    "bayes": {"C4": REPORTED},
    "path": {"C5": "the best rebuilt policies are set beside the best of as many originals"},
    "maze": {"M4": "a statement about mazes, not about agents"},
    "nld": {"C5": REPORTED, "C6": FORMULA, "C7": FORMULA, "C8": FORMULA, "calibration": REPORTED, "prior": REPORTED},
    "l3d": {"C12": "untested", "C13": "untested"},
    "twm": {
        **{f"C{number}": PUBLISHED for number in range(1, 10)},
        "C10": "a rule that is simulated without any network",
        "C13": "an untrained policy's entropy is about the largest there is, above the upper bound",
        "C16": "what an untrained decoder paints is nowhere below 0.1 or above 0.9",
    },
    "twm-atari": {"A1": "a person's score is 1 and a random policy's 0 by definition"},
}


@pytest.fixture(scope="module")
def plan():
    return Plan({"scale": "paper", "studies": ["bayes"]}, source=SOURCE)


def is_control(study, name: str, test) -> bool:
    words = [name, *map(str, test.pair.values()), *(str(value) for values in test.where.values() for value in values)]
    named = any(word in text for text in words for word in CONTROLS)
    compared = test.source in study.entries["metrics"] and study.entries["metrics"][test.source].use in COMPARED
    other = any(column in test.pair for column in ("run", "method", "agent")) or "first" in test.pair.values()
    return named or compared or other or bool(MEASURED & set(test.where.get("quantity", [])))


def test_every_claim_has_a_test_beside_a_control_or_says_why_it_needs_none(plan):
    without, unused = {}, {name: set(claims) for name, claims in WITHOUT.items()}
    for name in plan.names:
        study = plan.studies[name]
        for number, claim in study.claims.items():
            controlled = any(is_control(study, test, what) for test, what in claim.tests.items())
            if number in WITHOUT.get(name, {}):
                unused[name].discard(number)
            elif not controlled:
                without.setdefault(name, []).append(number)
    assert without == {}, "a claim that untrained networks might pass: judge it beside them, or say here why they can't"
    assert not any(unused.values()), "a reason for a claim that is no longer there"


def test_claims_of_which_nothing_is_judged_say_so_rightly(plan):
    for name, claims in WITHOUT.items():
        for number, reason in claims.items():
            tests = plan.studies[name].claims[number].tests.values()
            assert (reason in (REPORTED, "untested")) == all(test.holds is None for test in tests), (name, number)


# ---- untrained networks in the place of trained ones: networks are drawn, and all that follows is done ---------------


def untrained(study: str, updates=(0, 4), seeds: int = 6, **overrides) -> Untrained:
    config = {"scale": "smoke", "studies": [study], "seeds": seeds}
    config["overrides"] = {f"{study}.{place}": value for place, value in overrides.items()}
    return Untrained(Plan(config, source=SOURCE, lazy=True), updates)


def whole(verdicts: pd.DataFrame) -> dict[str, str]:
    return verdicts[verdicts["test"] == ""].set_index("claim")["verdict"].to_dict()


def judged(verdicts: pd.DataFrame, claim: str, test: str) -> set[str]:
    said = verdicts[(verdicts["claim"] == claim) & (verdicts["test"] == test)]["verdict"]
    assert len(said), (claim, test)
    return {*said}


def test_no_claim_about_edits_of_a_maze_network_holds_without_learning():
    fewer = {f"checkpoints.{name}.ranking": 20 for name in ("retargets", "resampled")}
    drawn = untrained("maze", seeds=6, **{"checkpoints.retargets.count": 3, **fewer})
    verdicts = drawn.verdicts("maze", ["M5", "M6", "M7", "M8", "M9", "M10", "M11", "M12"])
    assert HOLDS not in whole(verdicts).values()
    # the paper's own test alone is passed by a policy that hardly looks at the maze
    assert judged(verdicts, "M8", "total variation as a share of the cheese's effect") == {HOLDS}


def test_no_claim_about_sampled_networks_holds_without_learning():
    verdicts = untrained("nld", updates=(0, 20, 40, 60), seeds=4).verdicts("nld", ["C1", "C2", "C3", "C4"])
    assert HOLDS not in whole(verdicts).values()
    assert judged(verdicts, "C4", "ensembles, test less training loss") == {HOLDS}
    assert HOLDS not in judged(verdicts, "C4", "ensembles, test loss less the untrained network's")


# ---- … and tables are planted ---------------------------------------------------------------------------------------


def noise(*runs: str, seeds: int = 8, snapshots: int = 12, periods=("whole",), directions=(-1,)) -> Table:
    """Returns of policies that are all the same, which differ by luck alone."""
    keys = product(runs, range(seeds), periods, directions, range(snapshots), range(4))
    run, seed, period, k, update, episode = map(np.array, zip(*keys, strict=True))
    key = {"run": run, "seed": seed, "period": period, "directions": k, "update": update, "episode": episode}
    returns = np.random.default_rng(2).normal(50, 5, len(run))
    return bayes_tables.table(kinds.paths.ROLLOUTS, {**key, "length": 9, "return": returns})


def test_agents_whose_returns_are_luck_have_learned_nothing():
    planted = untrained("path")
    planted.plant("path", "scores", measure.scores(noise("halfcheetah")))
    halves = noise("halfcheetah", snapshots=6, periods=("half1", "half2"), directions=(-1, 1, 2, 4, 8, 16, 32, 64))
    rebuilt = Table(kinds.paths.RECONSTRUCTION, rows=measure.reconstruction(halves))
    planted.plant("path", "kept", measure.against_originals(rebuilt))
    verdicts = planted.verdicts("path", ["C0", "C5"])
    assert HOLDS not in whole(verdicts).values()
    assert judged(verdicts, "C0", "best return above the untrained network's") == {HOLDS}
    assert judged(verdicts, "C5", "best rebuilt above best original") == {HOLDS}


def test_world_models_of_equal_scores_that_learned_nothing_show_nothing():
    planted, runs = untrained("twm"), ("breakout", "breakout-zh")
    planted.plant("twm", "scores", measure.scores(noise(*runs)))
    equal = {
        "run": runs[1],
        "base": runs[0],
        "seed": np.tile(np.arange(8), 2),
        "measure": np.repeat(["auc", "final"], 8),
    }
    planted.plant("twm", "gains", kinds.paths.GAINS.table(**equal, gain=0.0))
    verdicts = planted.verdicts("twm", ["C14"])
    assert HOLDS not in whole(verdicts).values()
    assert judged(verdicts, "C14", "score, mean over learning, relative to z alone") == {HOLDS}


def test_memories_that_learned_nothing_show_nothing():
    planted = untrained("bayes")
    frame = bayes_tables.simulation(seeds=6).frame()
    untrained_rows = frame[frame["agent"] == "untrained"]
    again = untrained_rows.assign(agent="trained")
    luck = np.exp(np.random.default_rng(1).normal(0, 0.2, len(again)))
    again = again.assign(state_error_normalised=again["state_error_normalised"] * luck)
    both = pd.concat([untrained_rows, again])
    maps = bayes_tables.table(kinds.bayes.SIMULATION, {name: both[name].to_numpy() for name in both})
    planted.plant("bayes", "simulation", maps.arrow())
    planted.plant("bayes", "over-tasks", simulation.over_tasks(maps))
    still = np.random.default_rng(1).normal(0.5, 0.01, (6, 12))  # distances of networks that stay where they are
    pieces = [
        {"run": "cat-3", "seed": seed, "update": update, "t": 1, "kl": still[seed, update], "excess": 0.0}
        for seed in range(6)
        for update in range(12)
    ]
    distance = bayes_tables.table(kinds.bayes.DISTANCE, *pieces)
    planted.plant("bayes", "distance", distance.arrow())
    trend = learning.trend_of_predictors(distance)
    for metric in ("trend-prediction", "trend-bandit"):
        planted.plant("bayes", metric, trend)
    keys = list(product(("network", "gittins", "greedy", "thompson"), range(6), range(12)))
    agent, seed, update = map(np.array, zip(*keys, strict=True))
    losses = {"run": "bb-1-1", "agent": agent, "policy": "argmax", "seed": seed, "update": update}
    shares = ("share_lost", "over_thompson", "over_greedy", "regret_above_gittins", "agreement")
    values = dict.fromkeys(shares, 0.5) | {"lost": still[seed, update]}
    planted.plant("bayes", "losses", kinds.bayes.LOSSES.table(**losses, **values))
    verdicts = planted.verdicts("bayes", ["C5", "C6", "C6-states", "C8"])
    assert HOLDS not in whole(verdicts).values()
    assert judged(verdicts, "C6-states", "share of tasks with larger Ds") == {HOLDS}
    assert judged(verdicts, "C8", "trend of predictors in standard errors") == {HOLDS}


def test_directions_that_are_as_good_as_random_show_nothing():
    planted, rng = untrained("l3d"), np.random.default_rng(3)
    ones = {column.name: True if column.type == "flag" else 1 for column in kinds.subnetworks.QUALITY.columns}
    for metric, sizes in (("found-blocks", RANKS), ("found-squared", COUNTS)):
        keys = list(product(sizes, range(6), ("random", "learned")))
        run, seed, condition = map(np.array, zip(*keys, strict=True))
        by_chance = 1 - 0.006 * np.array([sizes[name] for name in run])
        luck = np.where(condition == "learned", rng.normal(0, 0.002, len(keys)), 0)
        numbers = {**ones, "run": run, "seed": seed, "condition": condition}
        planted.plant("l3d", metric, kinds.subnetworks.QUALITY.table(**numbers | {"loss": by_chance + luck}))
    verdicts = planted.verdicts("l3d", ["C8", "C10"])
    assert HOLDS not in whole(verdicts).values()
    assert judged(verdicts, "C8", "loss at rank 1 less that at rank 5") == {HOLDS}
    assert judged(verdicts, "C10", "fall from 3 to 5") == {HOLDS}


RANKS = {"blocks-rank-1": 0, "blocks-rank-5": 0, "blocks-rank-7": 0, "blocks-rank-8": 0, "blocks-code-mse": 0}
COUNTS = {"squared-3": 3, "squared-5": 5, "squared-10": 10, "squared-15": 15}


def test_mazes_where_cheese_is_found_by_chance_show_nothing():
    planted, rng = untrained("maze"), np.random.default_rng(4)

    def alike(*keys: dict, value: str = "value") -> pd.DataFrame:
        """Rows of trained and of untrained networks, which differ by luck alone."""
        agents = ({"agent": "trained", "update": 4}, {"agent": "untrained", "update": 0})
        rows = [{**key, **agent, "seed": seed} for key in keys for agent in agents for seed in range(6)]
        frame = pd.DataFrame(rows)
        return frame.assign(**{value: frame[value] + rng.normal(0, 0.01, len(frame))})

    def plant(metric: str, kind: Kind, frame: pd.DataFrame) -> None:
        columns = [column.name for column in kind.columns]
        planted.plant("maze", metric, kind.table(**{name: frame[name].to_numpy() for name in columns}))

    decision = {"condition": "cheese", "distribution": "test", "region": 4, "subset": "decision", "count": 3000}
    shares = alike(
        {"run": "mixed", "outcome": "got cheese", "share": 0.25},
        # each run has its own luck
        {"run": "region-1", "outcome": "cheese", "share": 0.1},
        {"run": "anywhere", "outcome": "cheese", "share": 0.15},
        {"run": "region-1", "outcome": "corner", "share": 0.15},
        {"run": "anywhere", "outcome": "corner", "share": 0.1},
        value="share",
    ).assign(**decision)
    plant(
        "navigation-test", kinds.maze_behaviour.NAVIGATION, shares.assign(share=(shares["share"] * 3000).round() / 3000)
    )
    steps = {"outcome": "cheese", "largest_fall": -0.02, "largest_rise": 0.03}
    plant("sweep", kinds.maze_behaviour.SWEEP, alike({**steps, "rise": 0.05}, value="rise"))
    coefficient = {"model": "three", "measure": "coefficient"}
    regression = alike(
        {**coefficient, "distance": "euclid_cheese_corner", "value": -0.15},
        {**coefficient, "distance": "steps_decision_cheese", "value": -1.0},
        {"model": "all", "measure": "gain", "distance": "none", "value": 0.1},
    ).assign(run="mixed", spread=0.0, count=900)
    plant("regression", kinds.maze_behaviour.REGRESSION, regression)
    verdicts = planted.verdicts("maze", ["M1", "M2", "M3", "L3"])
    assert HOLDS not in whole(verdicts).values()
    assert judged(verdicts, "M1", "gets the cheese often enough") == {HOLDS}
    assert judged(verdicts, "M2", "accuracy over the commoner answer's") == {HOLDS}
    assert judged(verdicts, "M3", "coefficient of cheese to corner, Euclid") == {HOLDS}
    assert judged(verdicts, "L3", "rise of cheese first, from n = 1 to anywhere") == {HOLDS}
