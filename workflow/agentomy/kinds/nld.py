"""The kinds of the study `nld`."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

METHOD = Column("method", "text", "euclidean, rmsprop, dop or qdop, the metric of a sampler; or adam")
NAME = Column("method", "text", "name of the method in the study file, of which there are runs with several steps")
SPLIT = Column(
    "split", "text", "train (a part of it, not shifted), validation, test, or rotated: the test images, turned"
)
PREDICTOR = Column(
    "predictor",
    "text",
    "last: the network as it is; mean: the running mean of its parameters; ensemble: the mean of the probabilities of "
    "all networks kept so far",
)
LAYER = Column("layer", "text", "name of the layer")

# ---- environment generation -----------------------------------------------------------------------------------------

IMAGES = Kind(
    "images",
    "Grey images to be classified, and which part each belongs to.",
    (
        Column("sample", "integer", "number of the image"),
        Column("origin", "integer", "sample that it is a shifted or rotated copy of, or itself"),
        Column("split", "text", "train, validation, test, or rotated (test images turned by 90 degrees)"),
        Column("label", "integer", "what it shows, 0 to 9"),
        Column("pixels", "unsigned8", "its pixels, row by row", shape="side × side"),
    ),
    description=Task,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

PREDICTIVE = Kind(
    "predictive",
    "How well classifiers predict along learning.",
    (
        RUN,
        METHOD,
        Column("step", "number", "step size; it means something else for each method"),
        Column("epsilon", "number", "what is added to the metric"),
        SEED,
        UPDATE,
        PREDICTOR,
        Column("networks", "integer", "networks kept so far"),
        SPLIT,
        Column("nll", "number", "mean negative log-likelihood of the labels", "nats"),
        Column("accuracy", "number", "share of images whose likeliest class is the label"),
    ),
    description=Extracted,
)
CLASSES = Kind(
    "classes",
    "The probabilities of the classes of each image, at the end of learning.",
    (
        RUN,
        SEED,
        PREDICTOR,
        SPLIT,
        Column("sample", "integer", "number of the image"),
        Column("label", "integer", "what it shows"),
        Column("probabilities", "singles", "of each class", shape="classes"),
    ),
    description=Extracted,
)
NOISE = Kind(
    "noise",
    "The standard deviation of the noise of a step, weight by weight, with the metric of a trained network.",
    (
        RUN,
        METHOD,
        SEED,
        LAYER,
        Column("always_zero", "flag", "whether the weights come from inputs that are 0 in every training image"),
        Column("deviations", "singles", "standard deviations of the noise on these weights", shape="weights"),
    ),
    description=Extracted,
)
INVARIANCE = Kind(
    "invariance",
    "How far the outputs of a network move apart when its inputs are rescaled or shifted, and its first layer with "
    "them, and both are then sampled on with the same standard normals.",
    (
        RUN,
        METHOD,
        SEED,
        Column("change", "text", "what was done to the inputs: scaled, or shifted"),
        Column("steps", "integer", "steps made"),
        Column("difference", "number", "largest difference of a logit"),
    ),
    description=Extracted,
)
STATIONARY = Kind(
    "stationary",
    "The stationary distribution of a sampler on a linear-Gaussian model, beside the exact posterior.",
    (
        RUN,
        METHOD,
        SEED,
        Column("step", "number", "step size, as a share of the largest that is stable"),
        Column("mean_error", "number", "‖mean - exact‖ over ‖exact‖"),
        Column("covariance_error", "number", "‖covariance - exact‖ over ‖exact‖, Frobenius"),
    ),
    description=Extracted,
)
OPERATIONS = Kind(
    "operations",
    "Floating-point operations of one update: matrix products, which are nearly all.",
    (
        RUN,
        METHOD,
        SEED,
        Column("plain", "number", "of back-propagation alone", "operations"),
        Column("whole", "number", "of the update", "operations"),
    ),
    description=Extracted,
)
DOUBT = Kind(
    "doubt",
    "How far posterior samples of a Q-network disagree in the states of Breakout, by where the ball is.",
    (
        RUN,
        SEED,
        Column("networks", "integer", "posterior samples"),
        Column("row", "integer", "the ball's row, from the top"),
        Column("column", "integer", "the ball's column, from the left"),
        Column("visits", "integer", "states with the ball there"),
        Column("value", "number", "mean over samples of the best action's value"),
        Column("deviation", "number", "its standard deviation over samples; mean over states"),
        Column("dissent", "number", "share of samples that would not do what most would; mean over states"),
    ),
    description=Extracted,
)

# ---- metrics --------------------------------------------------------------------------------------------------------

CHOSEN = Kind(
    "chosen",
    "The step size of each method, chosen on the validation part.",
    (
        NAME,
        Column("run", "text", "the run with the least mean validation loss"),
        Column("step", "number", "its step size"),
        Column("epsilon", "number", "what it adds to the metric"),
        Column("predictor", "text", "the predictor whose loss was compared"),
        Column("validation", "number", "its mean validation loss", "nats"),
        Column("inner", "flag", "whether larger and smaller steps were tried, too"),
    ),
)
RELIABILITY = Kind(
    "reliability",
    "How often predictions made with some confidence are right.",
    (
        NAME,
        PREDICTOR,
        SEED,
        Column("bin", "integer", "number of the interval of confidence"),
        Column("confidence", "number", "mean probability of the likeliest class"),
        Column("accuracy", "number", "share of those that are right"),
        Column("share", "number", "share of all test images"),
    ),
)
