"""The kinds of the study `nld`."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import AGENT, RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

METHOD = Column(
    "method", "text", "the metric of a sampler; or adam", values=("euclidean", "rmsprop", "dop", "qdop", "adam")
)
NAME = Column(
    "method",
    "text",
    "the method's name in the paper; each has runs with several steps",
    values=("SGD", "dropout", "Adam", "SGLD", "RMSprop", "DOP", "QDOP"),
)
SPLIT = Column(
    "split",
    "text",
    "train: a part of the training images as they are; shifted: their shifted copies; validation; test; rotated: test "
    "images turned by 90 degrees",
    values=("train", "shifted", "validation", "test", "rotated"),
)
PREDICTOR = Column(
    "predictor",
    "text",
    "last: the network as it is; mean: the running mean of its parameters; ensemble: the mean of the probabilities of "
    "all networks kept so far",
    values=("last", "mean", "ensemble"),
)
LAYER = Column("layer", "text", "name of the layer")
CHANGE = Column(
    "change", "text", "how the inputs were changed: by a factor, or by a constant", values=("scaled", "shifted")
)
_LOSS = (
    Column("nll", "number", "mean negative log-likelihood of the labels", "nats"),
    Column("accuracy", "number", "share of images whose likeliest class is the label"),
)

# ---- environment generation -----------------------------------------------------------------------------------------

IMAGES = Kind(
    "images",
    "Grey images to be classified, and the part that each belongs to.",
    (
        Column("sample", "integer", "number of the image"),
        Column("origin", "integer", "sample that it is a shifted or rotated copy of, or itself"),
        Column(
            "split",
            "text",
            "rotated: test images turned by 90 degrees",
            values=("train", "validation", "test", "rotated"),
        ),
        Column("label", "integer", "its class, 0 to 9"),
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
        Column("step", "number", "step size; each method measures it in its own metric"),
        Column("epsilon", "number", "constant that is added to the metric"),
        SEED,
        UPDATE,
        PREDICTOR,
        Column("networks", "integer", "networks kept so far"),
        SPLIT,
        *_LOSS,
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
        Column("label", "integer", "its class"),
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
    "How far the outputs of two networks move apart: the inputs of one are rescaled or shifted, and its first layer "
    "undoes that; then both are sampled with the same standard normals.",
    (
        RUN,
        METHOD,
        SEED,
        CHANGE,
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
    "Floating-point operations of the matrix products of one update, which are nearly all of its operations.",
    (
        RUN,
        METHOD,
        SEED,
        Column("plain", "number", "operations of back-propagation alone", "operations"),
        Column("whole", "number", "operations of the update", "operations"),
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
        Column("deviation", "number", "standard deviation of that value over samples; mean over states"),
        Column("dissent", "number", "share of samples that prefer another action than most do; mean over states"),
    ),
    description=Extracted,
)

# ---- metrics --------------------------------------------------------------------------------------------------------

CHOSEN = Kind(
    "chosen",
    "The step size of each method, chosen on the validation part.",
    (
        NAME,
        Column("run", "text", "the run with the least mean validation loss", names="runs"),
        Column("step", "number", "its step size"),
        Column("epsilon", "number", "constant that it adds to the metric"),
        PREDICTOR,
        Column("validation", "number", "mean validation loss of that predictor", "nats"),
        Column("inner", "flag", "whether larger and smaller steps were tried, too"),
    ),
)
ENDS = Kind(
    "ends",
    "How well the classifiers of every run predict before and after learning.",
    (RUN, AGENT, SEED, PREDICTOR, SPLIT, *_LOSS),
)
PREDICTED = Kind(
    "predicted",
    "The same by method, with the step that was chosen for it.",
    (NAME, AGENT, SEED, PREDICTOR, SPLIT, *_LOSS),
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
        Column("accuracy", "number", "share of these predictions that are right"),
        Column("share", "number", "share of all test images that are in this interval"),
    ),
)
CALIBRATION = Kind(
    "calibration",
    "How far confidence is from accuracy, and whether doubt tells unfamiliar images from others.",
    (
        NAME,
        PREDICTOR,
        SEED,
        Column("error", "number", "mean |confidence - accuracy| over bins, weighted by their shares of the images"),
        Column("overconfidence", "number", "the same mean of confidence - accuracy"),
        Column("detection", "number", "area under the ROC curve of predictive entropy, rotated against test images"),
        Column("entropy_test", "number", "mean predictive entropy of test images", "nats"),
        Column("entropy_rotated", "number", "the same of rotated ones", "nats"),
    ),
)
SENSITIVITY = Kind(
    "sensitivity",
    "How far a change of the inputs moves outputs, beside metrics for which it has to make a difference.",
    (
        RUN,
        SEED,
        CHANGE,
        Column("difference", "number", "largest difference of a logit"),
        Column("share", "number", "the same as a share of the least difference of those metrics"),
    ),
)
POSTERIOR_ERROR = Kind(
    "posterior_error",
    "How near the stationary distribution of a sampler is to the exact posterior at the smallest step.",
    (
        RUN,
        SEED,
        Column("mean_error", "number", "‖mean - exact‖ over ‖exact‖"),
        Column("covariance_error", "number", "‖covariance - exact‖ over ‖exact‖, Frobenius"),
        Column("slope", "number", "power of the step by which that error falls, between the two smallest steps"),
    ),
)
COST = Kind(
    "cost",
    "What an update costs.",
    (RUN, SEED, Column("operations", "number", "its floating-point operations over those of back-propagation")),
)
RETURNS = Kind(
    "returns",
    "What agents get in evaluation episodes along learning.",
    (
        RUN,
        SEED,
        UPDATE,
        Column("return", "number", "mean over episodes", "reward"),
        Column("episodes", "integer", "number of episodes"),
    ),
)
DOUBTED = Kind(
    "doubted",
    "Whether posterior samples disagree where the ball has seldom been.",
    (
        RUN,
        SEED,
        Column("deviation", "number", "standard deviation of the value over samples, mean over states"),
        Column("relative_deviation", "number", "the same over the mean value"),
        Column("dissent", "number", "share of samples that prefer another action than most do, mean over states"),
        Column(
            "rank_correlation",
            "number",
            "rank correlation over places of visits and deviation; NaN with fewer than three places",
            finite=False,
        ),
    ),
)
