"""The kinds of the study `maze` that say what agents do: where they go, and what decides between cheese and corner."""

from agentomy.descriptions import Extracted
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.kinds.maze import AGENT, DISTANCES, LEVEL, NETWORK_AGENT
from agentomy.tables import Column, Kind

CONDITIONS = ("cheese", "no cheese")
DISTRIBUTIONS = ("training", "test")
FIRST = ("cheese", "corner", "neither")  # what is reached first
SUBSETS = ("all", "large", "beyond region", "off-route", "decision")
OUTCOMES_OF_AGENTS = (
    *FIRST,
    "enters region",
    "ends in region",
    "got cheese",
    "corner without cheese",
    "region without cheese",
)
MODELS = ("all", "three", *DISTANCES)
MEASURES = ("accuracy", "majority", "gain", "coefficient")
NO_DISTANCE = "none"
CURVES = ("training mazes solved", "corner first")

_CONDITION = Column("condition", "text", "cheese; or no cheese: taken out of the maze", values=CONDITIONS)
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
        Column("agent", "text", "network; or random: every action is equally likely", values=("network", "random")),
        _CONDITION,
        LEVEL,
        Column(
            "first",
            "text",
            "which was reached first: cheese or corner (the inner maze's top-right cell); or neither",
            values=FIRST,
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
    "Where agents go, as shares of the episodes of a subset of levels. The random policy has no seed of its own: its "
    "share stands beside every seed of the run.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        _CONDITION,
        Column(
            "distribution",
            "text",
            "test: cheese anywhere; or training: unseen levels of the run's own distribution",
            values=DISTRIBUTIONS,
        ),
        _REGION,
        Column(
            "subset",
            "text",
            "all; large (sides from a given one on); beyond region (side > n); off-route (cheese outside the region, "
            "not on the way to the corner); decision (cheese outside, and a decision cell: the corner is not on the "
            "way to the cheese either)",
            values=SUBSETS,
        ),
        Column(
            "outcome",
            "text",
            "reached first: cheese, corner, neither; reached at all: got cheese, corner without cheese, "
            "region without cheese (entered), enters region (before any cheese), ends in region",
            values=OUTCOMES_OF_AGENTS,
        ),
        _COUNT,
        _SHARE,
    ),
)
ONSET = Kind(
    "onset",
    "When learning has gone half its way, from the first snapshot to the last.",
    (
        RUN,
        SEED,
        Column(
            "curve",
            "text",
            "training mazes solved: the cheese is got in unseen mazes of the run's own distribution; or corner first: "
            "in test mazes with a decision cell and cheese outside the run's region",
            values=CURVES,
        ),
        Column(
            "half_way",
            "number",
            "where the share is half-way from its first to its last value, on a line between snapshots; NaN if it goes "
            "nowhere",
            "updates",
            finite=False,
        ),
    ),
)
SWEEP = Kind(
    "sweep",
    "How what is reached first changes over runs whose regions grow, on the same test levels with a decision cell and "
    "cheese outside the largest region. One row a seed that all these runs have.",
    (
        SEED,
        NETWORK_AGENT,
        Column("outcome", "text", "what is reached first", values=FIRST),
        Column("rise", "number", "share in the last run less that in the first"),
        Column("largest_fall", "number", "largest fall of the share from one run to the next"),
        Column("largest_rise", "number", "largest rise of the share from one run to the next"),
    ),
)
OCCUPANCY = Kind(
    "occupancy",
    "Where agents are in large mazes without cheese, relative to the corner: one row a cell.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
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
        NETWORK_AGENT,
        Column("model", "text", "which distances it knows: all, three, or the name of a single one", values=MODELS),
        Column(
            "measure",
            "text",
            "accuracy; majority: accuracy of always giving the commoner answer (both on levels not fitted); gain: "
            "accuracy less majority; or coefficient, in standard deviations of the distance",
            values=MEASURES,
        ),
        Column(
            "distance", "text", "whose coefficient it is; none for other measures", values=(*DISTANCES, NO_DISTANCE)
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
        Column("distance", "text", "which distance", values=DISTANCES),
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
        Column("first", "text", "a distance", values=DISTANCES),
        Column("second", "text", "a distance", values=DISTANCES),
        Column("correlation", "number", "Pearson's correlation", finite=False),
        Column("count", "integer", "number of levels"),
    ),
)
