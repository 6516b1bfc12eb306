"""The kinds of the study `maze` that look at pictures and feature maps, pixel by pixel.

Pictures and feature maps are indexed [channel, row, column] with row 0 at the top. P is the side of a picture,
C × H × W the size of a layer's output; a layer without places, such as `relufc`, has H = W = 1. The network at update 0
is untrained.
"""

from agentomy.descriptions import Extracted
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.kinds.maze import LEVEL, NETWORK_AGENT
from agentomy.tables import Column, Kind

# What a pixel of a picture shows, in the order of the codes in `shown`; `OUTSIDE` is what lies beyond the picture.
SHOWS = ("floor", "wall", "mouse", "cheese")
OUTSIDE = len(SHOWS)
OBJECTS = ("mouse", "cheese")
PLACES = ("mouse", "cheese", "top-right", "other corners", "elsewhere", "margin")
HEADS = ("value", "move")
METHODS = ("single linkage", "k-means", "shuffled", "best cut")
RATIO = " / ".join(OBJECTS)
COMPARED = ("elsewhere", "rest of the maze", "other corners")  # what the top right is set against
GOALS = ("corner", "cheese")

_CHEESE = Column("cheese", "flag", "whether the picture has its cheese")
_MOUSE = (
    Column("mouse_x", "integer", "the mouse's column, from the left of the world", "cells"),
    Column("mouse_y", "integer", "the mouse's row, from the bottom of the world", "cells"),
)
_LAYER = Column("layer", "text", "name of the layer; 'input' is the picture itself")
_HEIGHT, _WIDTH = Column("rows", "integer", "H", "pixels"), Column("columns", "integer", "W", "pixels")
_SHOWN = Column("shown", "bytes8", "each pixel of the picture: 0 floor, 1 wall, 2 mouse, 3 cheese", shape="P × P")
_HEAD = Column("head", "text", "value; or move: the log-probability of the most likely of the five moves", values=HEADS)
_PLACE = Column(
    "place",
    "text",
    "mouse, cheese (at most 2 rows and columns of cells away); top-right n × n of the inner maze; other corners (its "
    "top-left and bottom-right n × n); elsewhere in it; margin around it. A pixel counts for the first place that fits",
    values=PLACES,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

FEATURES = Kind(
    "features",
    "What layers give for pictures of levels: one row a network, level and layer.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        *_MOUSE,
        _LAYER,
        Column("channels", "integer", "C"),
        _HEIGHT,
        _WIDTH,
        Column("values", "singles", "the layer's output; of 'input', the picture as it is drawn", shape="C × H × W"),
        _SHOWN,
    ),
    description=Extracted,
)
SALIENCY = Kind(
    "saliency",
    "How strongly a network's outputs depend on each pixel, with the mouse where it starts.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        _CHEESE,
        *_MOUSE,
        _HEAD,
        _HEIGHT,
        _WIDTH,
        Column("values", "singles", "|∂ output / ∂ input|, summed over the picture's channels", shape="P × P"),
    ),
    description=Extracted,
)
PROBES = Kind(
    "probes",
    "What layers give with the mouse at random open cells, and the right next moves from there.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        *_MOUSE,
        _LAYER,
        Column("to_corner", "text", "the next move on the path to the top-right cell"),
        Column("to_cheese", "text", "the next move on the path to the cheese"),
        Column("activations", "singles", "the layer's output", shape="C · H · W"),
    ),
    description=Extracted,
)

# ---- metric computation ---------------------------------------------------------------------------------------------

GROUPS = Kind(
    "groups",
    "How well groups of a layer's pixels, by their activations in one picture, agree with the types of their patches.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        LEVEL,
        _LAYER,
        Column(
            "method",
            "text",
            "single linkage, cut at its largest gap; k-means with as many groups; shuffled: single linkage's, pixels "
            "permuted; best cut: single linkage, cut where it agrees best with the truth",
            values=METHODS,
        ),
        Column("pixels", "integer", "number of pixels of the layer"),
        Column("types", "integer", "number of types of 3 × 3 patches among them"),
        Column("groups", "integer", "number of groups"),
        Column("cut", "number", "where the hierarchy is cut; NaN for other methods", "activation", finite=False),
        Column("homogeneity", "number", "1 if a group holds one type alone"),
        Column("completeness", "number", "1 if a type lies in one group alone"),
        Column("ari", "number", "adjusted Rand index: 0 by chance, 1 if groups are the types"),
        Column(
            "alone_mouse",
            "number",
            "share of the pixels in whose 3 × 3 patch the mouse is that are a group each; NaN if there are none",
            finite=False,
        ),
        Column("alone_cheese", "number", "the same of the cheese", finite=False),
        Column("alone", "integer", "all pixels that are a group each"),
    ),
)
PIXELS = Kind(
    "pixels",
    "The groups of a layer's pixels in one picture, pixel by pixel; groups and types are numbered from the largest, 0.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        _LAYER,
        _HEIGHT,
        _WIDTH,
        Column("cut", "number", "where the hierarchy is cut", "activation"),
        Column("linked", "singles", "group by single linkage", shape="H × W"),
        Column("means", "singles", "group by k-means", shape="H × W"),
        Column("patches", "singles", "type of the 3 × 3 patch of the picture", shape="H × W"),
        _SHOWN,
        Column("merges", "doubles", "merges of the hierarchy: two clusters, height, pixels", shape="(H · W - 1) × 4"),
    ),
)
STANDING = Kind(
    "standing",
    "How far the pixels that show an object lie from all others in a layer's activations, in one picture.",
    (
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        _LAYER,
        Column("object", "text", "mouse or cheese", values=OBJECTS),
        Column("pixels", "integer", "pixels of the layer that show the object"),
        Column(
            "distance",
            "number",
            "mean distance of these from the nearest group without the object",
            "activation",
            finite=False,
        ),
        Column(
            "spread",
            "number",
            "median over groups of the root mean square distance from their mean",
            "activation",
            finite=False,
        ),
    ),
)
CONTRAST = Kind(
    "contrast",
    "Distances of object pixels by layer: geometric means over levels and seeds, with a bootstrap interval.",
    (
        RUN,
        UPDATE,
        _LAYER,
        Column(
            "quantity",
            "text",
            "mouse, cheese (distances in units of the spread), or mouse / cheese",
            values=(*OBJECTS, RATIO),
        ),
        Column("value", "number", "geometric mean"),
        Column("low", "number", "2.5 % quantile of resampled seeds and, within them, levels"),
        Column("high", "number", "97.5 % quantile"),
        Column("seeds", "integer", "number of training seeds"),
        Column("levels", "integer", "number of levels"),
    ),
)
STANDING_OUT = Kind(
    "standing-out",
    "Distances of object pixels by layer, for each network: geometric means over levels, without those levels where a "
    "distance is 0.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _LAYER,
        Column("mouse", "number", "distance of the mouse's pixels", "spreads", finite=False),
        Column("cheese", "number", "distance of the cheese's pixels", "spreads", finite=False),
        Column("ratio", "number", "distance of the mouse's pixels over that of the cheese's", finite=False),
    ),
)
SHARES = Kind(
    "shares",
    "Where the saliency of a network lies: means over levels.",
    (
        RUN,
        SEED,
        UPDATE,
        _HEAD,
        _CHEESE,
        _PLACE,
        Column("mass", "number", "share of the saliency"),
        Column("area", "number", "share of the picture"),
        Column("levels", "integer", "number of levels"),
    ),
)
SALIENCY_RATIOS = Kind(
    "saliency-ratios",
    "Saliency per unit area in the top-right region over that elsewhere.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _HEAD,
        _CHEESE,
        Column(
            "against",
            "text",
            "elsewhere: all that is neither near mouse or cheese nor in the region; rest of the maze: of this, the "
            "inner maze; other corners",
            values=COMPARED,
        ),
        Column("ratio", "number", "how many times as salient; NaN where one of the two has no area", finite=False),
    ),
)
ACCURACY = Kind(
    "accuracy",
    "How well linear probes of a layer tell the right next move in levels that they were not fitted on.",
    (
        RUN,
        SEED,
        UPDATE,
        NETWORK_AGENT,
        _LAYER,
        Column("goal", "text", "corner or cheese", values=GOALS),
        Column(
            "places",
            "text",
            "all; or differ: where the right moves to corner and cheese differ",
            values=("all", "differ"),
        ),
        Column("accuracy", "number", "share of right moves", finite=False),
        Column("chance", "number", "share right if always the most frequent move is told", finite=False),
        Column("tests", "integer", "number of places"),
    ),
)

# ---- the explorer ---------------------------------------------------------------------------------------------------

LABELS = Kind(
    "labels",
    "Groups of one layer's pixels in one picture, made, named and coloured by hand in the explorer: one row a group.",
    (
        Column("table", "text", "where the layer is from: STUDY: NAME of a table of features"),
        RUN,
        SEED,
        UPDATE,
        LEVEL,
        _LAYER,
        _HEIGHT,
        _WIDTH,
        Column("digest", "text", "SHA-256 of the layer's output: labels of other activations may not fit"),
        Column("group", "integer", "number of the group, from 0"),
        Column("name", "text", "its name; empty if it has none"),
        Column("colour", "text", "its colour: one of Okabe & Ito's eight, grey or white"),
        Column("mask", "unsigned8", "whether each pixel is of the group, 0 or 1", shape="H × W"),
    ),
)
