"""Arrays of numpy in `.npz` files, without pickles and within bounds."""

from io import BytesIO
from pathlib import Path

import numpy as np

from agentomy.foreign_agents.files import Archive, Place, contents, refused

LARGEST = 2**30  # bytes of all arrays


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; numbers alone."""
    archive = Archive(contents(path, LARGEST), path, LARGEST)
    return {name.removesuffix(".npy"): read_npy(archive.read(name), f"{path}: {name[:60]}") for name in archive.names}


def read_npy(content: bytes, file: Place) -> np.ndarray:
    """One array; what it says of its shape must be what it holds."""
    handle = BytesIO(content)
    try:
        version = np.lib.format.read_magic(handle)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise refused(file, "", f"found version {version} of an .npy; allowed: (1, 0), (2, 0)")
        shape, fortran, dtype = read[version](handle)
    except (ValueError, TypeError, SyntaxError, EOFError, MemoryError, RecursionError) as error:
        raise refused(file, "", f"a broken .npy ({' '.join(str(error).split())[:80]})") from None
    if dtype.kind not in "fiub" or dtype.hasobject:
        raise refused(file, "", f"found values of the type {dtype}; allowed: numbers (object arrays are pickles)")
    body, size = content[handle.tell() :], dtype.itemsize
    for length in shape:
        size *= length
    if size != len(body) or any(length < 0 for length in shape) or len(shape) > 32:
        raise refused(file, "", f"found {len(body)} bytes for the shape {list(shape)[:8]}; allowed: {size}")
    try:
        return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError):  # no values, in a shape beyond all bounds
        raise refused(file, "", "found a shape that no array has") from None
