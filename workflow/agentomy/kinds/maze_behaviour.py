"""The kinds of the study `maze` that say what agents do: where they go, and what decides between cheese and corner."""

from agentomy.descriptions import Extracted
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.kinds.maze import LEVEL
from agentomy.tables import Column, Kind

_AGENT = Column("agent", "text", "network; or random: every action equally likely")
_CONDITION = Column("condition", "text", "cheese; or no cheese: taken out of the maze")
_SHARE = Column("share", "number", "share of the episodes")
_COUNT = Column("count", "integer", "number of episodes", "episodes")
_REGION = Column("region", "integer", "n of the top-right n × n cells of the inner maze that are meant", "cells")

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

OUTCOMES = Kind(
    "outcomes",
    "Mazes run by sampled policies, one row an episode, which ends with the cheese or at the limit of steps.",
    (
        RUN,
        SEED,
        UPDATE,
        _AGENT,
        _CONDITION,
        LEVEL,
        Column(
            "first", "text", "which was reached first: cheese or corner (the inner maze's top-right cell); or neither"
        ),
        Column("got_cheese", "flag", "whether the cheese was reached"),
        Column("steps", "integer", "length of the episode", "steps"),
        Column("nearest", "integer", "smallest n such that the mouse entered the top-right n × n before the cheese"),
        Column("ends", "integer", "smallest n such that the last cell lies in the top-right n × n", "cells"),
        Column("x", "bytes8", "columns of the cells visited, the last one repeated", "cells", "limit + 1"),
        Column("y", "bytes8", "rows of the cells visited, the last one repeated", "cells", "limit + 1"),
    ),
    description=Extracted,
)

# ---- metric computation ---------------------------------------------------------------------------------------------

NAVIGATION = Kind(
    "navigation",
    "Where agents go, as shares of the episodes of a subset of levels.",
    (
        RUN,
        SEED,
        UPDATE,
        _AGENT,
        _CONDITION,
        Column(
            "distribution", "text", "test: cheese anywhere; or training: unseen levels of the run's own distribution"
        ),
        _REGION,
        Column(
            "subset",
            "text",
            "all; side 3, side 5, …; large (sides from a given one on); beyond region (side > n); off-route (cheese "
            "outside the region, not on the way to the corner); decision (cheese outside, and a decision cell: the "
            "corner is not on the way to the cheese either)",
        ),
        Column(
            "outcome",
            "text",
            "reached first: cheese, corner, neither; reached at all: got cheese, corner without cheese, "
            "region without cheese (entered), enters region (before any cheese), ends in region",
        ),
        _COUNT,
        _SHARE,
    ),
)
OCCUPANCY = Kind(
    "occupancy",
    "Where agents are in large mazes without cheese, relative to the corner: one row a cell.",
    (
        RUN,
        SEED,
        UPDATE,
        _AGENT,
        Column("left", "integer", "how far the cell lies left of the corner", "cells"),
        Column("below", "integer", "how far the cell lies below the corner", "cells"),
        Column("time", "number", "share of the time spent there"),
        Column("ends", "number", "share of the episodes that end there"),
        _COUNT,
    ),
)
REGRESSION = Kind(
    "regression",
    "Logistic regressions of 'got the cheese' on distances, over levels with a decision cell and cheese outside the "
    "region.",
    (
        RUN,
        SEED,
        UPDATE,
        Column("model", "text", "which distances it knows: all, three, or the name of a single one"),
        Column(
            "term",
            "text",
            "accuracy, majority (accuracy of always giving the commoner answer; both on levels not fitted); or the "
            "distance whose coefficient (in standard deviations) is meant",
        ),
        Column("value", "number", "mean over random splits into 80 % fitted and 20 % judged"),
        Column("spread", "number", "standard deviation over splits"),
        Column("count", "integer", "number of levels"),
    ),
)
CHANCES = Kind(
    "chances",
    "How often the cheese is got at a distance, on levels with a decision cell and cheese outside the region.",
    (
        RUN,
        SEED,
        UPDATE,
        Column("distance", "text", "which distance"),
        Column("bin", "integer", "number of the bin, from 0"),
        Column("middle", "number", "mean distance in the bin", "cells"),
        _COUNT,
        _SHARE,
    ),
)
CORRELATIONS = Kind(
    "correlations",
    "Correlations between distances, over levels with a decision cell and cheese outside the region, in parts of them.",
    (
        Column("part", "integer", "number of the part of the levels"),
        Column("pair", "text", "both distances, as 'ONE × OTHER'"),
        Column("one", "text", "a distance"),
        Column("other", "text", "a distance"),
        Column("correlation", "number", "Pearson's correlation", finite=False),
        Column("count", "integer", "number of levels"),
    ),
)
