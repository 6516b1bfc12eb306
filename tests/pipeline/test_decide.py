"""`agentomy decide` on a study of two tiny predictors, whose jobs are done one by one in this process.

At their own three seeds two claims are open. Whatever is killed in between, the rounds end with the same file and the
same results, and nothing is left to do.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agentomy import kinds
from agentomy.mistakes import ConfigError
from agentomy.pipeline.decide import rounds
from agentomy.pipeline.decide.rounds import DONE, FAILED, STOPPED, Rounds
from agentomy.pipeline.plan import decided
from agentomy.pipeline.plan.decided import Decided
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.pipeline.uptodate.states import States
from agentomy.tables import Table
from tests.pipeline.trees import fresh
from tests.studies import SOURCE

# The runs differ in nothing but their random numbers. At six seeds `above` is decided, and `differ` seems to need more
# than there will ever be.
TOY = """
paper: {title: t, authors: a, url: u}
environments:
  coin: {use: environments.sequences.bernoulli, prior: [1, 1], steps: 4, episodes: 20}
training:
  one: &run
    {use: agents.predictor.Predictor, environment: coin, width: 2, updates: 2, batch: 4, seeds: 3, snapshots: {}}
  two: {<<: *run}
checkpoints:
  predictions: {use: papers.bayes.extract.predictions.predictions, of: [one, two]}
  optimal: {use: papers.bayes.extract.predictions.optimal, of: [one, two]}
metrics:
  distance: {use: papers.bayes.measure.optimality.kl_to_bayes, from: [predictions, optimal]}
figures: {}
claims:
  above:
    says: s
    paper: p
    tests:
      t: {from: distance, value: kl, where: &end {run: one, update: last, t: last}, scales: [smoke], holds: "> 0.09"}
  differ:
    says: s
    paper: p
    tests: {t: {from: distance, value: kl, where: *end, less: {run: two}, scales: [smoke], holds: "> 0"}}
  sure:
    says: s
    paper: p
    tests: {t: {from: distance, value: kl, where: *end, scales: [smoke], holds: "> 0"}}
"""
FAR = 1e6  # seconds
ALL_OF_SIX = {"toy.one": 6, "toy.two": 6}


class Killed(BaseException):
    """As by `kill -9`: nothing of ours may catch it."""


class Toy:
    """Rounds in the present folder, with something in the place of Snakemake that does jobs as it would."""

    def __init__(self, monkeypatch):
        self.monkeypatch, self.said, self.broken = monkeypatch, [], {}
        self.kill_at, self.events = None, 0
        self.stop_after = None
        Path("studies").mkdir(exist_ok=True)
        Path("studies/toy.yaml").write_text(TOY)

    def plan(self, **config) -> Plan:
        given = decided.added({"scale": "smoke", "studies": ["toy"], **config})
        self.monkeypatch.setenv("AGENTOMY_CONFIG", json.dumps(given))
        return Plan(given, "studies", SOURCE)

    def todo(self, **config) -> list[Job]:
        plan = self.plan(**config)
        toy = plan.studies["toy"]
        states = States(lambda key: toy.job(*key[1:]))
        for key in toy.keys:
            states[key]
        return [toy.job(*key[1:]) for key, state in states.known().items() if not state.fits]

    def event(self) -> None:
        self.events += 1
        if self.events == self.kill_at:
            raise Killed

    def snakemake(self, targets=()) -> int:
        status, lost = 0, set()
        plan = self.plan()
        for number, job in enumerate(self.todo()):
            if number == self.stop_after:
                return STOPPED
            self.event()
            inner = "claims" if job.stage == "claims" else f"{job.stage}/{job.name}"
            log = Path(plan.studies["toy"].folder, "logs", f"{inner}.log")
            for path in [*job.outputs, job.record]:
                Path(path).unlink(missing_ok=True)
            if not lost.isdisjoint(job.files):
                lost.update(job.outputs)
            elif why := self.broken.get(job.name):
                status = 1
                lost.update(job.outputs)
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(f"toy · {job.stage} · {job.name} · {why}\n")
            else:
                assert stages.main("toy", job.stage, job.name, str(log), job.digest(), plan=plan) == 0
            self.event()
        return status

    def decide(self, seconds: float = FAR) -> int:
        write = decided.write

        def written(*given):
            self.event()
            write(*given)
            self.event()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rounds.decided, "write", written)
            return Rounds(self.plan, ["toy"], self.snakemake, 2, self.said.append).spend(seconds)

    def verdicts(self) -> dict[str, tuple[str, int]]:
        """claim → verdict and the number of seeds that it was judged at."""
        claims = Table(kinds.common.CLAIMS, ["results/smoke/toy/claims.parquet"]).frame()
        return {row.claim: (row.verdict, row.n) for row in claims[claims["test"] == ""].itertuples()}


def contents() -> dict[str, bytes]:
    """What is there of decisions and results, times apart."""
    paths = [path for suffix in ("yaml", "parquet", "json", "md") for path in Path("results").rglob(f"*.{suffix}")]
    return {str(path): path.read_bytes() for path in sorted(paths) if ".store" not in path.parts}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The study at its own seeds."""
    path = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        toy = Toy(patch)
        assert toy.snakemake() == 0
        assert toy.verdicts() == {"above": ("undecided", 3), "differ": ("undecided", 3), "sure": ("holds", 3)}
    return path


@pytest.fixture
def toy(base, tmp_path, monkeypatch) -> Toy:
    path = tmp_path / "tree"
    shutil.copytree(base, path)
    monkeypatch.chdir(path)
    return Toy(monkeypatch)


@pytest.fixture(scope="module")
def after(base, tmp_path_factory) -> dict[str, bytes]:
    """What an undisturbed run leaves."""
    path = tmp_path_factory.mktemp("after") / "tree"
    shutil.copytree(base, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert Toy(patch).decide() == DONE
        return contents()


def test_open_claims_and_their_pairs_are_raised_to_the_next_look_until_none_is_left(toy):
    assert toy.decide() == DONE
    assert decided.read("smoke") == Decided(seeds=ALL_OF_SIX)
    assert toy.verdicts() == {"above": ("holds", 6), "differ": ("undecided", 6), "sure": ("holds", 3)}
    assert toy.todo() == []
    first, *_, last = toy.said
    assert "2 of 3 claims are undecided" in first
    assert "toy.above to 6 seeds (about 6 seeds)" in first
    assert "passed over, not by seeds: toy.differ" in last
    before = contents()
    assert toy.decide() == DONE  # and again nothing is done
    assert contents() == before


@pytest.mark.parametrize("at", range(1, 23))
def test_killed_at_any_step_it_goes_on_and_ends_with_the_same_file_and_results(toy, after, at):
    toy.kill_at = at
    try:
        assert toy.decide() == DONE
        assert toy.events < at  # beyond the last step
    except Killed:
        assert toy.decide() == DONE
    assert contents() == after


def test_the_same_file_with_empty_results_gives_the_same_bytes(toy, after):
    content = after[str(decided.place("smoke"))]
    shutil.rmtree("results")
    decided.place("smoke").parent.mkdir(parents=True)
    decided.place("smoke").write_bytes(content)
    assert toy.snakemake() == 0
    assert contents() == after


def test_a_seed_that_fails_closes_its_claims_by_name_and_the_time_goes_elsewhere(toy):
    toy.broken["two.seeds3-5"] = "run two, seed 4: the loss is NaN"
    assert toy.decide() == DONE
    job = "toy training two.seeds3-5"
    assert decided.read("smoke") == Decided(seeds={"toy.one": 6}, failed={job: "run two, seed 4: the loss is NaN"})
    # of `two` there are three seeds, so `differ` has no look at six
    assert toy.verdicts() == {"above": ("holds", 6), "differ": ("undecided", 3), "sure": ("holds", 3)}
    assert f"closed: toy.differ, since {job} failed" in toy.said[-1]
    assert toy.todo() == []


def test_the_last_good_seeds_of_a_failed_stack_make_no_look_even_after_a_kill(toy):
    toy.broken["two.seeds3-5"] = "run two, seed 4: the loss is NaN"
    toy.kill_at = 9
    with pytest.raises(Killed):
        toy.decide()
    assert toy.decide() == DONE
    assert decided.read("smoke").seeds == {"toy.one": 6}
    assert toy.verdicts()["differ"] == ("undecided", 3)


def test_a_job_that_fails_without_more_seeds_is_no_reason_to_close_a_claim(toy):
    Path("results/smoke/toy/training/one.seeds0-2.log.parquet").unlink()
    shutil.rmtree("results/smoke/toy/.store")
    toy.broken["one.seeds0-2"] = "no wind"
    assert toy.decide() == FAILED
    assert decided.read("smoke") == Decided()
    assert "not because of more seeds: toy training one.seeds0-2: no wind" in toy.said[-1]


@pytest.mark.parametrize("broken", [{}, {"one.seeds3-5": "stopped at update 1 of 2; run again to go on"}])
def test_a_stop_closes_nothing(toy, after, broken):
    toy.broken, toy.stop_after = broken, None if broken else 2
    assert toy.decide() == STOPPED
    assert decided.read("smoke") == Decided(seeds=ALL_OF_SIX, before={})
    toy.broken, toy.stop_after = {}, None
    assert toy.decide() == DONE
    assert contents() == after


def test_without_time_nothing_is_chosen(toy):
    assert toy.decide(0) == DONE
    assert decided.read("smoke") == Decided()
    assert "the time is too short for: toy.above, toy.differ" in toy.said[0]


def test_seeds_that_a_user_fixes_are_not_raised(toy):
    plan = toy.plan
    toy.plan = lambda: plan(overrides={"toy.training.two.seeds": 3})
    assert toy.decide() == DONE
    assert decided.read("smoke") == Decided(seeds={"toy.one": 6})
    assert "config.yaml: overrides.toy.training.two.seeds says how many seeds toy.two has: toy.differ" in toy.said[0]


@pytest.mark.parametrize(
    ("config", "seeds"),
    [
        ({}, 6),
        ({"seeds": 9}, 9),
        ({"overrides": {"toy.training.one.seeds": 3}}, 3),
        ({"seeds": 9, "overrides": {"toy.training.one.seeds": 3}}, 3),
    ],
)
def test_overrides_go_over_seeds_these_over_what_is_decided_and_that_over_the_study(toy, config, seeds):
    decided.write("smoke", Decided(seeds={"toy.one": 6, "toy.two": 1}))
    study = toy.plan(**config).studies["toy"]
    assert study.seeds("one") == seeds
    assert study.seeds("two") == config.get("seeds", 3)  # more than the study has, or nothing
    assert toy.plan(scale="laptop").studies["toy"].seeds("one") == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("seeds: 3", "seeds: found 3 (int); allowed: a mapping"),
        ("seeds: {toy.one: 0}", "seeds.toy.one: found 0 (int); allowed: 1 or more"),
        ("seeds: {toy.one: six}", "seeds.toy.one: found 'six' (str)"),
        ("seed: {toy.one: 6}", "no key 'seed' (did you mean 'seeds'?)"),
        ("failed: [x]", "failed: found ['x'] (list); allowed: a mapping"),
        ("- toy.one", "expected a mapping"),
        ("{", "line"),
    ],
)
def test_what_is_wrong_with_the_file_is_one_line(toy, content, problem):
    decided.place("smoke").write_text(content)
    with pytest.raises(ConfigError) as error:
        toy.plan()
    assert str(error.value).startswith("results/smoke/decided.yaml: ")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_runs_that_no_longer_exist_are_named_and_ignored(toy):
    decided.write("smoke", Decided(seeds={"toy.one": 6, "toy.gone": 6, "moon.two": 6}))
    plan = toy.plan()
    assert plan.studies["toy"].seeds("one") == 6
    line = decided.ignored("smoke", plan.left_out)
    assert line == "results/smoke/decided.yaml: ignored, as no study has these runs: moon.two, toy.gone"


def test_two_at_once_are_refused(toy):
    with rounds.alone("smoke"), pytest.raises(ConfigError, match="another one is at work here"), rounds.alone("smoke"):
        pass


def test_with_snakemake_itself(tmp_path):
    tree = fresh(tmp_path / "tree")
    (tree.path / "workflow/studies/toy.yaml").write_text(TOY)
    (tree.path / "config.yaml").write_text(yaml.safe_dump({"scale": "smoke", "studies": ["toy"]}))

    def decide(*arguments):
        command = [sys.executable, "-m", "agentomy.command", "decide", "--cores", "2", *arguments]
        environment = {**tree.environment, "PYTHONPATH": str(tree.path / "workflow")}
        return subprocess.run(command, cwd=tree.path, env=environment, capture_output=True, text=True)

    refused = decide()
    assert refused.returncode == 1
    assert refused.stderr.startswith("agentomy: decide: toy: no claims were judged yet; to do so: snakemake")
    assert tree.snakemake(scale=False).returncode == 0
    dry = decide("--dry-run")
    assert "toy.above to 6 seeds (about 6 seeds)" in dry.stdout, dry
    place = tree.path / "results/smoke/decided.yaml"
    assert not place.exists()
    done = decide("--hours", "1", "toy")
    assert done.returncode == 0, done
    assert yaml.safe_load(place.read_text()) == {"seeds": ALL_OF_SIX}
    again = tree.snakemake("-n", scale=False)
    assert "nothing to be done" in again.stdout
