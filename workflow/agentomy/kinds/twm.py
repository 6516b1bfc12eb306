"""The kinds of the study `twm`."""

from agentomy.kinds.common import SEED
from agentomy.tables import Column, Kind

METHOD = Column("method", "text", "name of the method; random and human are the references that scores are measured by")
GAME = Column("game", "text", "name of the game")
PUBLISHED_RUN = Column("seed", "integer", "number of the published run; -1 for a mean over runs, or a reference")
AVERAGED = Column("runs", "integer", "published runs that the score is the mean of; 0 where the source does not say")
SCORE = Column("score", "number", "final score of the game, mean over evaluation episodes", "points")
LOW = Column("low", "number", "lower end of its 95 % interval by the stratified bootstrap; NaN if it has none")
HIGH = Column("high", "number", "upper end of that interval")

# ---- environment generation -----------------------------------------------------------------------------------------

PUBLISHED = Kind(
    "published",
    "Scores of Atari games after 100k interactions, as others published them: nothing here was trained by us.",
    (METHOD, GAME, PUBLISHED_RUN, AVERAGED, SCORE, Column("source", "text", "where the score was published")),
)
VISITS = Kind(
    "visits",
    "How often each interaction in a replay buffer was the start of a training sequence: the rule of sampling alone.",
    (
        Column("sampler", "text", "name of the sampling rule in the study file"),
        SEED,
        Column("interaction", "integer", "number of the interaction, from the oldest"),
        Column("visits", "integer", "how often it was drawn until the end"),
    ),
)

# ---- metrics --------------------------------------------------------------------------------------------------------

NORMALISED = Kind(
    "normalised",
    "Published scores beside what a random policy and a person get.",
    (
        METHOD,
        GAME,
        PUBLISHED_RUN,
        AVERAGED,
        SCORE,
        Column("hns", "number", "human-normalised score: (score - random) / (human - random)"),
    ),
)
ESTIMATES = Kind(
    "estimates",
    "Aggregates of published scores over all games, with bootstrap intervals.",
    (
        Column("method", "text", "name of the method, or of two of which the difference was taken (A - B)"),
        Column("quantity", "text", "what was estimated, such as the mean, the median, IQM or the optimality gap"),
        Column("value", "number", "the estimate"),
        LOW,
        HIGH,
    ),
)
PROFILE = Kind(
    "profile",
    "Performance profiles: how many runs score more than a threshold, mean over games.",
    (
        METHOD,
        Column("threshold", "number", "human-normalised score"),
        Column("share", "number", "share of runs above it"),
        LOW,
        HIGH,
    ),
)
SPREAD = Kind(
    "spread",
    "How far the runs of a method on one game lie apart.",
    (
        METHOD,
        GAME,
        Column("runs", "integer", "runs"),
        Column("least", "number", "score of the worst run", "points"),
        Column("largest", "number", "score of the best run", "points"),
        Column("mean", "number", "mean human-normalised score"),
        Column("without_best", "number", "mean human-normalised score of all runs but the best"),
    ),
)
