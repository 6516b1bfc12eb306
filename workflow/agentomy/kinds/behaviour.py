"""The kinds of what agents do, whatever library they are of."""

from agentomy.descriptions import Extracted
from agentomy.kinds.common import EPISODE, RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

AGENTS = ("trained", "early", "untrained")
MODES = ("deterministic", "stochastic")

AGENT = Column(
    "agent",
    "text",
    "trained; early (the first of several snapshots, where it has learned already); untrained (a twin, or at update 0)",
    values=AGENTS,
)
TWIN = Column("twin", "integer", "number of the untrained twin; -1: the run's own snapshot")
MODE = Column("mode", "text", "the actions that it thinks best, or drawn ones", values=MODES)

SOURCES = ("evaluated", "monitored", "stated")

GAME_RETURNS = Kind(
    "returns of games",
    "Whole games that agents played: one row a game, with the environment's own rewards.",
    (
        RUN,
        SEED,
        UPDATE,
        AGENT,
        TWIN,
        MODE,
        EPISODE,
        Column("return", "number", "sum of the environment's own rewards", "reward"),
        Column("length", "integer", "length of the game", "steps"),
        Column("ended", "text", "by the environment, or cut off", values=("terminated", "truncated")),
    ),
    description=Extracted,
)
SEEN = Kind(
    "seen",
    "Observations that an agent met in its environment, as the environment gives them: one row an observation.",
    (
        RUN,
        SEED,
        UPDATE,
        EPISODE,
        Column("step", "integer", "step of the episode, from 0"),
        Column("observation", "singles", "the observation", shape="the environment's"),
    ),
    description=Extracted,
)
PARITY = Kind(
    "parity",
    "An imported agent's own returns beside what others noted of it, at one time of training. The interval is Welch's, "
    "over episodes.",
    (
        RUN,
        SEED,
        UPDATE,
        MODE,
        Column(
            "source",
            "text",
            "who noted it: an EvalCallback (evaluated); a Monitor during training, of episodes that ended shortly "
            "before, of an agent that explores and still changes (monitored); whoever wrote the study (stated)",
            values=SOURCES,
        ),
        Column("noted", "number", "mean return that was noted", "reward"),
        Column("own", "number", "mean return here", "reward"),
        Column("difference", "number", "own - noted, as a share of the larger of |noted| and the spread of both"),
        Column("low", "number", "lower end of the 95 % interval of the difference", finite=False),
        Column("high", "number", "upper end of the 95 % interval of the difference", finite=False),
        Column("episodes", "integer", "episodes here"),
        Column(
            "normaliser",
            "text",
            "statistics of observations: none were given, each checkpoint's own, or one file for several of them",
            values=("none", "own", "one for all"),
        ),
    ),
)
LAYER = Column("layer", "text", "layer of the network")
UNITS = Kind(
    "units",
    "How much of each hidden layer an agent uses, on observations that its trained self meets.",
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
            "dead (share of units that give 0 throughout), dormant (share whose mean size is at most τ of the layer's "
            "mean), effective rank (exponential of the entropy of singular values), stable rank (sum of their squares "
            "over the largest square)",
            values=("dead", "dormant", "effective rank", "stable rank"),
        ),
        Column("value", "number", "its value"),
    ),
    description=Extracted,
)
RANKS = Kind(
    "ranks",
    "An agent's value among those of its untrained twins. With N twins the smallest p is 2 / (N + 1).",
    (
        RUN,
        SEED,
        UPDATE,
        Column("layer", "text", "layer of the network; of what it does: all"),
        Column("quantity", "text", "what is compared"),
        Column("value", "number", "the agent's value"),
        Column("untrained", "number", "median of its twins'"),
        Column("above", "number", "share of twins that it is above; ties count half"),
        Column("p", "number", "two-sided p of the rank test"),
        Column("twins", "integer", "number of twins"),
    ),
)
