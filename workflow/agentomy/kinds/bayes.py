"""The kinds of the study `bayes`. T is the number of steps of an episode."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import EPISODE, RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

_STEP = Column("t", "integer", "step of the episode, from 1: the prediction or pull made after t - 1 observations")
_FAMILY = Column(
    "family", "text", "what the output is: a categorical, normal, lomax or student_t predictive, or a bandit's"
)
_DRIVE = Column(
    "drive",
    "text",
    "whose choices made the inputs: prior (predictions: nobody's), gittins, or network (its own policy)",
)
_CONDITION = Column("condition", "text", "trained; untrained; or untrained, other forget bias (a second control)")

# Values and Gittins indices of two arms at most this far apart are tied: both are computed to about 1e-4 of a reward.
TIE = 1e-4

# ---- environment generation -----------------------------------------------------------------------------------------

SEQUENCES = Kind(
    "sequences",
    "Evaluation episodes of a prediction task: one task drawn from the prior per episode.",
    (
        EPISODE,
        Column("parameters", "doubles", "parameters of the source, drawn from the prior", shape="parameters"),
        Column("observations", "doubles", "what the source emitted (categories are 0, 1, …)", shape="T"),
    ),
    description=Task,
)
BANDITS = Kind(
    "bandits",
    "Evaluation episodes of a bandit task, with the reward that each arm would give at each step.",
    (
        EPISODE,
        Column("means", "doubles", "true mean reward of each arm", "reward", "arms"),
        Column("rewards", "doubles", "reward of each arm if pulled at that step", "reward", "T × arms"),
    ),
    description=Task,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

PREDICTIONS = Kind(
    "predictions",
    "Predictive distributions of networks and of the Bayes-optimal agent on the same episodes.",
    (
        RUN,
        _FAMILY,
        Column("agent", "text", "network or bayes"),
        SEED,
        UPDATE,
        EPISODE,
        Column("predictive", "singles", "parameters of the predictive distribution (see family)", shape="T × outputs"),
        Column("log_probability", "singles", "log predictive probability of what came", "nats", "T"),
    ),
    description=Extracted,
)
PLAY = Kind(
    "play",
    "Bandit episodes played by networks and by reference agents, with the exact optimum's view of every state visited.",
    (
        RUN,
        Column("agent", "text", "network, optimal (dynamic programme), gittins, greedy, thompson or random"),
        Column("policy", "text", "sampled or argmax"),
        SEED,
        UPDATE,
        EPISODE,
        Column("means", "doubles", "true mean reward of each arm", "reward", "arms"),
        Column("actions", "bytes8", "arm pulled", shape="T"),
        Column("rewards", "singles", "reward received", "reward", "T"),
        Column("probability", "singles", "probability with which the agent pulls arm 1", shape="T"),
        Column("q_difference", "singles", "Q*(arm 1) - Q*(arm 0) of the finite-horizon optimum", "reward", "T"),
        Column("index", "singles", "Gittins index of arm 1 minus that of arm 0; up to 1e-4 is a tie", "reward", "T"),
    ),
    description=Extracted,
)
OPTIMUM = Kind(
    "optimum",
    "Exact values of the optimal agents, from closed forms and dynamic programmes.",
    (
        RUN,
        Column("quantity", "text", "optimal log-loss, oracle log-loss, optimal return or random return"),
        Column("t", "integer", "step of the episode, from 1; 0: the whole episode"),
        Column("value", "number", "nats for log-losses, reward for values"),
    ),
    description=Extracted,
)
STATES = Kind(
    "states",
    "Memory states and outputs of a network and of the Bayes-optimal agent, both driven by the same inputs.",
    (
        RUN,
        _FAMILY,
        _CONDITION,
        SEED,
        EPISODE,
        Column("network", "singles", "LSTM state (h, c)", shape="T × 2 width"),
        Column("bayes", "doubles", "sufficient statistics", shape="T × statistics"),
        Column("output", "singles", "the network's predictive, or its probability of arm 1", shape="T × outputs"),
        Column(
            "optimum", "singles", "the Bayes-optimal agent's predictive or probability of arm 1", shape="T × outputs"
        ),
        Column("q_difference", "singles", "bandits: Q*(arm 1) - Q*(arm 0); zero for predictions", "reward", "T"),
    ),
    description=Extracted,
)
MAPS = Kind(
    "maps",
    "Regressions between the states of a network and of the Bayes-optimal agent, evaluated on fresh episodes.",
    (
        RUN,
        _FAMILY,
        _DRIVE,
        _CONDITION,
        SEED,
        Column("direction", "text", "R→B (network state to sufficient statistics) or B→R"),
        Column("map", "text", "mlp or linear"),
        EPISODE,
        Column("squared_error", "singles", "squared error of the mapped state, mean over its entries", shape="T"),
        Column("target_variance", "number", "variance of the target over the test states, mean over its entries"),
        Column("output", "singles", "output of the machine that is mapped from", shape="T × outputs"),
        Column(
            "mapped_output", "singles", "output that the other machine reads from the mapped state", shape="T × outputs"
        ),
        Column("q_difference", "singles", "bandits: Q*(arm 1) - Q*(arm 0); zero for predictions", "reward", "T"),
        Column("state", "singles", "the mapped state, where it was asked to be kept, else empty", shape="T × entries"),
    ),
    description=Extracted,
)

# ---- metric computation ---------------------------------------------------------------------------------------------

DISTANCE = Kind(
    "distance",
    "Behavioural dissimilarity of a predictor to the Bayes-optimal one, mean over evaluation episodes.",
    (
        RUN,
        SEED,
        UPDATE,
        _STEP,
        Column("kl", "number", "KL(Bayes ‖ network)", "nats"),
        Column("excess", "number", "log-loss above that of the Bayes-optimal agent on the same episodes", "nats"),
    ),
)
GAP = Kind(
    "gap",
    "How far an agent is from the exact finite-horizon optimum of a bandit, mean over episodes.",
    (
        RUN,
        Column("agent", "text", "network or the name of a reference agent"),
        Column("policy", "text", "sampled or argmax"),
        SEED,
        UPDATE,
        _STEP,
        Column("gap", "number", "expected return lost by this step's choice against the optimum", "reward"),
        Column("regret", "number", "mean of the best arm minus mean of the arm pulled", "reward"),
        Column("agreement", "number", "share of pulls that a Gittins agent could have made (ties count)"),
    ),
)
ACQUISITION = Kind(
    "acquisition",
    "When each step of the episode is learned: the first snapshot below a share of the untrained distance.",
    (
        RUN,
        SEED,
        _STEP,
        Column(
            "update",
            "number",
            "0 where the untrained network is below already, NaN if never reached",
            "updates",
            finite=False,
        ),
        Column("level", "number", "what is to be reached: KL (nats), or return lost in this step (reward)"),
    ),
)
EMBEDDING = Kind(
    "embedding",
    "Agents in the plane: metric multidimensional scaling of their pairwise behavioural dissimilarity.",
    (
        RUN,
        Column("agent", "text", "network, or bayes (in bandits the Gittins agent)"),
        SEED,
        UPDATE,
        Column("x", "number", "first coordinate"),
        Column("y", "number", "second coordinate"),
        Column("stress", "number", "normalised stress of the run's whole embedding (0 is perfect)"),
    ),
)
SIMULATION = Kind(
    "simulation",
    "Structural comparison: how well the states of one machine can be mapped onto those of the other.",
    (
        RUN,
        _FAMILY,
        _DRIVE,
        _CONDITION,
        SEED,
        Column("direction", "text", "R→B (network state to sufficient statistics) or B→R"),
        Column("map", "text", "mlp or linear"),
        Column("state_error", "number", "Ds: mean squared error of the mapped state, raw"),
        Column("state_error_normalised", "number", "Ds divided by the variance of the target"),
        Column(
            "output_error", "number", "Do: KL per step (nats), or absolute difference of return per episode (reward)"
        ),
    ),
)
REDUNDANCY = Kind(
    "redundancy",
    "Share of the network state's variance among states with equal sufficient statistics: the floor of B→R.",
    (
        RUN,
        _CONDITION,
        SEED,
        Column("redundancy", "number", "variance within equal statistics / total variance", finite=False),
    ),
)
COMPONENTS = Kind(
    "components",
    "Leading principal components of true and mapped states.",
    (
        RUN,
        SEED,
        Column("panel", "text", "network, bayes→network, bayes or network→bayes"),
        EPISODE,
        _STEP,
        Column("pc1", "number", "first principal component"),
        Column("pc2", "number", "second principal component"),
        Column("share", "number", "share of the space's variance that the two components hold"),
        Column("output", "doubles", "the output at this state", shape="outputs"),
    ),
)
SUMMARY = Kind(
    "summary",
    "One row per task: the optimum, the networks beside it, and the references.",
    (
        RUN,
        Column("optimum", "number", "Bayes-optimal log-loss per step (nats) or return per episode (reward)"),
        Column("network", "number", "the trained networks' mean, same unit"),
        Column("distance", "number", "KL per step (nats) or return lost, argmax policy (reward)"),
        Column(
            "distance_sampled",
            "number",
            "return lost by the sampled policy (reward); NaN for predictions",
            finite=False,
        ),
        Column("untrained", "number", "the same distance before training"),
        Column("agreement", "number", "agreement with the Gittins agent; NaN for predictions", finite=False),
        Column("seeds", "integer", "number of training seeds"),
        Column("updates", "integer", "updates per seed", "updates"),
    ),
)
