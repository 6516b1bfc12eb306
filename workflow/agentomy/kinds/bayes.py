"""The kinds of the study `bayes`. T is the number of steps of an episode."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import AGENT, EPISODE, RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

_STEP = Column("t", "integer", "step of the episode, from 1: the prediction or pull made after t - 1 observations")
_FAMILY = Column(
    "family",
    "text",
    "the family of predictive distributions that is put out; bandit: the output is the probability of arm 1",
    values=("categorical", "normal", "lomax", "student_t", "bandit"),
)
_DRIVE = Column(
    "drive",
    "text",
    "who pulls the arms: the Gittins agent, or the network by its own policy; prior: a prediction task, without arms",
    values=("prior", "gittins", "network"),
)
_NETWORK = Column(
    "agent",
    "text",
    "trained; untrained; or, as a second control, untrained with the other initial bias of the forget gate",
    values=("trained", "untrained", "untrained, other forget bias"),
)
_PREDICTOR = Column("agent", "text", "network, or the Bayes-optimal predictor", values=("network", "bayes"))
_PLAYER = Column(
    "agent",
    "text",
    "network, or a reference agent; optimal: the dynamic programme",
    values=("network", "optimal", "gittins", "greedy", "thompson", "random"),
)
_POLICY = Column(
    "policy",
    "text",
    "sampled: arms are drawn from the policy; argmax: the likelier arm is pulled",
    values=("sampled", "argmax"),
)
_DIRECTION = Column(
    "direction", "text", "R→B: from network state to sufficient statistics; B→R: back", values=("R→B", "B→R")
)
_MAP = Column("map", "text", "the sort of regression; mlp: a multilayer perceptron", values=("mlp", "linear"))

# Two arms are tied if their values or Gittins indices differ by no more: both are computed to about 1e-4 of a reward.
TIE = 1e-4

# ---- environment generation -----------------------------------------------------------------------------------------

SEQUENCES = Kind(
    "sequences",
    "Evaluation episodes of a prediction task: one task drawn from the prior per episode.",
    (
        EPISODE,
        Column("parameters", "doubles", "parameters of the source, drawn from the prior", shape="parameters"),
        Column("observations", "doubles", "observations that the source emitted (categories are 0, 1, …)", shape="T"),
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
        _PREDICTOR,
        SEED,
        UPDATE,
        EPISODE,
        Column("predictive", "singles", "parameters of the predictive distribution (see family)", shape="T × outputs"),
        Column("log_probability", "singles", "log predictive probability of the observation", "nats", "T"),
    ),
    description=Extracted,
)
PLAY = Kind(
    "play",
    "Bandit episodes played by networks and by reference agents, with the optimal values of every state that they met.",
    (
        RUN,
        _PLAYER,
        _POLICY,
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
        Column(
            "quantity",
            "text",
            "whose value it is; the oracle knows the source",
            values=("optimal log-loss", "oracle log-loss", "optimal return", "random return"),
        ),
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
        _NETWORK,
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
        _NETWORK,
        SEED,
        _DIRECTION,
        _MAP,
        EPISODE,
        Column("squared_error", "singles", "squared error of the mapped state, mean over its entries", shape="T"),
        Column("target_variance", "number", "variance of the target over the test states, mean over its entries"),
        Column("output", "singles", "output of the machine whose state is mapped", shape="T × outputs"),
        Column(
            "mapped_output", "singles", "output that the other machine reads from the mapped state", shape="T × outputs"
        ),
        Column("q_difference", "singles", "bandits: Q*(arm 1) - Q*(arm 0); zero for predictions", "reward", "T"),
        Column("state", "singles", "the mapped state; empty unless the study asks to keep it", shape="T × entries"),
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
        _PLAYER,
        _POLICY,
        SEED,
        UPDATE,
        _STEP,
        Column("gap", "number", "expected return lost by this step's choice against the optimum", "reward"),
        Column("regret", "number", "mean of the best arm minus mean of the arm pulled", "reward"),
        Column("agreement", "number", "share of pulls that a Gittins agent could have made (ties count)"),
    ),
)
LOSSES = Kind(
    "losses",
    "The return that an agent loses in an episode against the exact optimum, beside what reference agents lose.",
    (
        RUN,
        _PLAYER,
        _POLICY,
        SEED,
        UPDATE,
        Column("lost", "number", "expected return lost in an episode", "reward"),
        Column("share_lost", "number", "the same as a share of the optimal return"),
        Column("over_thompson", "number", "return lost, divided by what Thompson sampling loses"),
        Column("over_greedy", "number", "return lost, divided by what the greedy agent loses"),
        Column("regret_above_gittins", "number", "regret of an episode less the Gittins agent's (sampled)", "reward"),
        Column("agreement", "number", "share of pulls that a Gittins agent could have made (ties count)"),
    ),
)
CLOSED_FORM = Kind(
    "closed_form",
    "Log-loss of trained predictors above the closed form of the optimal one, beside their KL.",
    (
        RUN,
        SEED,
        Column("excess", "number", "log-loss on the evaluation episodes less the closed form, mean over steps", "nats"),
        Column("kl", "number", "KL(Bayes ‖ network), mean over steps", "nats"),
        Column("errors", "number", "|excess - KL| in standard errors over the evaluation episodes, its only cause"),
    ),
)
TREND = Kind(
    "trend",
    "Whether trained networks still near the Bayes-optimal agent, stay where they are, or move away.",
    (
        RUN,
        SEED,
        Column(
            "change",
            "number",
            "relative change of the distance over the last third of training, below 0 if it still falls; NaN with "
            "fewer than three snapshots there",
            finite=False,
        ),
        Column("error", "number", "standard error of that change", finite=False),
        Column("errors", "number", "the change in standard errors", finite=False),
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
        Column("level", "number", "the KL (nats), or return lost in this step (reward), that has to be reached"),
    ),
)
ORDER = Kind(
    "order",
    "Whether the steps of an episode are learned at different times; NaN where no step is learned.",
    (
        RUN,
        SEED,
        Column("spread", "number", "time between the first and the last step to be learned", "decades", finite=False),
        Column(
            "order",
            "number",
            "rank correlation of the step with when it is learned; 0 if all come together",
            finite=False,
        ),
        Column("learned", "number", "share of the steps that needed learning and were learned", finite=False),
    ),
)
EMBEDDING = Kind(
    "embedding",
    "Agents in the plane: metric multidimensional scaling of their pairwise behavioural dissimilarity.",
    (
        RUN,
        Column("agent", "text", "network, or bayes (in bandits the Gittins agent)", values=("network", "bayes")),
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
        _NETWORK,
        SEED,
        _DIRECTION,
        _MAP,
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
        _NETWORK,
        SEED,
        Column("redundancy", "number", "variance within equal statistics / total variance", finite=False),
    ),
)
OVER_TASKS = Kind(
    "over_tasks",
    "The structural comparison over all tasks together, by mlp maps on inputs that the network did not choose.",
    (
        Column("agent", "text", "the network that is compared", values=("trained", "untrained")),
        SEED,
        Column("tasks", "integer", "number of tasks"),
        Column("state_error", "number", "normalised Ds of R→B, geometric mean over tasks"),
        Column("state_ratio", "number", "normalised Ds of B→R over that of R→B, geometric mean over tasks"),
        Column("output_ratio", "number", "Do of B→R over that of R→B, geometric mean over tasks"),
        Column("state_worse", "number", "share of tasks where the normalised Ds of B→R is above that of R→B"),
        Column("output_worse", "number", "share of tasks where the Do of B→R is above that of R→B"),
    ),
)
COMPONENTS = Kind(
    "components",
    "Leading principal components of true and mapped states.",
    (
        RUN,
        AGENT,
        SEED,
        Column(
            "panel",
            "text",
            "the states of one machine, or those of the other mapped into its space",
            values=("network", "bayes→network", "bayes", "network→bayes"),
        ),
        EPISODE,
        _STEP,
        Column("pc1", "number", "first principal component"),
        Column("pc2", "number", "second principal component"),
        Column("share", "number", "share of the space's variance that the two components hold"),
        Column("output", "doubles", "the output at this state", shape="outputs"),
    ),
)
OVERLAP = Kind(
    "overlap",
    "How far mapped states lie on the true ones in the plane of the two leading components.",
    (
        RUN,
        AGENT,
        SEED,
        Column("space", "text", "whose states span the plane", values=("network", "bayes")),
        Column("overlap", "number", "1 - Σ|mapped - true|² / Σ|true - mean|²"),
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
