"""Groups of a layer's pixels with names and colours: changing them by hand, and keeping them in a file."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import fcluster

from agentomy import kinds
from agentomy.drawing.style import COLOURS
from agentomy.explorer.activations import Network, Place, digest
from agentomy.explorer.results import OWN, Results
from agentomy.lenses import grouping
from agentomy.papers.maze.measure.pixel_groups import Level
from agentomy.tables import Table, TableError, write

# told apart with any colour vision, as in the figures: the largest groups, other ones of several pixels, single pixels
LARGE = ("blue", "vermillion", "green", "orange", "sky", "pink", "yellow", "black")
PALE, SINGLE = "grey", "white"
PALETTE = {**{name: COLOURS[name] for name in LARGE}, PALE: "#C9C9C9", SINGLE: "#FFFFFF"}
METHODS = ("single linkage", "k-means")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
LONGEST = 60  # name of a group
FOLDER = "labels"


class Impossible(ValueError):
    """A change of groups that makes no sense; the message says why."""


@dataclass(frozen=True)
class Labelling:
    """The group of each pixel [N], from 0, none of them empty, and the groups' names and colours.

    Changes make a new one; `Impossible` if they make no sense.
    """

    groups: np.ndarray
    names: tuple[str, ...]
    colours: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def touched(self, pixels: np.ndarray) -> list[int]:
        """The groups of some pixels (their indices)."""
        return np.unique(self.groups[pixels]).tolist()

    def taken(self, pixels: np.ndarray) -> "Labelling":
        """The same with these pixels taken out of their groups, as a new group."""
        if not len(pixels):
            raise Impossible("no pixel is selected; allowed: a selection to split off")
        groups = self.groups.copy()
        groups[pixels] = len(self)
        return Labelling(groups, (*self.names, ""), (*self.colours, self._free())).without_empty()

    def halved(self, group: int, points: np.ndarray) -> "Labelling":
        """A group cut in two where its single linkage merges last, by its pixels' activations in points [N, C]."""
        members = np.flatnonzero(self.groups == group)
        if len(members) < 2:
            raise Impossible("a single pixel cannot be split; allowed: a group of several")
        links, _, _ = grouping.single_linkage(points[members])
        halves = fcluster(links, 2, "maxclust")
        if halves.max() < 2:
            raise Impossible("this group's last merges are equally far; allowed: select the pixels to split off")
        return self.taken(members[halves == np.bincount(halves)[1:].argmin() + 1])

    def merged(self, groups: list[int]) -> "Labelling":
        """The same with some groups merged into the largest, or into the largest that has a name if one has."""
        if len(groups) < 2:
            raise Impossible("pixels of one group are selected; allowed: a selection in two or more, to merge these")
        sizes = np.bincount(self.groups)
        largest = max(groups, key=lambda group: (bool(self.names[group]), sizes[group]))
        return replace(self, groups=np.where(np.isin(self.groups, groups), largest, self.groups)).without_empty()

    def named(self, group: int, name: str) -> "Labelling":
        return replace(self, names=_with(self.names, group, " ".join(name.split())[:LONGEST]))

    def coloured(self, group: int, colour: str) -> "Labelling":
        return replace(self, colours=_with(self.colours, group, colour))

    def without_empty(self) -> "Labelling":
        kept, groups = np.unique(self.groups, return_inverse=True)
        return Labelling(
            groups, tuple(self.names[group] for group in kept), tuple(self.colours[group] for group in kept)
        )

    def _free(self) -> str:
        """The colour that the fewest groups have."""
        return min(LARGE, key=self.colours.count)


def _with(values: tuple[str, ...], place: int, value: str) -> tuple[str, ...]:
    return (*values[:place], value, *values[place + 1 :])


def automatic(points: np.ndarray, method: str = METHODS[0], count: int | None = None) -> Labelling:
    """Groups of points [N, C] without names: `count` of them, or as many as single linkage has at its largest gap.

    They are numbered and coloured from the largest. If merges are equally far, single linkage may make fewer groups.
    """
    links, _, groups = grouping.single_linkage(points)
    count = min(count or int(groups.max()) + 1, len(points))
    if method == "k-means":
        groups = grouping.k_means(points, count, 0)
    elif count != groups.max() + 1:
        groups = fcluster(links, count, "maxclust") - 1
    groups = grouping.by_size(groups)
    return Labelling(groups, ("",) * (groups.max() + 1), colours(groups))


def colours(groups: np.ndarray) -> tuple[str, ...]:
    """Colours of groups that are numbered from the largest."""
    sizes = np.bincount(groups)
    return tuple(
        SINGLE if size == 1 else LARGE[number] if number < len(LARGE) else PALE for number, size in enumerate(sizes)
    )


# ---- files ----------------------------------------------------------------------------------------------------------


def files(results: Results) -> dict[str, Path]:
    """The files of labels by name."""
    return results.paths(OWN, FOLDER)


def path_of(results: Results, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise TableError(f"labels: found the name '{name}'; allowed: up to 60 letters, digits, - and _, no sign first")
    return results.inside(results.path(OWN, FOLDER, name))


def save(results: Results, name: str, place: Place, level: Level, labelling: Labelling) -> Path:
    """Write labels below the results."""
    path = path_of(results, name)
    rows, columns = level.patches.shape
    where = {"table": place.table, **place.network._asdict(), "level": place.level, "layer": place.layer}
    numbers = np.arange(len(labelling))
    names, shades = (np.array(texts, object) for texts in (labelling.names, labelling.colours))
    table = kinds.maze_pixels.LABELS.table(
        **where, rows=rows, columns=columns, digest=digest(level), group=numbers, name=names, colour=shades,
        mask=labelling.groups == numbers[:, None],
    )  # fmt: skip
    write(path, kinds.maze_pixels.LABELS, table)
    return path


@dataclass(frozen=True)
class Saved:
    """What a file of labels says."""

    path: Path
    place: Place
    shape: tuple[int, int]  # of the layer
    digest: str
    labelling: Labelling


def load(results: Results, name: str) -> Saved:
    """The labels in a file; a `TableError` if it is broken, or not one of labels."""
    path = path_of(results, name)
    table = results.table(kinds.maze_pixels.LABELS, path)
    try:
        return _read(path, table)
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not a file of labels ({error})") from None


def _read(path: Path, table: Table) -> Saved:
    rows = table.arrow()
    empty = [column for column in rows.schema.names if rows[column].null_count]
    if empty:
        raise TableError(f"{path}: nothing in column {empty[0]!r}; allowed: a row for each group")
    values = {column: rows[column].to_pylist() for column in rows.schema.names}
    shared = {column: values[column][0] for column in values if column not in ("group", "name", "colour", "mask")}
    for column, first in shared.items():
        if set(values[column]) != {first}:
            raise TableError(
                f"{path}: column '{column}': found several values; allowed: labels of one picture and layer"
            )
    if values["group"] != list(range(len(rows))):
        raise TableError(f"{path}: column 'group': found {values['group'][:9]}; allowed: 0, 1, 2, … in this order")
    for colour in values["colour"]:
        if colour not in PALETTE:
            raise TableError(f"{path}: column 'colour': found '{colour}'; allowed: {', '.join(PALETTE)}")
    groups = _groups(path, values["mask"], shared["rows"] * shared["columns"])
    names = tuple(" ".join(name.split())[:LONGEST] for name in values["name"])
    place = Place(
        shared["table"], Network(shared["run"], shared["seed"], shared["update"]), shared["level"], shared["layer"]
    )
    labelling = Labelling(groups, names, tuple(values["colour"]))
    return Saved(path, place, (shared["rows"], shared["columns"]), shared["digest"], labelling)


def _groups(path: Path, masks: list[list[int]], pixels: int) -> np.ndarray:
    """The group of each pixel, from a mask a group."""
    lengths = {len(mask) for mask in masks}
    if lengths != {pixels}:
        raise TableError(f"{path}: column 'mask': found lengths {sorted(lengths)}; allowed: {pixels}, rows × columns")
    held = np.array(masks)  # [groups, pixels]
    if not np.isin(held, (0, 1)).all() or (held.sum(axis=0) != 1).any() or not held.any(axis=1).all():
        raise TableError(f"{path}: column 'mask': allowed: 0 and 1, each pixel in one group, no group without pixels")
    return held.argmax(axis=0)
