"""The kinds of the study `maze` that tell what edits of activations do. See kinds/maze.py for how cells are indexed."""

from agentomy.descriptions import Extracted
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.kinds.maze import LEVEL, NETWORK_AGENT
from agentomy.tables import Column, Kind

EDITS = ("none", "no cheese", "cheese", "random", "top-right", "carried", "both")
OBJECTS = ("wall", "floor", "corner", "mouse", "cheese")
CLAMPS = ("none", "random", "one", "several", "all", "cheese")  # in the order of the strength that is expected of them

_EDIT = Column("edit", "text", "name of the edit", values=EDITS)
_CLAMP = Column("edit", "text", "name of the edit", values=CLAMPS)
_LAYER = Column("layer", "text", "name of the layer")
_OBJECT = Column("object", "text", "wall, floor, corner, mouse or cheese", values=OBJECTS)
_COEFFICIENT = Column("coefficient", "number", "what the edit's vector is multiplied by")
_WHICH = Column(
    "which",
    "text",
    "cheese: the channels that tell the cheese best; other: random ones of the rest",
    values=("cheese", "other"),
)
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
        _EDIT,
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
        _LAYER,
        Column("channel", "integer", "number of the channel, from 0"),
        _OBJECT,
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
        _CLAMP,
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
        _WHICH,
        _CHANNEL_COUNT,
        Column(
            "place",
            "text",
            "the other level's cheese is at the same cell of the world, or at another (other)",
            values=("same", "other"),
        ),
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
        _EDIT,
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
EDIT_EFFECTS = Kind(
    "edit-effects",
    "What each edit by a vector changes, for each network. Moves are those at the decision cell. An edit is compared "
    "with no edit over the levels that have it.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _EDIT,
        _COEFFICIENT,
        Column("to_cheese", "number", "probability of the move to the cheese, median over levels"),
        Column("to_corner", "number", "probability of the move to the corner, median over levels"),
        Column("others", "number", "probability of all other moves, median over levels"),
        Column("change_to_cheese", "number", "how far to_cheese is from that without an edit, without the sign"),
        Column("change_others", "number", "how far others is from that without an edit, without the sign"),
        Column("fall_to_cheese", "number", "mean over levels of how much less likely the move to the cheese is"),
        Column("rise_corner_path", "number", "mean over levels of how much likelier the path to the corner is"),
        Column(
            "rise_over_opposite",
            "number",
            "rise_corner_path less the size of what the negative of the vector changes; NaN where that was not tried",
            finite=False,
        ),
        Column("entropy", "number", "entropy of the moves, mean over cells and levels", "nats"),
        Column("invalid", "number", "probability of a step into a wall, mean over cells and levels"),
        Column(
            "disorder",
            "number",
            "the larger of the rises of entropy and invalid, as shares of those without an edit",
            finite=False,
        ),
        Column(
            "left_of_cheese",
            "number",
            "total variation from the policy without cheese, as a share of that without an edit",
            finite=False,
        ),
    ),
)
TRANSFER_FALLS = Kind(
    "transfer-falls",
    "How much less likely the move to the cheese is less another level's cheese vector, for each network.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        Column("distance", "text", "whether the two levels' cheese cells are near or far", values=("near", "far")),
        Column("fall", "number", "mean over pairs of levels; NaN if there are none", finite=False),
    ),
)
TELLING = Kind(
    "telling",
    "How many channels of a layer tell the positions of an object from the others, for each network.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _LAYER,
        _OBJECT,
        Column("channels", "integer", "channels of the layer"),
        Column("telling", "integer", "of these, the ones that have an AUC above the threshold, or their negative has"),
        Column("lower", "integer", "of these, the ones that are lower at the object"),
        Column("share", "number", "telling as a share of the channels"),
        Column("largest_auc", "number", "largest AUC of a channel or of its negative"),
    ),
)
RETARGETED = Kind(
    "retargeted",
    "How well an edit sends a network to a target, for each network: over all targets of all levels.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _CLAMP,
        Column("channels", "integer", "how many channels are changed"),
        Column("probability", "number", "mean path probability"),
        Column("gain", "number", "mean path probability less that without an edit"),
        Column(
            "correlation_off_route",
            "number",
            "correlation of the path probability with the cells off the way to the corner; NaN if one does not vary",
            finite=False,
        ),
        Column(
            "correlation_side",
            "number",
            "correlation of what the path probability gains with the maze's side; NaN if one does not vary",
            finite=False,
        ),
    ),
)
RESAMPLING = Kind(
    "resampling",
    "What the policy takes from channels beside the cheese's position, for each network: means over levels.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _WHICH,
        _CHANNEL_COUNT,
        Column("same", "number", "change with these channels from a level with its cheese at the same cell"),
        Column("other", "number", "change with these channels from a level with its cheese at another cell"),
        Column("ratio", "number", "other over same; NaN if nothing changes", finite=False),
    ),
)
