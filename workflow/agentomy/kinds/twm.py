"""The kinds of the study `twm`."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

METHOD = Column("method", "text", "name of the method; random and human are the references that scores are measured by")
GAME = Column("game", "text", "name of the game")
PUBLISHED_RUN = Column("seed", "integer", "number of the published run; -1 for a mean over runs, or a reference")
AVERAGED = Column("runs", "integer", "published runs that the score is the mean of; 0 where the source does not say")
SCORE = Column("score", "number", "final score of the game, mean over evaluation episodes", "points")
LOW = Column(
    "low", "number", "lower end of its 95 % interval by the stratified bootstrap; NaN if it has none", finite=False
)
HIGH = Column("high", "number", "upper end of that interval", finite=False)

# ---- environment generation -----------------------------------------------------------------------------------------

PUBLISHED = Kind(
    "published",
    "Scores of Atari games after 100k interactions, as others published them: nothing here was trained by us.",
    (METHOD, GAME, PUBLISHED_RUN, AVERAGED, SCORE, Column("source", "text", "where the score was published")),
    description=Task,
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
    description=Task,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

_CHANNELS = Column("channels", "integer", "channels of a picture: sorts of objects, or frames")

IMAGINED = Kind(
    "imagined",
    "Rollouts in a trained world model, and what really followed at the same places; one row a step.",
    (
        RUN,
        SEED,
        UPDATE,
        Column(
            "rollout", "integer", "number of the rollout; imagined and real ones of a number start at the same place"
        ),
        Column("source", "text", "imagined, or real: in both the policy draws its own actions"),
        Column("step", "integer", "step of the rollout, from 0, the start", "steps"),
        Column("action", "integer", "action taken at this step"),
        Column("reward", "number", "what it brought: tanh of the reward, predicted or real"),
        Column("discount", "number", "predicted discount; if real, 0 where the task ended, else the discount"),
        Column("weight", "number", "product of the discounts before this step since the last beginning"),
        Column("ended", "flag", "whether the (imagined) episode ended with this step"),
        _CHANNELS,
        Column("picture", "singles", "decoded code, or what was seen", "0 to 1", "side × side × channels"),
    ),
    description=Extracted,
)
RECONSTRUCTIONS = Kind(
    "reconstructions",
    "What a world model's decoder makes of the likeliest codes of observations.",
    (
        RUN,
        SEED,
        UPDATE,
        Column("picture_number", "integer", "number of the observation"),
        Column("loss", "number", "- ln p of the observation given its code", "nats"),
        _CHANNELS,
        Column("seen", "singles", "the observation", "0 to 1", "side × side × channels"),
        Column("decoded", "singles", "what was decoded", "0 to 1", "side × side × channels"),
    ),
    description=Extracted,
)
ATTENTION = Kind(
    "attention",
    "How much a world model's transformer attends to earlier tokens, where it predicts (at the token of an action).",
    (
        RUN,
        SEED,
        UPDATE,
        Column(
            "view", "text", "mean: over readers whose window is of one episode (else as much as there is); example: one"
        ),
        Column("readers", "integer", "of how many readers this is the mean"),
        Column("layer", "integer", "layer, from 1"),
        Column("head", "integer", "head, from 1"),
        Column("age", "integer", "how long ago the token's step was; 0: the step itself, without its reward", "steps"),
        Column("modality", "text", "what the token is of: z (code), a (action), r (reward)"),
        Column("weight", "number", "attention weight; those of a head add up to 1"),
    ),
    description=Extracted,
)
LAYOUT = Kind(
    "layout",
    "The tensors that a training run learns, and how its network is put together.",
    (
        RUN,
        SEED,
        Column("network", "text", "how to rebuild the network: {use: module.Class, …}, as JSON"),
        Column("tensor", "text", "name of the tensor"),
        Column("shape", "text", "its shape, as JSON"),
        Column("size", "integer", "how many parameters it holds"),
    ),
    description=Extracted,
)
MODEL_LOSSES = Kind(
    "model_losses",
    "Losses of world models on fresh steps, which the snapshot's own policy played.",
    (
        RUN,
        SEED,
        UPDATE,
        Column(
            "model",
            "text",
            "snapshot; untrained: the network before training, with its own encoder, on the same steps; constant: the "
            "best prediction that is the same at every step, of the snapshot's codes",
        ),
        Column(
            "quantity",
            "text",
            "next_latent (cross-entropy), reward, discount: losses without weights; latent_entropy: of the encoder, "
            "which is the least that next_latent can be",
        ),
        Column("value", "number", "its mean over steps", "nats"),
    ),
    description=Extracted,
)

# ---- metrics --------------------------------------------------------------------------------------------------------

NORMALISED = Kind(
    "normalised",
    "Published scores beside what a random policy and a person get; in a study of our own runs those too.",
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
