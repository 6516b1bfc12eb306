"""The kinds of artifact: every table the pipeline writes, column by column; one module a room.

docs/artifacts.md is generated from this package (`make docs`).
"""

from agentomy.kinds import (
    bayes,
    behaviour,
    common,
    inside,
    maze,
    maze_behaviour,
    maze_edits,
    maze_pixels,
    nld,
    paths,
    subnetworks,
    twm,
)
from agentomy.tables import Kind

MODULES = (
    common,
    behaviour,
    inside,
    bayes,
    paths,
    maze,
    maze_behaviour,
    maze_edits,
    maze_pixels,
    subnetworks,
    nld,
    twm,
)
ALL = {name: kind for module in MODULES for name, kind in vars(module).items() if isinstance(kind, Kind)}
