"""The kinds of what is inside agents of any library, each beside its untrained twins."""

from agentomy.descriptions import Extracted
from agentomy.kinds.behaviour import AGENT, TWIN
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

INPUT = "input"  # the observation, taken for a layer
LAYER = Column("layer", "text", "layer of the network; input: the observation itself")

PROBED = Kind(
    "probed",
    "How well linear probes read labels from what a layer gives, in games that they were not fitted on.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        LAYER,
        Column("label", "text", "what is read"),
        Column("labels", "text", "the labels themselves, or in shuffled order", values=("true", "shuffled")),
        Column(
            "measure",
            "text",
            "of classes: accuracy, the share of right ones; of numbers: the share of their variance that is explained",
            values=("accuracy", "explained"),
        ),
        Column("score", "number", "the measure in games that were held out", finite=False),
        Column("chance", "number", "the same of always the most frequent class, or of the mean", finite=False),
        Column("tests", "integer", "observations that were held out"),
    ),
    description=Extracted,
)
OUTPUTS = ("choice", "value")
SALIENT = Kind(
    "salient",
    "What an agent's outputs depend on: shares of each entry of a vector, or of each pixel of a picture, mean over "
    "observations.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        Column(
            "output",
            "text",
            "choice: log-probability of the likeliest action, largest Q, or all means of a continuous action; value",
            values=OUTPUTS,
        ),
        Column("rows", "integer", "H; 1 of a vector"),
        Column("columns", "integer", "W; entries of a vector"),
        Column(
            "values",
            "singles",
            "share of |∂ output / ∂ input| · spread of the input over observations; of a picture of the bare gradient, "
            "summed over channels",
            shape="H × W",
        ),
        Column("observations", "integer", "observations whose output depends on anything"),
    ),
    description=Extracted,
)
EDITS = ("direction", "clamped", "resampled")
ACTIVATION_EDITS = Kind(
    "edits of activations",
    "How much an agent's actions change when what a layer gives is changed, beside random directions as long.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        LAYER,
        Column(
            "edit",
            "text",
            "direction (from the mean without a label to that with it, added), clamped (one unit held at its mean), "
            "resampled (all units as in another observation)",
            values=EDITS,
        ),
        Column("label", "text", "label of the direction; of other edits: none"),
        Column("unit", "integer", "unit that is clamped; of other edits: -1"),
        Column("size", "number", "length of the change, mean over observations"),
        Column(
            "measure",
            "text",
            "total variation (of probabilities), changed choices (share of other best actions), shift (of means, in "
            "units of their spread over observations)",
            values=("total variation", "changed choices", "shift"),
        ),
        Column("effect", "number", "the measure, mean over observations"),
        Column("random", "number", "the same of changes as long in random directions"),
    ),
    description=Extracted,
)
FEATURE_MAPS = Kind(
    "feature maps",
    "What an agent's convolutions give for pictures that it meets, place by place: one row a network, layer and "
    "observation.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        Column("observation", "integer", "number of the observation, from 0"),
        LAYER,
        Column("channels", "integer", "C"),
        Column("rows", "integer", "H"),
        Column("columns", "integer", "W"),
        Column("values", "singles", "the maps behind their activation; of input: the picture", shape="C × H × W"),
        Column(
            "places",
            "doubles",
            "row and column of the centre of what the first place sees, and how far apart places are along rows and "
            "columns",
            "pixels",
            shape="4",
        ),
        Column("holds", "singles", "what the window around a place holds: equal if all its pixels are", shape="H × W"),
        Column("labels", "text", "L names of labels, in JSON"),
        Column("marks", "unsigned8", "whether the picture has a label at a place, 0 or 1", shape="L × H × W"),
    ),
    description=Extracted,
)
GROUPINGS = ("single linkage", "best cut", "shuffled", "none")
WINDOWS, LABELS = "windows", "labels"  # what groups are compared with, beside single labels
GROUPED = Kind(
    "groups of places",
    "How places of feature maps fall into groups, and which features tell labels: means over observations.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        LAYER,
        Column(
            "quantity",
            "text",
            "groups (their number); gap (the largest between merges, as a share of the last merge's height); "
            "homogeneity (1 if a group holds one sort alone), completeness (1 if a sort lies in one group alone) and "
            "adjusted Rand index of groups with sorts of places; distance (geometric mean of that of a label's places "
            "from the nearest group without labels, in spreads of such groups); AUC (of the feature, or its negative, "
            "that tells a label best)",
            values=("groups", "gap", "homogeneity", "completeness", "ari", "distance", "auc"),
        ),
        Column(
            "method",
            "text",
            "single linkage, cut at its largest gap; best cut: where it agrees best with the sorts; shuffled: single "
            "linkage where each feature's places are permuted; none: of no groups",
            values=GROUPINGS,
        ),
        Column(
            "of",
            "text",
            "sorts of places: windows (equal if the first convolution's window holds the same) or labels (equal if "
            "they have the same); the name of a label; or nothing",
        ),
        Column("value", "number", "its value; NaN where it is not defined", finite=False),
    ),
)
WATCHED = Kind(
    "watched",
    "The first game of an agent, step by step: what the environment draws, what the agent sees and does, and what its "
    "outputs depend on there.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        Column("step", "integer", "step of the game, from 0"),
        Column("reward", "number", "sum of the environment's own rewards before this step", "reward"),
        Column("action", "doubles", "the action that it takes; of choices their numbers", shape="entries"),
        Column("rows", "integer", "H of what it sees; 1 of a vector"),
        Column("columns", "integer", "W of what it sees; entries of a vector"),
        Column("seen", "singles", "the observation; of a picture its mean over channels", shape="H × W"),
        *(
            Column(
                output,
                "singles",
                f"share of the saliency of {output} at this step, as in `salient`, by the spread in this game, with "
                "what is remembered before it; nothing where it has no such output, or sees choices",
                shape="H × W, or nothing",
            )
            for output in OUTPUTS
        ),
        Column("frame_rows", "integer", "height of the frame; 0 if the environment draws none", "pixels"),
        Column("frame_columns", "integer", "width of the frame", "pixels"),
        Column("frame", "unsigned8", "what the environment draws: red, green, blue", shape="frame_rows × columns × 3"),
    ),
    description=Extracted,
)
