"""Up to date means that the record of an artifact's making fits the plan."""

import json
import os
import shutil
from pathlib import Path

import pytest

from agentomy.mistakes import ConfigError
from agentomy.pipeline.run import stages
from agentomy.pipeline.uptodate import edits, keeping, records
from agentomy.pipeline.uptodate.session import Forced
from agentomy.pipeline.uptodate.states import BEHIND, STALE
from agentomy.progress import Progress
from agentomy.tables import BrokenTable, TableError
from tests.foundation.toy_chain import ONE, TWO, UPDATES


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
