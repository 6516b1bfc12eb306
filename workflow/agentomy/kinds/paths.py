"""The kinds of the study `path`. T is the number of snapshots of a path, K its number of directions."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import EPISODE, RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

_PATH = Column(
    "path",
    "text",
    "real; or a null: walk (random walk, same step sizes), shuffled (steps permuted)",
    values=("real", "walk", "shuffled"),
)
_LAYER = Column("layer", "text", "layer whose parameters are meant; 'all' for the whole network")
_PERIOD = Column(
    "period",
    "text",
    "whole: all of learning; first, second, third: its thirds",
    values=("whole", "first", "second", "third"),
)
_VARIANT = Column(
    "variant",
    "text",
    "raw: rows are the parameters; delta: their differences from the first snapshot",
    values=("raw", "delta"),
)
_PARAMETERS = Column(
    "parameters", "text", "which parameters: all, or alive (none of a dead unit)", values=("all", "alive")
)
_HALF = Column("period", "text", "first or second half of learning", values=("half1", "half2"))

# ---- environment generation -----------------------------------------------------------------------------------------

EPISODES = Kind(
    "episodes",
    "Evaluation episodes of a task that has a simulator: how each begins. The file's metadata says which simulator.",
    (
        EPISODE,
        Column("reset_seed", "integer", "seed of the simulator's random numbers in this episode"),
        Column("observation", "doubles", "first observation", shape="the task's"),
    ),
    description=Task,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

DEMONSTRATIONS = Kind(
    "demonstrations",
    "What a trained policy did: states and the actions that it chose, one row an episode.",
    (
        RUN,
        SEED,
        EPISODE,
        Column("observations", "singles", "observations", shape="steps × size"),
        Column("actions", "singles", "actions", shape="steps × size"),
        Column("return", "number", "undiscounted return", "reward"),
    ),
    description=Extracted,
)
ROLLOUTS = Kind(
    "rollouts",
    "Evaluation episodes played by the policies of snapshots, or by policies rebuilt from a few parameter directions.",
    (
        RUN,
        SEED,
        UPDATE,
        Column(
            "period", "text", "whole: all of learning; half1, half2: its halves", values=("whole", "half1", "half2")
        ),
        Column("directions", "integer", "directions that the policy was rebuilt from; -1: the snapshot itself"),
        EPISODE,
        Column("return", "number", "undiscounted return", "reward"),
        Column("length", "integer", "length of the episode", "steps"),
    ),
    description=Extracted,
)
GRAM = Kind(
    "gram",
    "Inner products between the snapshots of a policy path, of which its temporal SVD is made. The rows of one run, "
    "seed and path add up over layers.",
    (
        RUN,
        SEED,
        _PATH,
        _LAYER,
        Column("size", "integer", "number of parameters of the layer"),
        Column("updates", "doubles", "updates of the snapshots", "updates", "T"),
        Column("delta", "doubles", "⟨θt - θ1, θs - θ1⟩", shape="T × T"),
        Column("start", "doubles", "⟨θt - θ1, θ1⟩", shape="T"),
        Column("origin", "number", "⟨θ1, θ1⟩"),
    ),
    description=Extracted,
)
MOVES = Kind(
    "moves",
    "How each parameter moved: one row a tensor (or block of a large one), one list entry a parameter.",
    (
        RUN,
        SEED,
        _PATH,
        _PERIOD,
        _LAYER,
        Column("tensor", "text", "name of the tensor"),
        Column("accumulated", "singles", "length of the way, Σ|θt+1 - θt|", shape="parameters"),
        Column("final", "singles", "distance from first to last snapshot", shape="parameters"),
        Column("flips", "singles", "share of successive changes of opposite sign", shape="parameters"),
        Column("dead", "bytes8", "1: belongs to a unit that never fires on the probe states", shape="parameters"),
    ),
    description=Extracted,
)

# ---- metric computation ---------------------------------------------------------------------------------------------

CHANGE = Kind(
    "change",
    "Quantiles over the parameters of a layer of how they moved.",
    (
        RUN,
        SEED,
        _PATH,
        _PERIOD,
        _LAYER,
        _PARAMETERS,
        Column(
            "quantity",
            "text",
            "accumulated, final, detour (accumulated / final) or flips",
            values=("accumulated", "final", "detour", "flips"),
        ),
        Column("quantile", "number", "0 to 1"),
        Column("value", "number", "the quantity at this quantile"),
    ),
)
ACTIVITY = Kind(
    "activity",
    "How unequally the parameters of a layer moved, in single numbers.",
    (
        RUN,
        SEED,
        _PATH,
        _PERIOD,
        _LAYER,
        _PARAMETERS,
        Column("gini", "number", "Gini coefficient of accumulated change; NaN where nothing moves", finite=False),
        Column("top_tenth", "number", "share of it that a tenth of the parameters has; NaN likewise", finite=False),
        Column("p90_over_p10", "number", "ratio of its quantiles; NaN where the lower one is 0", finite=False),
        Column("detour_p10", "number", "quantiles of the detour ratio: 10 %; NaN where nothing moves", finite=False),
        Column("detour_p50", "number", "50 %", finite=False),
        Column("detour_p90", "number", "90 %", finite=False),
        Column("detour_above_2", "number", "share of the detour ratios above 2; NaN likewise", finite=False),
        Column("detour_above_5", "number", "above 5", finite=False),
        Column("detour_above_10", "number", "above 10", finite=False),
        Column("never_moved", "number", "share of the parameters that never moved"),
        Column("dead", "number", "share that belongs to a unit that never fires on the probe states"),
        Column("capped", "number", "share whose detour ratio was set to 1e6"),
    ),
)
DIMENSIONS = Kind(
    "dimensions",
    "How many directions hold a share β of the sum of singular values.",
    (
        RUN,
        SEED,
        _PATH,
        _PERIOD,
        _LAYER,
        _VARIANT,
        Column("beta", "number", "share of the sum of singular values"),
        Column("dimensions", "number", "directions needed; NaN where nothing moves", finite=False),
    ),
)
CONVEXITY = Kind(
    "convexity",
    "How much faster the number of directions grows for large shares β than for small ones.",
    (
        RUN,
        SEED,
        _PATH,
        _PERIOD,
        _LAYER,
        _VARIANT,
        Column("convexity", "number", "mean second difference of D over β; NaN where nothing moves", finite=False),
    ),
)
COURSES = Kind(
    "courses",
    "The directions of a path, largest singular value first, and the policy's way along each.",
    (
        RUN,
        SEED,
        _PATH,
        _PERIOD,
        _LAYER,
        _VARIANT,
        Column("direction", "integer", "number of the direction, from 1"),
        Column("singular_value", "number", "its singular value"),
        Column("share", "number", "of the sum of singular values; NaN where nothing moves", finite=False),
        Column("energy", "number", "of the sum of squared singular values; NaN where nothing moves", finite=False),
        Column("detour", "number", "detour ratio of its time course"),
        Column("change", "number", "final change of its time course"),
        Column("crossings", "integer", "how often the time course crosses its mean"),
        Column("cosine", "number", "largest correlation of the time course with a cosine of any frequency and phase"),
        Column("updates", "doubles", "updates of the snapshots", "updates", "T"),
        Column("course", "doubles", "time course, left singular vector (last entry not below the first)", shape="T"),
    ),
)
RECONSTRUCTION = Kind(
    "reconstruction",
    "Returns of policies rebuilt from k directions beside those of the snapshots that they stand for.",
    (
        RUN,
        SEED,
        _HALF,
        Column("directions", "integer", "k; -1: the snapshots themselves"),
        Column("mean", "number", "mean over snapshots of the average return", "reward"),
        Column("difference", "number", "mean over snapshots of |average return - that of the snapshot|", "reward"),
        Column("maximum", "number", "largest average return", "reward"),
        Column("minimum", "number", "smallest average return", "reward"),
        Column("snapshots", "integer", "number of snapshots"),
    ),
)
REBUILT = Kind(
    "rebuilt",
    "Returns of policies rebuilt from k directions against those of the snapshots that they stand for, as shares of "
    "the size of the snapshots' mean return.",
    (
        RUN,
        SEED,
        _HALF,
        Column("directions", "integer", "k"),
        Column("difference", "number", "mean over snapshots of |average return - that of the snapshot|"),
        Column("above", "number", "largest average return, less the largest of a snapshot"),
        Column("best_above", "number", "the largest `above` of any number of directions up to k"),
    ),
)
MEASURE = Column(
    "measure",
    "text",
    "average returns along learning: untrained (before the first update), score (the best), auc (their mean), late "
    "(the mean over the later half of the snapshots), final (of the last snapshot)",
    values=("untrained", "score", "auc", "late", "final"),
)
SCORES = Kind(
    "scores",
    "How well a run learned: one row a seed and measure.",
    (RUN, SEED, MEASURE, Column("value", "number", "its value", "reward")),
)
GAINS = Kind(
    "gains",
    "How much better runs learned than the runs they are compared with, seed by seed.",
    (
        RUN,
        Column("base", "text", "name of the run that it is compared with", names="runs"),
        SEED,
        MEASURE,
        Column("gain", "number", "difference, as a share of the base's |mean over seeds|; NaN of 0", finite=False),
    ),
)
