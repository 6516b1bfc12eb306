"""What was made before is taken back from the store, and the store never spoils what is there."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.store import Store
from tests.foundation.toy_chain import ONE, TWO, UPDATES


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
