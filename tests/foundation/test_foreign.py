"""Data that is no table of ours counts by its content, wherever it lies and whatever its dates say."""

import os

import pytest

from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.source import foreign
from tests.studies import SOURCE


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    (images / "train").write_bytes(b"one")
    (images / "more" / "test").write_bytes(b"two")
    return images


@pytest.fixture
def later(monkeypatch):
    """As if some time went by: what is known of files is old enough to be kept."""
    monkeypatch.setattr(foreign, "YOUNG", -1.0)


@pytest.fixture
def read(monkeypatch):
    """The names of files whose content was read."""
    names, really = [], foreign.hashed
    monkeypatch.setattr(foreign, "hashed", lambda file: names.append(file.name) or really(file))
    return names


def test_content_and_names_inside_count_but_no_place_and_no_date(folder, tmp_path):
    before = foreign.digest(str(folder))
    os.utime(folder / "train", (1, 1))
    folder.rename(tmp_path / "elsewhere")
    assert foreign.digest(str(tmp_path / "elsewhere")) == before
    (tmp_path / "elsewhere" / "train").rename(tmp_path / "elsewhere" / "other")
    assert foreign.digest(str(tmp_path / "elsewhere")) != before


def test_a_changed_a_new_and_a_lost_file_count(folder):
    seen = [foreign.digest(str(folder))]
    (folder / "more" / "test").write_bytes(b"TWO")
    seen.append(foreign.digest(str(folder)))
    (folder / "more" / "new").write_bytes(b"")
    seen.append(foreign.digest(str(folder)))
    (folder / "train").unlink()
    seen.append(foreign.digest(str(folder)))
    assert len(set(seen)) == 4


def test_a_single_file_counts_and_what_is_missing_is_missing(folder):
    one = foreign.digest(str(folder / "train"))
    (folder / "train").write_bytes(b"other")
    assert foreign.digest(str(folder / "train")) != one
    assert foreign.digest(str(folder / "nothing")) == "missing"


def test_what_is_old_enough_is_read_once(folder, later, read):
    before = foreign.digest(str(folder))
    assert read == ["test", "train"] or read == ["train", "test"]
    assert foreign.digest(str(folder)) == before
    assert len(read) == 2


def test_what_is_young_is_read_again(folder, read):
    for _ in range(2):
        foreign.digest(str(folder))
    assert len(read) == 4


def test_a_copy_with_the_old_date_and_size_is_seen(folder, later, read):
    """`cp -p` over a file keeps its inode, size and date; only the time of its change tells."""
    path = folder / "train"
    before, was = foreign.digest(str(folder)), os.stat(path)
    with path.open("r+b") as handle:
        handle.write(b"two")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    now = os.stat(path)
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (was.st_ino, was.st_size, was.st_mtime_ns)
    assert foreign.digest(str(folder)) != before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "", "answers": 3}', "\xff"])
def test_broken_notes_are_passed_over(folder, later, text):
    before = foreign.digest(str(folder))
    (folder.parent / ".snakemake" / "agentomy-foreign.json").write_bytes(text.encode("latin-1"))
    assert foreign.digest(str(folder)) == before


def test_the_plan_holds_the_content_of_a_folder_of_images(folder):
    changes = {"source": "idx", "folder": str(folder)}
    overrides = {f"nld.environments.digits.{key}": value for key, value in changes.items()}
    config = {"scale": "smoke", "studies": ["nld"], "overrides": overrides}

    def digest():
        return Plan(config, source=SOURCE, lazy=True).studies["nld"].job("environments", "digits").digest()

    before = digest()
    assert digest() == before
    (folder / "train").write_bytes(b"three")
    assert digest() != before
