"""What a person does with results that are there: adopt, verify, tidy, and read verdicts."""

import json
from pathlib import Path

import pytest

from agentomy import command
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.session import Forced, Session
from tests.foundation.toy_chain import ONE, TWO, UPDATES


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
