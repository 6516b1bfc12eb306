"""Up to date means that the record of an artifact's making fits the plan.

A chain of real stage functions, small: an environment, two trainings, what is extracted of them, a metric. Jobs are
done as Snakemake would have them done.
"""

import errno
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

import agentomy
from agentomy import command
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.pipeline.source.provenance import Source
from agentomy.pipeline.uptodate import edits, keeping, records
from agentomy.pipeline.uptodate.session import Forced, Session
from agentomy.pipeline.uptodate.states import BEHIND, STALE, States
from agentomy.pipeline.uptodate.store import Store
from agentomy.progress import Progress
from agentomy.tables import BrokenTable, TableError

PACKAGE = Path(agentomy.__file__).parent
STUDY = """
paper: {title: t, authors: a, url: u}
environments:
  coin: {use: environments.sequences.bernoulli, prior: [1, 1], steps: 4, episodes: 20}
training:
  one: &run
    {use: agents.predictor.Predictor, environment: coin, width: 2, updates: 2, batch: 4, seeds: 1, snapshots: {}}
  two: {<<: *run, updates: 3}
checkpoints:
  predictions: {use: papers.bayes.extract.predictions.predictions, of: [one, two]}
  optimal: {use: papers.bayes.extract.predictions.optimal, of: [one]}
  optimum: {use: papers.bayes.extract.predictions.optimal, of: [two]}
metrics:
  distance: {use: papers.bayes.measure.optimality.kl_to_bayes, from: [predictions, optimal, optimum]}
figures: {}
claims:
  C1:
    says: s
    paper: p
    tests: {t: {from: distance, value: kl, where: {update: last, t: last}, each: run, holds: "< 1"}}
"""


class Folder:
    """A folder of results and of study and package sources, in which jobs are done one by one."""

    def __init__(self, path: Path, monkeypatch):
        self.path, self.monkeypatch, self.called = path, monkeypatch, Counter()
        (path / "studies").mkdir(parents=True)
        (path / "studies" / "toy.yaml").write_text(STUDY)
        shutil.copytree(PACKAGE, path / "agentomy", ignore=shutil.ignore_patterns("__pycache__"))

    def plan(self, **config) -> Plan:
        given = {"scale": "smoke", "studies": ["toy"], **config}
        self.monkeypatch.setenv("AGENTOMY_CONFIG", json.dumps(given))
        return Plan(given, self.path / "studies", Source(self.path / "agentomy"))

    def states(self, forced=lambda job: False, **config) -> dict[str, str]:
        """name → state of the jobs that do not fit."""
        return {name: state.is_ for name, (state, _) in self._look(forced, **config).items() if not state.fits}

    def whys(self, **config) -> dict[str, str]:
        return {name: state.why for name, (state, _) in self._look(**config).items() if state.is_ == STALE}

    def _look(self, forced=lambda job: False, **config):
        plan = self.plan(**config)
        states = States(lambda key: plan.studies[key[0]].job(*key[1:]), forced)
        for key in plan.studies["toy"].keys:
            states[key]
        return {key[2]: (state, plan.studies["toy"].job(*key[1:])) for key, state in states.known().items()}

    def run(self, forced=lambda job: False, keep=True, **config) -> list[str]:
        """Do what has to be done, as Snakemake would, which deletes outputs first; returns what was called."""
        todo = {name: job for name, (state, job) in self._look(forced, **config).items() if not state.fits}
        if keep:  # as the Snakefile does before the first job
            for job in todo.values():
                record = records.read(job.record)
                if record is not None and all(Path(path).exists() for path in job.outputs):
                    Store(job.record, 2).put(record)
        self.called.clear()
        with pytest.MonkeyPatch.context() as patch:
            if forced is not self._nothing:
                patch.setattr(Forced, "saved", classmethod(lambda cls, folder: forced))
            for job in todo.values():
                for path in [*job.outputs, job.record]:
                    Path(path).unlink(missing_ok=True)
                self.do(job)
        return sorted(self.called)

    @staticmethod
    def _nothing(job):
        return False

    def do(self, job, digest: str | None = None):
        def counted(given, progress):
            self.called[job.name] += 1
            return stages.RUNNERS[job.stage](given, progress)

        return keeping.do(job, digest or job.digest(), counted, Progress("test", every=1e9))

    def edit(self, file: str, before: str, after: str):
        path = self.path / "agentomy" / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def job(self, stage: str, name: str, **config):
        return self.plan(**config).studies["toy"].job(stage, name)

    def bytes(self) -> dict[str, bytes]:
        """Everything that was made, logs and the store apart."""
        files = [path for path in Path("results").rglob("*.*") if path.is_file() and ".store" not in path.parts]
        return {str(path): path.read_bytes() for path in sorted(files) if ".locks" not in path.parts}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The chain, made once; tests take copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("chain"))
        folder = Folder(Path.cwd(), patch)
        assert len(folder.run()) == 9
        yield folder.path


@pytest.fixture
def toy(whole, tmp_path, monkeypatch) -> Folder:
    path = tmp_path / "tree"
    shutil.copytree(whole, path, copy_function=shutil.copy)  # other times, other inodes
    monkeypatch.chdir(path)
    folder = Folder.__new__(Folder)
    folder.path, folder.monkeypatch, folder.called = path, monkeypatch, Counter()
    return folder


ONE, TWO = "one.seeds0-0", "two.seeds0-0"
UPDATES = {"overrides": {"toy.training.two.updates": 4}}


def test_what_was_made_fits_wherever_it_is_copied_and_whatever_its_times(toy):
    assert toy.states() == {}
    for number, path in enumerate(toy.path.rglob("results/**/*")):
        os.utime(path, (10**9 * (number % 2 + 1),) * 2)
    assert toy.states() == {}


def test_a_parameter_remakes_its_job_and_then_what_really_changed(toy):
    assert toy.whys(**UPDATES) == {TWO: "parameter updates 3 → 4"}
    behind = [f"predictions/{TWO}", "distance", "claims"]
    assert toy.states(**UPDATES) == {TWO: STALE} | dict.fromkeys(behind, BEHIND)
    assert toy.run(**UPDATES) == sorted([TWO, *behind])
    assert toy.states(**UPDATES) == {}


def test_a_change_upstream_that_gives_the_same_tables_calls_no_function_behind_it(toy):
    before = toy.bytes()
    toy.edit("agents/predictor.py", "self.update += 1", "self.update += 1 * 1")
    assert toy.run() == [ONE, TWO]
    after = toy.bytes()
    assert [path for path in before if path.endswith("parquet") and after[path] != before[path]] == []
    assert toy.run() == []


def test_early_cutoff_needs_no_earlier_entry_in_the_store(toy):
    shutil.rmtree("results/smoke/toy/.store")  # as in a copy without it, or after `agentomy tidy`
    toy.edit("agents/predictor.py", "self.update += 1", "self.update += 1 * 1")
    assert toy.run() == [ONE, TWO]


def test_going_back_to_earlier_parameters_calls_nothing(toy):
    before = toy.bytes()
    assert len(toy.run(**UPDATES)) == 4
    assert toy.run() == []
    assert toy.bytes() == before


def test_the_store_keeps_two_versions(toy):
    for updates in (4, 5):
        toy.run(overrides={"toy.training.two.updates": updates})
    job = toy.job("training", TWO)
    assert len([entry for entry in Store(job.record, 2).folder.iterdir()]) == 2
    assert job.name in toy.run()  # the first version is gone


def test_without_a_store_everything_behind_a_change_is_made(toy):
    shutil.rmtree("results/smoke/toy/.store")
    toy.edit("agents/predictor.py", "self.update += 1", "self.update += 1 * 1")
    assert toy.run(keep=False) == sorted([ONE, TWO, f"predictions/{ONE}", f"predictions/{TWO}", "distance", "claims"])


@pytest.mark.parametrize("what", ["output", "record"])
def test_what_is_lost_is_made_again_and_nothing_else(toy, what):
    job = toy.job("metrics", "distance")
    Path(job.outputs[0] if what == "output" else job.record).unlink()
    reason = "distance.parquet is missing" if what == "output" else "no record of how it was made"
    assert toy.whys() == {"distance": reason}
    before = toy.bytes()
    assert toy.run(keep=False) == []  # the store still has it
    assert toy.bytes().items() >= before.items()


def test_an_input_that_was_replaced_with_its_record_remakes_what_follows(toy):
    environment = toy.job("environments", "coin")
    shutil.rmtree("results/smoke/toy/.store/environments")
    other = toy.plan(overrides={"toy.environments.coin.episodes": 30})
    for path in environment.outputs:
        Path(path).unlink()
    toy.do(other.studies["toy"].job("environments", "coin"), environment.digest())  # a foreign maker, the same digest
    stale = {name for name, state in toy.states().items() if state == STALE}
    assert stale == {ONE, TWO, f"predictions/{ONE}", f"predictions/{TWO}", "optimal/one", "optimum/two"}


def test_a_file_of_another_size_in_the_place_of_an_artifact_is_remade(toy):
    path = Path(toy.job("metrics", "distance").outputs[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert toy.whys() == {"distance": "distance.parquet is not the file that was made"}
    toy.run()
    assert path.read_bytes() == whole


def test_an_input_of_the_same_size_that_is_not_what_was_made_is_refused(toy):
    job = toy.job("metrics", "distance")
    path = Path(job.files[0])
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # in the footer
    path.unlink()
    path.write_bytes(content)
    Path(job.record).unlink()
    with pytest.raises(BrokenTable, match="not the file that its record describes"):
        toy.do(job)


def test_what_is_forced_is_made_though_the_store_has_it(toy):
    forced = Forced(names=frozenset(["environment"]))
    assert toy.states(forced)["coin"] == STALE
    assert toy.run(forced) == ["coin"]  # the same bytes: nothing behind it is called
    assert len(toy.run(Forced(everything=True))) == 9


def test_a_record_is_written_last_so_a_job_that_was_killed_is_not_done(toy):
    job = toy.job("metrics", "distance")
    for path in [*job.outputs, job.record]:
        Path(path).unlink()
    shutil.rmtree("results/smoke/toy/.store/metrics")
    stopped = RuntimeError("killed")

    def dies(given, progress):
        stages.run_metrics(given, progress)
        raise stopped

    with pytest.raises(RuntimeError):
        keeping.do(job, job.digest(), dies, Progress("test"))
    assert toy.whys() == {"distance": "no record of how it was made"}


def test_an_input_from_the_future_costs_nothing(toy):
    job = toy.job("training", TWO, **UPDATES)
    os.utime(job.files[0], (2**32, 2**32))
    toy.run(**UPDATES)
    newest = max(os.stat(path).st_mtime for path in job.needed)
    assert all(os.stat(path).st_mtime >= newest for path in [*job.outputs, job.record])


def test_an_input_that_is_replaced_while_the_function_runs_poisons_nothing(toy):
    job = toy.job("metrics", "distance")
    for path in [*job.outputs, job.record]:
        Path(path).unlink()
    shutil.rmtree("results/smoke/toy/.store/metrics")

    def slow(given, progress):
        stages.run_metrics(given, progress)
        path = Path(records.record_of(job.files[0]))
        said = json.loads(path.read_text())
        said["outputs"][job.files[0]]["content"] = "0" * 64
        path.unlink()
        path.write_text(json.dumps(said))

    with pytest.raises(ConfigError, match="an input was replaced"):
        keeping.do(job, job.digest(), slow, Progress("test"))
    assert not Path(job.record).exists()
    assert not Path("results/smoke/toy/.store/metrics").exists()


def test_code_that_is_edited_while_the_function_runs_poisons_nothing(toy, monkeypatch):
    job = toy.job("metrics", "distance")
    Path(job.record).unlink()
    shutil.rmtree("results/smoke/toy/.store/metrics")
    monkeypatch.setattr(edits, "WORKFLOW", toy.path)
    monkeypatch.setattr(keeping, "Plan", lambda config, lazy: toy.plan())

    def edited(given, progress):
        stages.run_metrics(given, progress)
        toy.edit("papers/bayes/measure/optimality.py", "def kl_to_bayes(", "@print\ndef kl_to_bayes(")

    with pytest.raises(ConfigError, match="edited meanwhile"):
        keeping.do(job, job.digest(), edited, Progress("test"))
    assert not Path(job.record).exists()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOSPC, errno.EOPNOTSUPP])
@pytest.mark.parametrize("number", [0, 1])
def test_trouble_with_the_store_never_fails_a_job(toy, monkeypatch, error, number):
    job = toy.job("training", TWO, **UPDATES)
    calls, link = [], os.link

    def refuses(source, target):
        calls.append(target)
        if len(calls) > number:
            raise OSError(error, os.strerror(error))
        link(source, target)

    monkeypatch.setattr(os, "link", refuses)
    assert toy.do(job) == "done"
    monkeypatch.undo()
    monkeypatch.chdir(toy.path)
    store = Store(job.record, 2)
    assert not store.has(records.read(job.record).key)
    assert not [entry for entry in store.folder.iterdir() if entry.name.startswith(".")]  # no half entry is left
    assert job.name not in toy.states(**UPDATES)


def test_somebody_elses_file_is_copied_into_the_store(toy, monkeypatch):
    job = toy.job("metrics", "distance")
    shutil.rmtree("results/smoke/toy/.store/metrics")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    def refused(source, target):
        raise PermissionError(errno.EPERM, "somebody else's")

    monkeypatch.setattr(os, "link", refused)
    record = records.read(job.record)
    assert Store(job.record, 2).put(record)
    Path(job.outputs[0]).unlink()
    assert Store(job.record, 2).take(record.key) == record


@pytest.mark.parametrize("damage", ["flipped", "truncated", "no record", "half a record", "no file"])
def test_a_damaged_entry_is_a_miss(toy, damage):
    job = toy.job("metrics", "distance")
    entry = Store(job.record, 2).folder / records.read(job.record).key
    stored, record = entry / "0", entry / "record.json"
    whole = stored.read_bytes()
    contents = {"flipped": bytes([*whole[:-30], whole[-30] ^ 4, *whole[-29:]]), "truncated": whole[:50]}
    if damage in contents:
        stored.unlink()
        stored.write_bytes(contents[damage])
    elif damage == "half a record":
        record.write_text(record.read_text()[:40])
    else:
        (record if damage == "no record" else stored).unlink()
    for path in [*job.outputs, job.record]:
        Path(path).unlink(missing_ok=True)
    assert toy.run() == ["distance"]
    assert Path(job.outputs[0]).read_bytes() == whole


def test_a_new_version_leaves_the_stored_one_as_it_was(toy):
    job = toy.job("training", ONE)
    entry = Store(job.record, 2).folder / records.read(job.record).key
    before = (entry / "0").read_bytes()
    toy.run(overrides={"toy.training.one.updates": 5})
    assert (entry / "0").read_bytes() == before
    assert not list(Path("results").rglob("*.part"))


def test_taking_back_what_is_already_there_leaves_no_second_name(toy):
    job = toy.job("metrics", "distance")
    record = records.read(job.record)
    store = Store(job.record, 2)
    store.take(record.key)
    assert os.path.samefile(job.outputs[0], store.folder / record.key / "0")
    store.take(record.key)
    names = [path.name for path in Path(job.outputs[0]).parent.iterdir()]
    assert names == ["distance.parquet"]


def test_an_artifact_without_a_record_is_no_input(toy):
    job = toy.job("metrics", "distance")
    Path(records.record_of(job.files[0])).unlink()
    with pytest.raises(TableError, match="has no record of how it was made; run snakemake again"):
        toy.do(job)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"outputs": 3}', "{" * 2000, '{"format": 1}', "\udcff"])
def test_a_record_that_cannot_be_read_is_none(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert records.read(path) is None


def test_a_function_that_moves_unchanged_remakes_nothing(toy):
    path = toy.path / "agentomy"
    (path / "lenses" / "elsewhere.py").write_text((path / "papers/bayes/measure/optimality.py").read_text())
    study = toy.path / "studies" / "toy.yaml"
    study.write_text(study.read_text().replace("papers.bayes.measure.optimality.kl", "lenses.elsewhere.kl"))
    assert toy.states() == {}


def test_what_a_person_adopts_fits_again_and_the_report_says_so(toy, monkeypatch, capsys):
    toy.edit("agents/predictor.py", "self.update += 1", "self.update += 1 * 1")
    (toy.path / "config.yaml").write_text("{scale: smoke, studies: [toy]}")
    monkeypatch.setattr(command, "planned", lambda options: toy.plan())
    files = [toy.job("training", name).outputs[0] for name in (ONE, TWO)]
    assert command.main(["adopt", *files]) == 0
    assert "adopted (code of agents.predictor.Predictor)" in capsys.readouterr().out
    assert toy.states() == {}
    session = Session(toy.plan())
    session.begin(["toy"], Forced())
    assert session.adopted_text(("toy", "metrics", "distance")) == (
        f"Adopted without being made again: toy: training {ONE}, toy: training {TWO}."
    )
    assert session.adopted_text(("toy", "environments", "coin")) == ""


def test_what_is_not_what_was_made_cannot_be_adopted(toy, monkeypatch, capsys):
    monkeypatch.setattr(command, "planned", lambda options: toy.plan(**UPDATES))
    path = Path(toy.job("training", TWO).outputs[1])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert command.main(["adopt", str(path)]) == 1
    assert f"{path}: is not what was made; run snakemake" in capsys.readouterr().err


def test_whole_files_are_verified(toy, monkeypatch, capsys):
    monkeypatch.setattr(command, "planned", lambda options: toy.plan())
    assert command.main(["verify"]) == 0
    path = Path(toy.job("metrics", "distance").outputs[0])
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert command.main(["verify"]) == 1
    assert f"{path}: is not what was made" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "words"), [({"processor": "vax 780"}, "vax 780"), ({}, "a processor that is not known")]
)
def test_a_record_names_the_kind_of_processor_which_makes_nothing_stale(toy, monkeypatch, capsys, told, words):
    monkeypatch.setattr(command, "planned", lambda options: toy.plan())
    path = Path(toy.job("metrics", "distance").record)
    content = json.loads(path.read_text())
    here = content.pop("processor")
    assert here == records.processor() != ""
    assert command.main(["verify"]) == 0
    assert "made on" not in capsys.readouterr().out
    path.write_text(json.dumps({**content, **told}))  # of another machine, or of an earlier version
    assert toy.states() == {}
    assert command.main(["verify"]) == 0
    assert f"1 made on {words}; this is {here}\n" in capsys.readouterr().out


def test_kernels_that_a_person_chooses_are_part_of_that_kind(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert records.processor.__wrapped__().endswith(" MKL_CBWR=COMPATIBLE")


def test_tidy_leaves_what_was_made_and_what_a_stopped_training_goes_on_from(toy, monkeypatch):
    monkeypatch.setattr(command, "planned", lambda options: toy.plan())
    restart = Path("results/smoke/toy/training/.restart")
    for name in (ONE, "another.seeds0-0"):
        (restart / name).mkdir(parents=True)
        (restart / name / "state.safetensors").write_bytes(b"state")
    before = {path: content for path, content in toy.bytes().items() if ".restart" not in path}
    assert command.main(["tidy"]) == 0
    assert not Path("results/smoke/toy/.store").exists()
    assert [file.name for file in restart.iterdir()] == ["another.seeds0-0"]
    assert {path: content for path, content in toy.bytes().items() if ".restart" not in path} == before
    assert toy.states() == {}


def test_verdicts_are_printed_with_what_is_wrong_about_them(toy, monkeypatch, capsys):
    monkeypatch.setattr(command, "planned", lambda options: toy.plan(**UPDATES))
    assert command.main(["claims"]) == 0
    said = capsys.readouterr().out
    assert "C1" in said
    assert "toy: what they are judged on is out of date" in said
    assert "snakemake --cores all toy --config scale=smoke" in said
    Path(toy.job("claims", "claims").outputs[0]).unlink()
    command.main(["claims"])
    assert "toy: not judged yet; to do so: snakemake" in capsys.readouterr().out
