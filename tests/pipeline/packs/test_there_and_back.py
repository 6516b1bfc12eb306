"""What is packed and unpacked is used as if it had been made there; and what goes into a pack."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from agentomy import command, kinds
from agentomy.mistakes import ConfigError
from agentomy.pipeline.packs import archive, forms
from agentomy.pipeline.packs.pack import Choice
from agentomy.pipeline.plan import decided
from agentomy.pipeline.plan.decided import Decided
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.session import Forced, Session
from agentomy.tables import Table, TableError
from tests.foundation.toy_chain import ONE, UPDATES

CHOICES = [Choice(), Choice("last"), Choice("2"), Choice("none"), Choice("all", "none"), Choice("none", "none")]
PARAMETERS = f"results/smoke/toy/training/{ONE}.parameters.parquet"


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice.parameters}-{choice.extractions}")
def test_what_is_unpacked_leaves_nothing_to_do_and_is_what_was_made(source, here, tmp_path, choice):
    source.pack(tmp_path / "toy.zip", choice)
    said = here.unpack(tmp_path / "toy.zip")
    assert said[-1] == "all of it fits: `snakemake --cores all toy --config scale=smoke` has nothing to do"
    assert here.states() == {}
    before, after = source.files, here.files
    assert {file for file in after if "training" in file and file.endswith("log.parquet")}
    same = {file for file in after if after[file] == before[file]}
    thinned = {file for file in after.keys() - same if "/.made/" not in file}
    assert all(file.endswith(".parameters.parquet") for file in thinned)
    assert bool(thinned) == (choice.parameters in ("last", "2"))
    gone = {file for file in before if "/toy/" in file} - after.keys()
    assert any(file.endswith(".parameters.parquet") for file in gone) == (choice.parameters == "none")
    assert any("/toy/checkpoints/" in file for file in gone) == (choice.extractions == "none")
    assert all(".parameters." in file or "/checkpoints/" in file for file in gone)


def test_the_same_results_give_the_same_archive_wherever_and_whenever(source, here, tmp_path):
    source.pack(tmp_path / "one.zip")
    here.unpack(tmp_path / "one.zip")
    here.pack(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    for count in (1, 2):
        source.pack(tmp_path / f"last{count}.zip", Choice("last"))
    assert (tmp_path / "last1.zip").read_bytes() == (tmp_path / "last2.zip").read_bytes()


@pytest.mark.parametrize(("choice", "updates"), [("last", [3]), ("1", [3]), ("2", [0, 3]), ("3", [0, 2, 3])])
def test_thinned_networks_are_those_of_the_chosen_snapshots(source, here, tmp_path, choice, updates):
    source.pack(tmp_path / "toy.zip", Choice(choice))
    here.unpack(tmp_path / "toy.zip")
    file = PARAMETERS.replace("one", "two")
    whole, thin = (Table(kinds.common.PARAMETERS, [folder.path / file]) for folder in (source, here))
    assert thin.values("update").tolist() == updates
    assert thin.description == whole.description
    assert thin.arrow().equals(whole.where(update=updates).arrow())


def test_more_snapshots_than_there_are_are_all(source, tmp_path):
    source.pack(tmp_path / "some.zip", Choice("999"))
    with archive.opened(tmp_path / "some.zip") as pack:
        content = pack.manifest.files[PARAMETERS].content
    assert content == records.fingerprint(source.path / PARAMETERS).content


def test_a_study_comes_with_what_it_takes_in_of_others(source, here, tmp_path):
    said = source.pack(tmp_path / "taker.zip", Choice("none"), "taker")
    assert "with what it takes in of toy" in said
    said = here.unpack(tmp_path / "taker.zip")
    assert said[-1].startswith("all of it fits")
    jobs = {f"{key[1]} {key[2]}" for key in (forms.maker_of(file) for file in here.files if "/.made/" in file)}
    assert jobs == {"environments coin", f"training {ONE}", f"checkpoints taken/toy.{ONE}", "claims claims"}
    session = Session(here.plan(studies=["taker"]))
    session.begin(["taker"], Forced())
    assert session.todo == []
    source.pack(tmp_path / "toy.zip")  # the other study's own pack has more of it
    said = here.unpack(tmp_path / "toy.zip")
    assert "8 of 9 jobs unpacked, 1 were there" in said[0]
    assert (here.path / PARAMETERS).exists()
    assert here.states() == {}


def test_seeds_that_were_decided_come_along(mine, tmp_path):
    mine.run(decided={"toy.one": 2})
    mine.pack(tmp_path / "toy.zip", decided={"toy.one": 2})
    made = mine.toy
    shutil.rmtree("results")
    decided.write("smoke", Decided(seeds={"taker.other": 3}))
    said = mine.unpack(tmp_path / "toy.zip")
    assert said[-1].startswith("all of it fits")
    assert "toy.one: planned with the seeds that `agentomy decide` had added (results/smoke/decided.yaml)" in said
    assert decided.read("smoke").seeds == {"taker.other": 3, "toy.one": 2}
    assert mine.toy == made
    assert not mine.states(decided={"toy.one": 2})


def test_more_seeds_than_here_stay(mine, tmp_path):
    mine.pack(tmp_path / "toy.zip", decided={"toy.one": 1})
    decided.write("smoke", Decided(seeds={"toy.one": 4}))
    mine.unpack(tmp_path / "toy.zip", decided={"toy.one": 4})
    assert decided.read("smoke").seeds == {"toy.one": 4}


def test_only_what_is_up_to_date_is_packed(mine, tmp_path):
    with pytest.raises(ConfigError, match=r"4 of 9 jobs are not up to date, such as training two.seeds0-0 \(parameter"):
        mine.pack(tmp_path / "toy.zip", **UPDATES)
    assert not (tmp_path / "toy.zip").exists()


def test_a_file_that_is_not_what_was_made_is_not_packed(mine, tmp_path):
    content = bytearray(Path(PARAMETERS).read_bytes())
    content[40] ^= 1
    Path(PARAMETERS).unlink()
    Path(PARAMETERS).write_bytes(content)
    with pytest.raises(ConfigError, match="is not what was made"):
        mine.pack(tmp_path / "toy.zip")
    assert [*tmp_path.glob("*zip*")] == []


def test_no_other_file_is_written_over(mine, tmp_path):
    (tmp_path / "thesis.zip").write_text("years")
    with pytest.raises(ConfigError, match="is there, and is no pack"):
        mine.pack(tmp_path / "thesis.zip")
    assert (tmp_path / "thesis.zip").read_text() == "years"
    for _ in range(2):
        mine.pack(tmp_path / "toy.zip")


def test_a_full_disk_leaves_no_half_pack(mine, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TableError, match="No space left on device"):
        mine.pack(tmp_path / "toy.zip")
    assert [*tmp_path.glob("*zip*"), *tmp_path.glob(".*")] == []


def test_the_commands(mine, tmp_path, monkeypatch, capsys):
    (mine.path / "config.yaml").write_text("{scale: smoke, studies: [toy]}")
    monkeypatch.setattr(command, "planned", lambda options: mine.plan())
    assert command.main(["pack", "toy", "--parameters", "last", "-o", str(tmp_path / "toy.zip")]) == 0
    assert "2 files of networks are thinned, 0 files are left out" in capsys.readouterr().out
    shutil.rmtree("results")
    assert command.main(["unpack", str(tmp_path / "toy.zip")]) == 0
    assert "9 of 9 jobs unpacked" in capsys.readouterr().out
    assert command.main(["unpack", str(tmp_path / "none.zip")]) == 1
    assert capsys.readouterr().err.strip().endswith("none.zip: cannot be read (No such file or directory)")
    for wrong in ("some", "0", "-1", "1.5", "²"):
        with pytest.raises(SystemExit):
            command.main(["pack", "toy", f"--parameters={wrong}"])
