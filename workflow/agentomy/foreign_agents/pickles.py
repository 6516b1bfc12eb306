"""Pickles read as data: an interpreter of the opcodes that numbers, texts and arrays need, and of no other.

Nothing that a pickle names is imported or called. A name stays a `Name`, what would be a call stays a `Call` with its
arguments, and whoever reads the result knows the few that it can make something of. Which modules may be named at all
is the caller's list: a file with `posix.system` in it is refused as a whole.

Source: the opcodes' meaning as in Python's Lib/pickletools.py, up to protocol 5.
"""

import pickletools
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from agentomy.foreign_agents.files import Place, refused

OPCODES = 500_000  # of a pickle
LARGEST = 2**28  # bytes of a pickle
# numbers that numpy writes: the letter and the bytes of a dtype
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
DIMENSIONS = 32  # of an array
MODULES = ("numpy", "numpy.core", "numpy._core")
MARK = object()


class Name(NamedTuple):
    """Something that the pickle would have imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Stored(NamedTuple):
    """What lies beside the pickle, under a key of its own: storages of torch."""

    key: Any


@dataclass(eq=False)
class Call:
    """An object that the pickle would have made: its constructor, the arguments, and the state set afterwards."""

    of: Any
    arguments: tuple
    state: Any = None
    items: dict = field(default_factory=dict)  # set after it was made, as an OrderedDict's are


class Broken(Exception):
    """No pickle that is read here; the message says why."""


def tree(content: bytes, file: Place, modules: Collection[str], instead: str) -> Any:
    """What a pickle stands for; `modules` are the top-level ones that it may name, `instead` is what is allowed."""
    if len(content) > LARGEST:
        raise refused(file, "", f"found a pickle of {len(content)} bytes; allowed: at most {LARGEST}")
    try:
        return _Machine(modules, instead).run(content)
    except Broken as error:
        raise refused(file, "", str(error)) from None
    except (ValueError, IndexError, struct.error, OverflowError, MemoryError) as error:
        # from genops: cut short, no opcode, text that is no UTF-8
        raise refused(file, "", f"a broken pickle ({str(error) or type(error).__name__})") from None


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, modules: Collection[str], instead: str):
        self.modules, self.instead = modules, instead
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if number == OPCODES:
                raise Broken(f"found a pickle of more than {OPCODES} opcodes; allowed: at most that")
            if opcode.name == "STOP":
                break
            self.step(opcode.name, argument)
        if len(self.stack) != 1 or self.stack[0] is MARK:
            raise Broken("a broken pickle (it stands for no single value)")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self.stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1" | "LONG4" | "FLOAT" | "BINFLOAT":
                self.stack.append(argument)
            case "UNICODE" | "SHORT_BINUNICODE" | "BINUNICODE" | "BINUNICODE8":
                self.stack.append(argument)
            case "SHORT_BINBYTES" | "BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                self.stack.append(bytes(argument))
            case "MARK":
                self.stack.append(MARK)
            case "POP":
                self._pop(marks=True)
            case "POP_MARK":
                self._since_mark()
            case "DUP":
                self.stack.append(self._top(object))
            case "EMPTY_LIST" | "EMPTY_SET":
                self.stack.append([])  # of a set nothing is needed but that it is there
            case "EMPTY_DICT":
                self.stack.append({})
            case "EMPTY_TUPLE":
                self.stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self._take(int(name[-1]))))
            case "TUPLE":
                self.stack.append(tuple(self._since_mark()))
            case "LIST" | "FROZENSET":
                self.stack.append(self._since_mark())
            case "APPEND":
                self._extend(self._take(1))
            case "APPENDS" | "ADDITEMS":
                self._extend(self._since_mark())
            case "DICT":
                pairs = self._since_mark()
                self.stack.append({})
                self._set(pairs)
            case "SETITEM":
                self._set(self._take(2))
            case "SETITEMS":
                self._set(self._since_mark())
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self.memo[argument] = self._top(object)
            case "MEMOIZE":
                self.memo[len(self.memo)] = self._top(object)
            case "BINGET" | "LONG_BINGET" | "GET":
                if argument not in self.memo:
                    raise Broken("a broken pickle (it asks for what it did not keep)")
                self.stack.append(self.memo[argument])
            case "GLOBAL":
                self._name(*argument.split(" ", 1))
            case "STACK_GLOBAL":
                self._name(*self._take(2))
            case "REDUCE" | "NEWOBJ":
                of, arguments = self._take(2)
                self._call(of, arguments)
            case "NEWOBJ_EX":
                of, arguments, _ = self._take(3)
                self._call(of, arguments)
            case "BUILD":
                state = self._pop()
                self._top(Call).state = state
            case "BINPERSID":
                self.stack.append(Stored(self._pop()))
            case _:
                raise Broken(f"found the opcode {name} of a pickle; allowed: those that numbers and arrays need")

    def _top(self, kind: type) -> Any:
        if not self.stack or self.stack[-1] is MARK or not isinstance(self.stack[-1], kind):
            raise Broken("a broken pickle (an opcode does not fit what is before it)")
        return self.stack[-1]

    def _pop(self, marks: bool = False) -> Any:
        if not (marks and self.stack and self.stack[-1] is MARK):
            self._top(object)
        return self.stack.pop()

    def _take(self, count: int) -> list:
        return [self._pop() for _ in range(count)][::-1]

    def _since_mark(self) -> list:
        values = []
        while self.stack and self.stack[-1] is not MARK:
            values.append(self.stack.pop())
        if not self.stack:
            raise Broken("a broken pickle (it closes what it did not open)")
        self.stack.pop()
        return values[::-1]

    def _extend(self, values: list) -> None:
        self._top(list).extend(values)

    def _set(self, pairs: list) -> None:
        owner = self._top((dict, Call))
        entries = owner.items if isinstance(owner, Call) else owner
        if len(pairs) % 2:
            raise Broken("a broken pickle (a key without a value)")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, (str, int, float, bytes, type(None))):
                raise Broken(f"found a key of the type {type(key).__name__} in a pickle; allowed: texts and numbers")
            entries[key] = value

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Broken("a broken pickle (a name that is no text)")
        if module.split(".")[0] not in self.modules:
            named = f"{module}.{name}"[:80]
            raise Broken(f"found a pickle that names {named}, which is not run; allowed: {self.instead}")
        self.stack.append(Name(module, name))

    def _call(self, of: Any, arguments: Any) -> None:
        if not isinstance(of, (Name, Call)) or not isinstance(arguments, tuple):
            raise Broken("a broken pickle (it calls what is no name)")
        self.stack.append(Call(of, arguments))


def is_call(value: Any, *names: str) -> bool:
    """Whether a value is what one of these dotted names would have made."""
    return isinstance(value, Call) and isinstance(value.of, Name) and str(value.of) in names


def number(value: Any) -> float | int | bool | None:
    """A number, plain or numpy's; None if it is none."""
    if isinstance(value, (bool, int, float)):
        return value
    scalar = array(value)
    return scalar.item() if scalar is not None and scalar.ndim == 0 else None


def array(value: Any) -> np.ndarray | None:
    """An array of numpy from what a pickle says of it (protocols 2 to 5), or None if it is none.

    Its bytes must be exactly those of its shape: so it is never larger than the file.
    """
    constructors = [
        f"{module}.{rest}" for module in MODULES for rest in ("multiarray._reconstruct", "multiarray.scalar")
    ]
    buffers = [f"{module}.numeric._frombuffer" for module in MODULES]
    if is_call(value, *buffers) and len(value.arguments) == 4:
        content, kind, shape, order = value.arguments
        return _filled(content, kind, shape, order == "F")
    if not is_call(value, *constructors):
        return None
    if str(value.of).endswith("scalar"):
        return _filled(value.arguments[1], value.arguments[0], (), False) if len(value.arguments) == 2 else None
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        return None
    _, shape, kind, fortran, content = value.state
    return _filled(content, kind, shape, fortran is True)


def _filled(content: Any, kind: Any, shape: Any, fortran: bool) -> np.ndarray | None:
    if is_call(content, "_codecs.encode") and len(content.arguments) == 2 and isinstance(content.arguments[0], str):
        try:
            content = content.arguments[0].encode("latin-1")  # bytes as protocol 2 writes them
        except UnicodeEncodeError:
            return None
    dtype = _dtype(kind)
    whole = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    if dtype is None or not whole or len(shape) > DIMENSIONS or not isinstance(content, bytes):
        return None
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size != len(content):
        return None
    try:
        return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError):  # no values, in a shape beyond all bounds
        return None


def _dtype(kind: Any) -> np.dtype | None:
    if not is_call(kind, "numpy.dtype") or not kind.arguments or not isinstance(kind.arguments[0], str):
        return None
    code = kind.arguments[0]
    if code not in DTYPES:
        return None
    big = isinstance(kind.state, tuple) and len(kind.state) > 1 and kind.state[1] == ">"
    return np.dtype((">" if big else "<") + code)
