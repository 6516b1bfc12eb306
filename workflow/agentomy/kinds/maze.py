"""The kinds of the study `maze`. W is the side of the world in cells; arrays over cells are indexed [y, x], y up.

Pictures and feature maps are indexed [channel, row, column] with row 0 at the top.
"""

from agentomy.descriptions import Task
from agentomy.tables import Column, Kind

# Distances of a level (Mini et al. 2023); the region is the top-right n × n, n = `corner` of the environment.
CHEESE_DISTANCES = (
    "euclid_cheese_corner",
    "steps_cheese_corner",
    "euclid_cheese_region",
    "steps_cheese_region",
    "cheese_norm",
)
DECISION_DISTANCES = (
    "euclid_decision_corner",
    "steps_decision_corner",
    "euclid_decision_region",
    "steps_decision_region",
    "euclid_decision_cheese",
    "steps_decision_cheese",
)
DISTANCES = (*CHEESE_DISTANCES, *DECISION_DISTANCES)
# What a policy can do, in the order of every array over moves.
MAZE_MOVES = ("left", "down", "up", "right", "stay")

# What acts in a maze: a network of a snapshot behind the first, that of the first snapshot, or no network at all.
AGENTS = ("trained", "untrained", "random")

LEVEL = Column("level", "integer", "seed of the level, which fixes it")
NETWORK_AGENT = Column(
    "agent", "text", "trained; or untrained: the same network before it learned, at update 0", values=AGENTS[:2]
)
AGENT = Column(
    "agent",
    "text",
    "trained; untrained: the same network before it learned, at update 0; or random: every action is equally likely",
    values=AGENTS,
)


def _distance(name: str) -> Column:
    if name == "cheese_norm":
        return Column(name, "number", "Euclidean norm of the cheese's world coordinates", "cells")
    sort, start, goal = name.split("_")
    ways = {"euclid": "Euclidean distance", "steps": "steps on the path"}
    ends = {"corner": "top-right cell", "region": "nearest cell of the top-right n × n", "cheese": "cheese"}
    meaning = f"{ways[sort]} from the {start} cell to the {ends[goal]}"
    return Column(name, "number", meaning, "cells", finite=start != "decision")  # not every level has that cell


# ---- environment generation -----------------------------------------------------------------------------------------

LEVELS = Kind(
    "levels",
    "Maze levels and their geometry. The inner maze of odd side lies in the middle of the world; the mouse starts at "
    "its bottom-left cell; the corner is its top-right cell.",
    (
        LEVEL,
        Column("split", "text", "train, or held out: never trained on"),
        Column("side", "integer", "side of the inner maze", "cells"),
        Column("walls", "bytes8", "1: wall, 0: open", shape="W × W"),
        Column("cheese_x", "integer", "the cheese's column, from the left of the world", "cells"),
        Column("cheese_y", "integer", "the cheese's row, from the bottom of the world", "cells"),
        Column("cheese_region", "integer", "smallest n for which the cheese lies in the top-right n × n", "cells"),
        Column("on_route", "flag", "whether the cheese lies on the path from start to corner"),
        Column("decision_x", "integer", "column of the decision cell, where the ways to cheese and corner part; or -1"),
        Column("decision_y", "integer", "row of the decision cell, or -1 if there is none", "cells"),
        *(_distance(name) for name in DISTANCES),
    ),
    description=Task,
)
