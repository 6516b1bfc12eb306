"""The kinds of the study `l3d`. K is the number of subnetworks of a network."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds import behaviour
from agentomy.kinds.common import RUN, SEED
from agentomy.tables import Column, Kind

CONDITION = Column(
    "condition",
    "text",
    "random: the subnetworks before they are learned, which are random directions; learned: in the end",
    values=("random", "learned"),
)
SUBNETWORK = Column("subnetwork", "integer", "number of the subnetwork, from 0 to K - 1")
SAMPLE = Column("sample", "integer", "number of the input among those that the gradients were taken on")

# ---- environment generation -----------------------------------------------------------------------------------------

POINTS = Kind(
    "points",
    "Inputs and targets of a toy regression on sparse features.",
    (
        SAMPLE,
        Column(
            "split",
            "text",
            "train: what a model learns from; decomposed: where its gradients are taken; unit: one feature alone at 1",
            values=("train", "decomposed", "unit"),
        ),
        Column("inputs", "singles", "features", shape="inputs"),
        Column("targets", "singles", "the outputs that the model should have", shape="outputs"),
    ),
    description=Task,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

SUBJECTS = Kind(
    "subjects",
    "Trained networks to be decomposed, one row a seed, with the inputs on which this is done. The network's tensors "
    "follow as columns.",
    (
        RUN,
        SEED,
        Column("network", "text", "how to rebuild the network: {use: module.Class, …}, as JSON"),
        Column(
            "reading",
            "text",
            "what is taken as its output: values, foreign_values, or logits: policy, prediction, next_latent, "
            "foreign_logits",
            values=("values", "policy", "prediction", "next_latent", "foreign_values", "foreign_logits"),
        ),
        Column("shape", "text", "shape of one input, as JSON"),
        Column("inputs", "singles", "the inputs", shape="samples × shape"),
    ),
    tensors=True,
    description=Extracted,
)
SUBNETWORKS = Kind(
    "subnetworks",
    "Directions in parameter space: what each subnetwork (a unit column of V_out) has in each tensor of the network.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("subnetwork", "integer", "number of the subnetwork; -1: the network's own weights"),
        Column("tensor", "text", "name of the tensor"),
        Column("shape", "text", "its shape, as JSON"),
        Column("weights", "singles", "its entries", shape="the tensor's"),
    ),
    description=Extracted,
)
IMPACTS = Kind(
    "impacts",
    "How strongly subnetworks take part in the gradient of each input, and how well it is rebuilt from them; means "
    "over references.",
    (
        RUN,
        SEED,
        CONDITION,
        SAMPLE,
        Column("impact", "singles", "|V_in · gradient| of each subnetwork", shape="K"),
        Column("active", "singles", "share of references for which it survives the batch top-k", shape="K"),
        Column("missed", "number", "squared distance between the gradient and what is rebuilt of it"),
        Column("size", "number", "squared norm of the gradient"),
    ),
    description=Extracted,
)
MOVED = Kind(
    "moved",
    "Outputs of networks whose weights were moved along one or two subnetworks.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("within", "text", "which tensors were moved: all, or the part that the study file names"),
        Column("subnetwork", "integer", "number of the subnetwork; -1: not moved"),
        Column("delta", "number", "how far, in units of the parameters (a subnetwork has norm 1)"),
        Column("second", "integer", "number of a second one, moved together with it; -1: none"),
        Column("second_delta", "number", "how far"),
        SAMPLE,
        Column(
            "outputs", "singles", "values, or probabilities where the network gives a distribution", shape="outputs"
        ),
    ),
    description=Extracted,
)

# ---- metrics --------------------------------------------------------------------------------------------------------

MODELS = Kind(
    "models",
    "How well the toy models have learned in the end, over the last hundredth of their updates.",
    (
        RUN,
        SEED,
        Column("mean_squared_error", "number", "the error of its outputs"),
        Column("passed_over", "number", "attempts that were given up before the one that was kept"),
        Column("learned", "flag", "whether the error was at most what the run demands, all along"),
    ),
)
MATCHED = Kind(
    "matched",
    "What each subnetwork of a toy model is for: the block of features (one, but for models with blocks) whose "
    "presence in the input raises its impact most.",
    (
        RUN,
        SEED,
        CONDITION,
        SUBNETWORK,
        Column("block", "integer", "number of that block"),
        Column("active", "number", "P_act: share of inputs and references for which it survives the batch top-k"),
        Column("live", "flag", "whether P_act is above 0.005"),
        Column("selectivity", "number", "share of its total impact on inputs in which the block is on"),
        Column("learned", "flag", "whether the model that was decomposed has learned its task"),
    ),
)
QUALITY = Kind(
    "quality",
    "How well a decomposition of a toy model rebuilds gradients, and which features (or blocks of them) it found.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("loss", "number", "Σ missed / Σ size over all inputs; 1 is the trivial solution"),
        Column("loss_at_one", "number", "over inputs in which at most one block is on", finite=False),
        Column("loss_at_several", "number", "over inputs in which several blocks are on", finite=False),
        Column("several_over_one", "number", "ratio of these two", finite=False),
        Column("coverage", "number", "share of the blocks that a live subnetwork is for"),
        Column("blocks", "integer", "number of blocks"),
        Column("live", "integer", "number of live subnetworks"),
        Column("dead", "integer", "number of dead subnetworks"),
        Column("surplus", "integer", "live subnetworks beyond one for each block that is covered"),
        Column("selectivity", "number", "mean over live subnetworks; NaN if none is live", finite=False),
        Column("least_selectivity", "number", "the smallest of a live subnetwork", finite=False),
        Column(
            "selectivity_of_strongest",
            "number",
            "mean over blocks of that of the block's subnetwork with the largest P_act",
            finite=False,
        ),
        Column("model_learned", "flag", "whether the model that was decomposed has learned its task"),
        Column("models_learned", "number", "share of the run's seeds whose model has"),
    ),
)
GRADIENT_LOSSES = Kind(
    "gradient losses",
    "How well decompositions rebuild gradients.",
    (RUN, SEED, CONDITION, Column("loss", "number", "Σ missed / Σ size over all inputs; 1 is the trivial solution")),
)
CLEANNESS = Kind(
    "cleanness",
    "How much of a subnetwork belongs to one feature, in models with an encoder and a decoder; means over live "
    "subnetworks, NaN if none is live.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("encoder_on_one_row", "number", "share of the norm (not squared) of the largest row", finite=False),
        Column("decoder_on_one_column", "number", "share of the norm of the largest column", finite=False),
        Column("bias_on_one_entry", "number", "share of the absolute values of the largest entry", finite=False),
        Column("agreement", "number", "share whose largest row, column and entry belong to one feature", finite=False),
        Column("cosine", "number", "|cos| between the largest encoder row and the network's own", finite=False),
    ),
)
EFFECTS = Kind(
    "effects",
    "What moving along a subnetwork does to each output of a toy model.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("within", "text", "which tensors were moved"),
        SUBNETWORK,
        Column("delta", "number", "how far"),
        Column("output", "integer", "number of the output"),
        Column("matching", "flag", "whether it belongs to the subnetwork's feature"),
        Column("on", "number", "mean |change| over inputs in which that output's feature is on"),
        Column("off", "number", "the same where it is off"),
        Column("median", "number", "median change where the output is not 0 both before and after"),
    ),
)
SEPARATION = Kind(
    "separation",
    "How much more a move along a subnetwork changes the matching output than the others; means over live subnetworks "
    "of the mean |change| where the output's feature is on, NaN if none is live.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("within", "text", "which tensors were moved"),
        Column("delta", "number", "how far, in either direction"),
        Column("matching", "number", "of the matching output", finite=False),
        Column("others", "number", "of the other outputs", finite=False),
        Column("matching_over_others", "number", "geometric mean of the quotient", finite=False),
        Column("on_over_off", "number", "of the matching output: over that where its feature is off", finite=False),
    ),
)
INTERACTIONS = Kind(
    "interactions",
    "How far two subnetworks moved together differ from the sum of both.",
    (RUN, SEED, CONDITION, Column("interaction", "number", "Σ|change beyond the sum| over Σ|change|")),
)
COEFFICIENTS = Kind(
    "coefficients",
    "Coefficients of a linear task read from subnetworks, beside the true ones.",
    (
        RUN,
        SEED,
        CONDITION,
        SUBNETWORK,
        Column("feature", "integer", "the input that the subnetwork is for: its encoder row of largest norm"),
        Column("output", "integer", "number of the output"),
        Column(
            "found", "number", "entry of encoder · decoder of the subnetwork, signed so that the row's sum is positive"
        ),
        Column("true", "number", "entry of A"),
    ),
)
RECOVERED = Kind(
    "recovered",
    "How well the coefficients of a linear task can be read from live subnetworks; NaN if none is live.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("r", "number", "Pearson's r between found and true coefficients", finite=False),
        Column("r_squared", "number", "its square", finite=False),
    ),
)
CURVES = Kind(
    "curves",
    "The loss of a decomposition along learning, of the start that was kept.",
    (
        RUN,
        SEED,
        Column("epoch", "number", "passes over the inputs"),
        Column("loss", "number", "‖g - rebuilt‖² over ‖g‖², smoothed over an epoch"),
    ),
)
STEERED = Kind(
    "steered",
    "How far moving along a subnetwork changes an agent's behaviour, on its own inputs and on others.",
    (
        RUN,
        SEED,
        CONDITION,
        SUBNETWORK,
        Column("delta", "number", "how far"),
        Column("active", "number", "P_act of the subnetwork"),
        Column(
            "own",
            "number",
            "mean total variation of the distribution on the tenth of the inputs with the largest impact; of values "
            "half the sum of |change|",
        ),
        Column("rest", "number", "the same on the other inputs"),
        Column(
            "others",
            "number",
            "own over rest of moves along the other subnetworks, on the same inputs; geometric mean",
            finite=False,
        ),
        Column("output", "integer", "the output whose probability it raises most on its own inputs"),
    ),
)
STEERING = Kind(
    "steering",
    "Whether subnetworks change an agent's behaviour on their own inputs more than on others: means over live "
    "subnetworks (or all random directions) and deltas; NaN if none is live.",
    (
        RUN,
        SEED,
        CONDITION,
        Column("own", "number", "total variation on own inputs", finite=False),
        Column("rest", "number", "on the other inputs", finite=False),
        Column("own_over_rest", "number", "geometric mean of the quotient", finite=False),
        Column(
            "beside_others",
            "number",
            "geometric mean of that quotient over that of moves along the other subnetworks on the same inputs",
            finite=False,
        ),
    ),
)
SUBNETWORK_RANKS = Kind(
    "ranks of subnetworks",
    "What was found in an agent among what was found in its untrained twins. With N twins the least p is 2 / (N + 1).",
    (
        RUN,
        SEED,
        Column(
            "quantity",
            "text",
            "loss: Σ missed / Σ size of the gradients; own over rest: of moves along subnetworks, the change on own "
            "inputs over that on others; each also over that of random directions in the same network",
            values=("loss", "loss over random", "own over rest", "own over rest over random"),
        ),
        *(column for column in behaviour.RANKS.columns if column.name in ("value", "untrained", "above", "p", "twins")),
    ),
)
