"""What did not come whole with a pack is made again if something has to read it, and otherwise never."""

from pathlib import Path

import pytest
from bokeh.document import Document
from bokeh.models import Div, Tabs

from agentomy import command
from agentomy.explorer import pages
from agentomy.explorer.results import Results
from agentomy.pipeline.packs.pack import Choice
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.session import Forced, Session
from agentomy.pipeline.uptodate.states import STALE
from agentomy.pipeline.uptodate.store import Store
from agentomy.tables import TableError
from tests.foundation.toy_chain import ONE, TWO, Folder

PARAMETERS = f"results/smoke/toy/training/{ONE}.parameters.parquet"
CHOICES = [Choice(), Choice("last"), Choice("none"), Choice("none", "none")]


def begun(folder: Folder, *targets: str) -> Session:
    session = Session(folder.plan())
    session.begin(targets or ["toy"], Forced())
    return session


@pytest.mark.parametrize("choice", ["none", "last"])
def test_networks_are_trained_again_only_if_what_reads_them_is_to_be_made(source, here, tmp_path, choice):
    source.pack(tmp_path / "toy.zip", Choice(choice))
    here.unpack(tmp_path / "toy.zip")
    session = begun(here)
    assert (session.todo, session.plan_text()) == ([], "agentomy: nothing to be done")
    assert session.absent == ({PARAMETERS, PARAMETERS.replace("one", "two")} if choice == "none" else frozenset())
    here.edit("papers/bayes/measure/optimality.py", "def kl_to_bayes(", "@staticmethod\ndef kl_to_bayes(")
    assert {key[2] for key, _ in begun(here).todo} == {"distance", "claims"}  # no network is read
    here.edit("papers/bayes/extract/predictions.py", "def predictions(", "@staticmethod\ndef predictions(")
    session = begun(here)
    trained = {key[2]: state for key, state in session.todo if key[1] == "training"}
    assert {*trained} == {ONE, TWO}
    assert trained[ONE].is_ == STALE
    assert trained[ONE].why == f"{ONE}.parameters.parquet did not come whole with the pack"
    line = (
        f"agentomy: the pack came without outputs of training {ONE}, training {TWO} that are read now; these run again"
    )
    assert line in session.plan_text().splitlines()
    assert line in session.header().splitlines()
    assert session.absent == frozenset()


def test_a_network_that_is_asked_for_by_name_is_trained_again(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip", Choice("last"))
    here.unpack(tmp_path / "toy.zip")
    assert begun(here, f"results/smoke/toy/training/{ONE}.log.parquet").todo == []
    assert [key[2] for key, _ in begun(here, PARAMETERS).todo] == [ONE]


def test_what_is_made_again_from_training_on_is_the_same(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip", Choice("last", "none"))
    here.unpack(tmp_path / "toy.zip")
    for stage, name in (("metrics", "distance"), ("claims", "claims")):
        for file in here.job(stage, name).outputs:
            Path(file).unlink()
    session = begun(here)
    assert {key[1] for key, _ in session.todo} == {"training", "checkpoints", "metrics", "claims"}
    for key, _ in session.todo:
        job = here.job(*key[1:])
        for path in [*job.outputs, job.record]:  # as Snakemake does
            Path(path).unlink(missing_ok=True)
        here.do(job)
    before, after = source.files, here.files
    assert all(after[file] == before[file] for file in after)
    assert here.states() == {}


def test_a_thinned_table_is_nobodys_input(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip", Choice("last"))
    here.unpack(tmp_path / "toy.zip")
    job = here.job("checkpoints", f"predictions/{ONE}")
    with pytest.raises(TableError, match="is not whole, as it came with a pack"):
        here.do(job)
    assert not Store(here.job("training", ONE).record, 2).put(records.read(here.job("training", ONE).record))


def test_the_explorer_shows_what_is_there(source, here, tmp_path):
    source.pack(tmp_path / "toy.zip", Choice("last"))
    here.unpack(tmp_path / "toy.zip")
    results = Results("results", "smoke", here.plan())
    assert results.studies == ["toy"]
    assert [(run.name, run.updates) for run in results.runs()] == [("one", (2,)), ("two", (3,))]
    (line,) = results.problems
    assert line.startswith("toy: of 2 training jobs not all networks came with the pack")


@pytest.mark.parametrize("choice", CHOICES)
def test_the_explorer_opens_on_every_pack(source, here, tmp_path, choice):
    source.pack(tmp_path / "toy.zip", choice)
    here.unpack(tmp_path / "toy.zip")
    document = Document()
    pages.fill(document, Results("results", "smoke", here.plan()))
    tabs = document.select_one({"type": Tabs})
    for number in range(len(tabs.tabs)):
        tabs.active = number
        texts = [div.text for div in tabs.tabs[number].child.select({"type": Div})]
        assert not any("a bug in agentomy" in text or "reading the results" in text for text in texts)


def test_verify_knows_what_stands_in_the_place_of_what_was_made(source, here, tmp_path, monkeypatch, capsys):
    source.pack(tmp_path / "toy.zip", Choice("last", "none"))
    here.unpack(tmp_path / "toy.zip")
    monkeypatch.setattr(command, "planned", lambda options: here.plan())
    assert command.main(["verify"]) == 0
    assert ", 0 of them not what was made" in capsys.readouterr().out
    Path(PARAMETERS).write_bytes(b"x")
    assert command.main(["verify"]) == 1
