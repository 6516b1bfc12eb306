"""Spaces of observations and actions, from gymnasium's own or from what SB3 wrote of them as text."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf)")
LONGEST = 100_000  # characters of an array's text
Sort = Literal["box", "discrete", "multidiscrete", "multibinary"]


class Space(BaseModel):
    """What a network must know of a space.

    shape: of one value (discrete: none). sizes: how many values each entry of a discrete space has. low, high: bounds
    of a box, one an entry, in its own units; none where they are not known. pixels: whether it is a picture as SB3
    means it, of 8 bits with all their values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sort: Sort
    shape: list[int] = []
    sizes: list[int] = []
    start: int = 0
    low: list[float] | None = None
    high: list[float] | None = None
    pixels: bool = False

    @property
    def entries(self) -> int:
        """How many numbers one value is: one-hot where it is discrete."""
        return sum(self.sizes) if self.sizes else int(np.prod(self.shape))

    def text(self) -> str:
        return f"{self.sort} of {'shape ' + str(self.shape) if self.sort == 'box' else self.sizes or self.shape}"


class UnknownSpace(Exception):
    """A space that no network here reads; the message is its name."""


def from_gymnasium(space: Any) -> Space:
    """From a space of gymnasium; told by the name of its class, so that gymnasium is not imported here."""
    name = type(space).__name__
    if name == "Box":
        low, high = (np.asarray(bound, np.float64).reshape(-1) for bound in (space.low, space.high))
        picture = len(space.shape) == 3 and space.dtype == np.uint8 and (low == 0).all() and (high == 255).all()
        if picture:  # its bounds are no news, and many
            return Space(sort="box", shape=list(space.shape), pixels=True)
        return Space(sort="box", shape=list(space.shape), low=low.tolist(), high=high.tolist())
    if name == "Discrete":
        return Space(sort="discrete", sizes=[int(space.n)], start=int(space.start))
    if name == "MultiDiscrete":
        return Space(sort="multidiscrete", shape=list(space.shape), sizes=np.asarray(space.nvec).reshape(-1).tolist())
    if name == "MultiBinary":
        return Space(sort="multibinary", shape=list(space.shape))
    raise UnknownSpace(name)


def stacked(space: Space, frames: int) -> Space:
    """The space of some frames together, joined along the last axis; pictures along channels, which come first."""
    if frames == 1:
        return space
    shape, axis = [*space.shape], len(space.shape) - 1
    if len(shape) == 3:
        axis = 0
        if shape[0] > shape[-1]:
            shape = [shape[-1], *shape[:-1]]
    shape[axis] *= frames
    return space.model_copy(update={"shape": shape, "low": None, "high": None})


def frames(space: Space, one: Space) -> int | None:
    """How many values of a space together are one of another; None if none are."""
    counts = range(2, 1 + max(space.shape, default=0))
    return next((count for count in counts if stacked(one, count).shape == space.shape), None) if one.shape else None


def single(space: Space, frames: int) -> Space:
    """The space of one of some frames together: of pictures, channels come first."""
    shape = [*space.shape]
    if shape:
        axis = 0 if len(shape) == 3 else len(shape) - 1
        shape[axis] //= frames
    return space.model_copy(update={"shape": shape})


def from_text(said: Any) -> Space | None:
    """From a space in SB3's `data`; None if nothing is said of it.

    numpy shortens long arrays: bounds are taken only where each has its own number, or one stands for all.
    """
    if not isinstance(said, dict) or not isinstance(said.get(":type:"), str):
        return None
    name = re.sub(r"\W+$", "", said[":type:"]).rpartition(".")[2]
    shape = _whole(said.get("_shape"))
    if name == "Box":
        low, high = (_bounds(said, end, shape) for end in ("low", "high"))
        ends = (_only(said, "low", 0), _only(said, "high", 255))
        pixels = len(shape) == 3 and str(said.get("dtype")) == "uint8" and all(ends)
        if low is None or high is None or pixels:
            low = high = None
        return Space(sort="box", shape=shape, low=low, high=high, pixels=pixels)
    if name == "Discrete":
        sizes = _whole(said.get("n"))
        return Space(sort="discrete", sizes=sizes, start=(_whole(said.get("start")) or [0])[0]) if sizes else None
    if name == "MultiDiscrete":
        sizes = _whole(said.get("nvec"))
        return Space(sort="multidiscrete", shape=[len(sizes)], sizes=sizes) if sizes else None
    if name == "MultiBinary":
        return Space(sort="multibinary", shape=shape or _whole(said.get("n")))
    raise UnknownSpace(name[:40])


def _whole(said: Any) -> list[int]:
    """Whole numbers, of JSON or in text such as "[3 2]"."""
    if isinstance(said, (bool, float)) or said is None:
        return []
    values = said if isinstance(said, list) else re.findall(r"-?\d+", str(said)[:LONGEST])
    return [int(value) for value in values if re.fullmatch(r"-?\d{1,9}", str(value))][:64]


def _bounds(said: dict, end: str, shape: Sequence[int]) -> list[float] | None:
    count = int(np.prod(shape)) if len(shape) else 1
    text = str(said.get(end))[:LONGEST]
    numbers = [float(number) for number in NUMBER.findall(text)]
    if "..." not in text and len(numbers) == count:
        return numbers
    single = re.fullmatch(NUMBER, str(said.get(f"{end}_repr")))
    return [float(single[0])] * count if single and count <= 10_000 else None


def _only(said: dict, end: str, value: int) -> bool:
    """Whether the text of an array has this number and no other."""
    return {float(number) for number in NUMBER.findall(str(said.get(end))[:LONGEST])} == {float(value)}
