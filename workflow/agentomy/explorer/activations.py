"""The layers whose pixels can be grouped: those in the pipeline's tables of features."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agentomy import kinds
from agentomy.explorer.results import Results
from agentomy.papers.maze.agents import NETWORKS
from agentomy.papers.maze.measure import pixel_groups
from agentomy.papers.maze.measure.pixel_groups import Level
from agentomy.tables import BrokenTable, Table, TableError


class Network(NamedTuple):
    """A network at one snapshot."""

    run: str
    seed: int
    update: int

    @property
    def label(self) -> str:
        return f"{self.run}, seed {self.seed}, " + (f"update {self.update}" if self.update else "untrained")


class Place(NamedTuple):
    """One layer of one network for one picture, in the table of features with this label."""

    table: str
    network: Network
    level: int
    layer: str


Files = tuple[Path, ...]  # of one extraction


def feature_tables(results: Results) -> tuple[dict[str, Files], list[str]]:
    """The tables of features by label, those named `features` first, and what is wrong with files."""
    tables, problems = {}, []
    for study in results.studies:
        pieces = results.pieces(study)
        for name in sorted(pieces, key=lambda name: name != "features"):
            for path in pieces[name]:
                try:
                    results.table(kinds.maze_pixels.FEATURES, path)
                except BrokenTable as error:
                    problems.append(str(error))
                except TableError:  # of another kind
                    break
                else:
                    label = f"{study}: {name}"
                    tables[label] = (*tables.get(label, ()), path)
    return tables, problems


def networks(results: Results, files: Files) -> list[Network]:
    """The networks of a table, in its order."""
    return list(_networks(results, files, written(files)))


def written(files: Files) -> tuple[int, ...]:
    """When each file was written, which tells whether a cached answer still holds."""
    return tuple(path.stat().st_mtime_ns for path in files)


@lru_cache(maxsize=8)
def _networks(results: Results, files: Files, written: tuple[int, ...]) -> tuple[Network, ...]:
    frame = results.table(kinds.maze_pixels.FEATURES, *files).frame([*NETWORKS, "rows"])
    frame = frame[frame["rows"] > 1].drop_duplicates(list(NETWORKS))
    return tuple(Network(str(run), int(seed), int(update)) for run, seed, update in frame[[*NETWORKS]].values)


def levels(results: Results, files: Files, network: Network) -> list[int]:
    """The levels whose layers the table has, in its order."""
    return list(dict.fromkeys(_rows(results, files, written(files), network).values("level").tolist()))


def layers(results: Results, files: Files, network: Network, level: int) -> dict[str, Level]:
    """The pixels of every layer with places for one picture, in the order of the layers."""
    rows = _rows(results, files, written(files), network).where(level=level)
    try:
        return {key["layer"]: next(layer.levels()) for key, layer in pixel_groups.layers(rows)}
    except ValueError as error:  # sizes that do not fit each other
        raise TableError(f"{files[0].parent}: not the features of a maze network ({error})") from None


@lru_cache(maxsize=4)
def _rows(results: Results, files: Files, written: tuple[int, ...], network: Network) -> Table:
    return results.table(kinds.maze_pixels.FEATURES, *files).where(**network._asdict())


def digest(level: Level) -> str:
    """A hash of a layer's output."""
    return sha256(level.points.astype(np.float32).tobytes()).hexdigest()


def near(layer: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """Which pixels of a layer [H · W] have which of the layer before it (or the picture) [H' · W'] at them.

    Pixel (i, j) is centred on (s i, s j), where s is the stride (`pixel_groups.stride`): at it are those at most half a
    stride away.
    """
    step = pixel_groups.stride(other[0], layer[0])
    rows, columns = (
        np.abs(step * np.arange(size)[:, None] - np.arange(size_before)) <= step // 2
        for size, size_before in zip(layer, other, strict=True)
    )
    return np.kron(rows, columns)


def patch(code: int) -> str:
    """A type of 3 × 3 patch as text, row by row: # wall, . floor, M mouse, C cheese, ~ outside the picture."""
    signs = [".#MC~"[code // pixel_groups.CODES**place % pixel_groups.CODES] for place in range(9)]
    return " ".join("".join(signs[at : at + 3]) for at in (0, 3, 6))
