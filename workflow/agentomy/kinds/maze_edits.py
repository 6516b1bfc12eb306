"""The kinds of the study `maze` that tell what edits of activations do. See kinds/maze.py for how cells are indexed."""

from agentomy.descriptions import Extracted
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.kinds.maze import LEVEL
from agentomy.tables import Column, Kind

_COEFFICIENT = Column("coefficient", "number", "what the edit's vector is multiplied by")
_CHANNEL_COUNT = Column("channels", "integer", "how many channels are changed")

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

FIELDS = Kind(
    "fields",
    "The policy with the mouse on every open cell of a level, under an edit of one layer's activations. Edits: none; "
    "no cheese (the picture's cheese removed); cheese (vector of the level's cheese); random (a vector of the cheese "
    "vector's norm); top-right (vector of a path from the corner to the world's); carried (top-right vector of another "
    "level); both (cheese vector subtracted, top-right vector added). A level without margin has no top-right vector.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        Column("edit", "text", "name of the edit"),
        _COEFFICIENT,
        Column(
            "moves",
            "singles",
            "probabilities of left, down, up, right, stay; NaN on walls",
            shape="W × W × 5",
            finite=False,
        ),
        Column("values", "singles", "what the value head says; NaN on walls", shape="W × W", finite=False),
    ),
    description=Extracted,
)
TRANSFERS = Kind(
    "transfers",
    "The move to the cheese at the decision cell, before and after the cheese vector of another level is subtracted.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        Column("source", "integer", "seed of the level whose cheese vector it is"),
        Column("distance", "integer", "Chebyshev distance of the two levels' cheese cells in the world", "cells"),
        Column("before", "number", "probability of the move to the cheese without an edit"),
        Column("after", "number", "the same with the vector subtracted"),
    ),
    description=Extracted,
)
CHANNELS = Kind(
    "channels",
    "How well each channel of a layer tells positions of an object from the others, over many levels with the mouse "
    "at random places. A position belongs to mouse, cheese or corner (the maze's top-right cell) if it shows that "
    "cell, to wall or floor if at least half of the cells that it shows do.",
    (
        RUN,
        SEED,
        UPDATE,
        Column("layer", "text", "name of the layer"),
        Column("channel", "integer", "number of the channel, from 0"),
        Column("object", "text", "wall, floor, corner, mouse or cheese"),
        Column(
            "auc", "number", "probability that the activation is larger at the object than elsewhere, ties one half"
        ),
        Column("mean_on", "number", "mean activation at the object"),
        Column("mean_off", "number", "mean activation elsewhere"),
    ),
    description=Extracted,
)
RETARGETS = Kind(
    "retargets",
    "How likely a network walks to a target cell when something tells it to, the level's own cheese removed. Edits: "
    "none; cheese (put there); one, several, all (so many cheese channels clamped at the target's position); random "
    "(as many other channels as in several, pushed as far).",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        Column("edit", "text", "name of the edit"),
        _CHANNEL_COUNT,
        Column("target_x", "integer", "the target's column, from the left of the world", "cells"),
        Column("target_y", "integer", "the target's row, from the bottom of the world", "cells"),
        Column("probability", "number", "geometric mean of the policy's probabilities of the moves on the way there"),
        Column("steps", "integer", "length of the way from the start", "steps"),
        Column("off_route", "integer", "cells of that way which are not on the way to the corner", "cells"),
    ),
    description=Extracted,
)
RESAMPLED = Kind(
    "resampled",
    "How much the policy changes when some channels are given what they are in another level.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        Column("source", "integer", "seed of the other level"),
        Column("which", "text", "cheese: the channels that tell the cheese best; other: random ones of the rest"),
        _CHANNEL_COUNT,
        Column("place", "text", "the other level's cheese is at the same cell of the world, or at another"),
        Column("change", "number", "total variation of the five moves, mean over the mouse's cells"),
    ),
    description=Extracted,
)

# ---- metric computation ---------------------------------------------------------------------------------------------

EDITED = Kind(
    "edited",
    "What an edit does to the policy: one row a level and edit.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        Column("edit", "text", "name of the edit, as in fields"),
        _COEFFICIENT,
        Column("to_cheese", "number", "probability of the move to the cheese at the decision cell"),
        Column("to_corner", "number", "probability of the move to the corner at the decision cell"),
        Column("others", "number", "probability of all other moves at the decision cell"),
        Column(
            "corner_path", "number", "geometric mean of the probabilities of the moves from the start to the corner"
        ),
        Column("cheese_path", "number", "the same of the way to the cheese"),
        Column("entropy", "number", "entropy of the moves, mean over cells", "nats"),
        Column("invalid", "number", "probability of a step into a wall, mean over cells"),
        Column("change", "number", "total variation from the policy without an edit, mean over cells"),
        Column("from_no_cheese", "number", "total variation from the policy without cheese, mean over cells"),
    ),
)
