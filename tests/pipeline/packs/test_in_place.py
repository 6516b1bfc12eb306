"""What is there already, what does not fit, and what goes wrong while a pack is unpacked."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentomy.mistakes import ConfigError
from agentomy.pipeline.packs import forms, unpack
from agentomy.pipeline.packs.pack import Choice
from agentomy.pipeline.uptodate import records
from agentomy.tables import TableError
from tests.foundation.toy_chain import ONE, TWO, UPDATES

PARAMETERS = f"results/smoke/toy/training/{ONE}.parameters.parquet"
CLAIMS = "results/smoke/toy/.made/claims/claims.json"


def test_the_same_again_touches_nothing(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip")
    here.unpack(tmp_path / "toy.zip")
    before = {file: os.stat(file).st_ino for file in here.files}
    said = here.unpack(tmp_path / "toy.zip")
    assert said[0] == "toy, scale smoke: 0 of 9 jobs unpacked, 9 were there"
    assert {file: os.stat(file).st_ino for file in here.files} == before


def test_of_two_packs_the_one_that_has_more_of_a_job_counts(source, here, tmp_path):
    for choice in ("none", "last", "all"):
        source.pack(tmp_path / f"{choice}.zip", Choice(choice))
    for choice in ("none", "last", "none", "all", "last", "none"):
        here.unpack(tmp_path / f"{choice}.zip")
        if choice == "last":
            assert (here.path / PARAMETERS).exists()
    assert here.files == source.toy


def test_what_was_made_otherwise_is_never_replaced_unasked_and_else_it_is_kept(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip")
    here.unpack(tmp_path / "toy.zip")
    here.run(**UPDATES)
    before, mine = here.files, here.job("training", TWO, **UPDATES)
    with pytest.raises(ConfigError) as refused:
        here.unpack(tmp_path / "toy.zip", **UPDATES)
    assert "4 of its jobs are in results/smoke otherwise" in str(refused.value)
    assert "allowed: --replace" in str(refused.value)
    assert here.files == before
    said = here.unpack(tmp_path / "toy.zip", replaces=True)
    assert "4 of 9 jobs unpacked, 5 were there, 4 replaced, of which 4 are in the store" in said[0]
    assert here.files == source.toy
    assert here.run(**UPDATES) == []  # going back calls no function
    assert Path(mine.outputs[0]).read_bytes() == before[mine.outputs[0]]


def test_a_damaged_file_is_replaced_only_if_asked(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip")
    here.unpack(tmp_path / "toy.zip")
    content = bytearray(Path(PARAMETERS).read_bytes())
    content[40] ^= 1
    Path(PARAMETERS).write_bytes(content)
    with pytest.raises(ConfigError, match="1 of its jobs are in results/smoke otherwise"):
        here.unpack(tmp_path / "toy.zip")
    here.unpack(tmp_path / "toy.zip", replaces=True)
    assert Path(PARAMETERS).read_bytes() == (source.path / PARAMETERS).read_bytes()


def test_times_of_this_machine_stay(source, here, tmp_path):
    place = source.path / forms.benchmark_of(CLAIMS)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("theirs")
    try:
        source.pack(tmp_path / "toy.zip")
    finally:
        place.unlink()
    here.unpack(tmp_path / "toy.zip")
    times = here.path / forms.benchmark_of(CLAIMS)
    assert times.read_text() == "theirs"
    times.write_text("ours")
    Path(CLAIMS).unlink()
    here.unpack(tmp_path / "toy.zip")
    assert times.read_text() == "ours"


def test_what_does_not_fit_is_placed_and_said_with_its_reason(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip")
    here.edit("papers/bayes/measure/optimality.py", "def kl_to_bayes(", "@staticmethod\ndef kl_to_bayes(")
    said = here.unpack(tmp_path / "toy.zip", **UPDATES)
    assert said[1] == "2 of 9 planned jobs do not fit, 2 are behind them:"
    assert f"  training {TWO} (parameter updates 3 → 4)" in said
    assert "  metrics distance (code of papers.bayes.measure.optimality.kl_to_bayes)" in said
    assert "snakemake would make them anew; to see all: snakemake -n toy --config scale=smoke" in said
    assert "packed with overrides: {}; here they are {'toy.training.two.updates': 4}" in said
    assert Path(PARAMETERS).exists()


def test_jobs_that_are_not_planned_here_are_said(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip")
    text = here.path / "studies" / "toy.yaml"
    text.write_text(text.read_text().replace("of: [one, two]", "of: [one]"))
    said = here.unpack(tmp_path / "toy.zip")
    assert f"1 jobs are not in the plan of this folder: checkpoints predictions/{TWO}" in said


def test_another_python_is_said(source, here, tmp_path, monkeypatch):
    source.pack(tmp_path / "toy.zip")
    monkeypatch.setattr("agentomy.pipeline.plan.jobs.PYTHON", "9.9")
    monkeypatch.setattr(unpack, "PYTHON", "9.9")
    said = here.unpack(tmp_path / "toy.zip")
    assert any(line.endswith("; this is 9.9") for line in said)


def test_a_study_that_is_not_here_is_one_line(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip")
    (here.path / "studies" / "toy.yaml").rename(here.path / "studies" / "toys.yaml")
    (here.path / "studies" / "taker.yaml").unlink()
    with pytest.raises(ConfigError, match=r"no study 'toy' \(did you mean 'toys'\?\)"):
        here.unpack(tmp_path / "toy.zip")


def dies_at(number: int, do: Callable[[], None]) -> bool:
    """Run in a process of its own that dies at a change of the file system; whether it did."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def counted(call):
            def instead(*given, **named):
                nonlocal count
                count += 1
                if count == number:
                    os._exit(9)
                return call(*given, **named)

            return instead

        for name in ("replace", "unlink", "fsync", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        try:
            do()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


@pytest.mark.parametrize("over", ["nothing", "a thinned pack", "what was made otherwise"])
def test_a_kill_leaves_each_job_whole_or_undone_and_the_same_command_goes_on(source, here, tmp_path, over):
    source.pack(tmp_path / "toy.zip")
    source.pack(tmp_path / "last.zip", Choice("last"))
    if over == "a thinned pack":
        here.unpack(tmp_path / "last.zip")
    if over == "what was made otherwise":
        here.unpack(tmp_path / "toy.zip")
        here.run(**UPDATES)
    if Path("results").exists():
        shutil.copytree("results", "before")
    plan, replaces, number, kills = here.plan(), over == "what was made otherwise", 0, 0
    while number < 1000:
        number += 3
        shutil.rmtree("results", ignore_errors=True)
        if Path("before").exists():
            shutil.copytree("before", "results")
        if not dies_at(number, lambda: unpack.unpack(tmp_path / "toy.zip", lambda scale: plan, replaces)):
            break
        kills += 1
        for file in Path("results").rglob(".made/**/*.json"):
            record = records.read(file)
            assert record is not None
            for path, output in record.there.items():  # a file may be gone, which the plan sees
                assert not Path(path).exists() or records.fingerprint(path) == output
        unpack.unpack(tmp_path / "toy.zip", lambda scale: plan, replaces)
        assert here.files == source.toy
    assert kills > 5


@pytest.mark.parametrize("trouble", ["little room", "full while written", "read only"])
def test_a_full_or_locked_disk_places_nothing(source, here, tmp_path, monkeypatch, trouble):
    source.pack(tmp_path / "toy.zip")
    if trouble == "little room":
        usage = shutil.disk_usage("/")._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    elif trouble == "read only":
        Path("results").write_text("")  # root may write anywhere
    else:
        calls = []

        def full(handle):
            calls.append(handle)
            if len(calls) > 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((ConfigError, TableError)) as refused:
        here.unpack(tmp_path / "toy.zip")
    assert str(refused.value).isprintable()
    assert here.files == {}
