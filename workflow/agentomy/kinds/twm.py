"""The kinds of the study `twm`."""

from agentomy.descriptions import Extracted, Task
from agentomy.kinds.common import RUN, SEED, UPDATE
from agentomy.tables import Column, Kind

OURS = "TWM, here"  # what our own runs are called among published methods
METHODS = (
    "random", "human", "SimPLe", "CURL", "DrQ(eps)", "SPR", "TWM", "IRIS", "DreamerV3", "STORM", "DIAMOND",
    "EfficientZero", OURS,
)  # fmt: skip
GAMES = (
    "Alien", "Amidar", "Assault", "Asterix", "BankHeist", "BattleZone", "Boxing", "Breakout", "ChopperCommand",
    "CrazyClimber", "DemonAttack", "Freeway", "Frostbite", "Gopher", "Hero", "Jamesbond", "Kangaroo", "Krull",
    "KungFuMaster", "MsPacman", "Pong", "PrivateEye", "Qbert", "RoadRunner", "Seaquest", "UpNDown",
)  # fmt: skip
AGGREGATES = ("mean", "median", "IQM", "optimality gap", "games at human level")

METHOD = Column(
    "method",
    "text",
    "name of the method; random and human are the references that scores are measured by",
    values=METHODS,
)
GAME = Column("game", "text", "name of the game", values=GAMES)
PUBLISHED_RUN = Column("seed", "integer", "number of the published run; -1 for a mean over runs, or a reference")
AVERAGED = Column("runs", "integer", "published runs that the score is the mean of; 0 where the source does not say")
SCORE = Column("score", "number", "final score of the game, mean over evaluation episodes", "points")
LOW = Column(
    "low", "number", "lower end of its 95 % interval by the stratified bootstrap; NaN if it has none", finite=False
)
HIGH = Column("high", "number", "upper end of that interval", finite=False)
SAMPLER = Column("sampler", "text", "name of the sampling rule in the study file")
SIMULATION = Column("simulation", "integer", "number of the simulation, which has random numbers of its own")

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
        SAMPLER,
        SEED,
        Column("interaction", "integer", "number of the interaction, from the oldest"),
        Column("visits", "integer", "how often it was drawn until the end"),
    ),
    description=Task,
)

# ---- checkpoint extraction ------------------------------------------------------------------------------------------

MODALITY = Column("modality", "text", "what the token is of: z (code), a (action), r (reward)", values=("z", "a", "r"))
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
        Column(
            "source",
            "text",
            "imagined, or real: in both the policy draws its own actions",
            values=("imagined", "real"),
        ),
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
            "view",
            "text",
            "mean: over readers whose window is of one episode (else as much as there is); example: one",
            values=("mean", "example"),
        ),
        Column("readers", "integer", "of how many readers this is the mean"),
        Column("layer", "integer", "layer, from 1"),
        Column("head", "integer", "head, from 1"),
        Column("age", "integer", "how long ago the token's step was; 0: the step itself, without its reward", "steps"),
        MODALITY,
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
            values=("snapshot", "untrained", "constant"),
        ),
        Column(
            "quantity",
            "text",
            "next_latent (cross-entropy), reward, discount: losses without weights; latent_entropy: of the encoder, "
            "which is the least that next_latent can be",
            values=("next_latent", "reward", "discount", "latent_entropy"),
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
_AGGREGATE = (
    "mean, median and interquartile mean (IQM) of human-normalised scores, how far they fall short of a person's"
)
ESTIMATES = Kind(
    "estimates",
    "Aggregates of published scores over all games, with bootstrap intervals.",
    (
        METHOD,
        Column(
            "quantity", "text", f"what was estimated: {_AGGREGATE}, and on how many games they don't", values=AGGREGATES
        ),
        Column("value", "number", "the estimate"),
        LOW,
        HIGH,
    ),
)
COMPARED = Kind(
    "compared",
    "A method's published scores beside those of others, with bootstrap intervals.",
    (
        METHOD,
        Column("other", "text", "name of the other method", values=METHODS),
        Column(
            "quantity",
            "text",
            f"what differs: {_AGGREGATE}; or how likely a run beats one of the other on a game drawn at random",
            values=(*AGGREGATES[:4], "probability of improvement"),
        ),
        Column("value", "number", "the method's less the other's, or the probability"),
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
VISITS_BY_AGE = Kind(
    "visits_by_age",
    "How often a rule of sampling used the interactions of an age band.",
    (
        SAMPLER,
        SIMULATION,
        Column("since", "number", "where the band begins: the share of all interactions that are older"),
        Column("until", "number", "where it ends"),
        Column("visits", "number", "mean number of visits"),
        Column("over_expected", "number", "ratio to the number that is expected; NaN if none is", finite=False),
    ),
)
EVENNESS = Kind(
    "evenness",
    "How evenly a rule of sampling used all interactions.",
    (
        SAMPLER,
        SIMULATION,
        Column("entropy", "number", "entropy of visits as shares of all, over that of equal shares"),
        Column("variation", "number", "standard deviation of visits over their mean"),
    ),
)
FRESH = Kind(
    "fresh",
    "Losses of trained world models on fresh steps.",
    (
        RUN,
        SEED,
        Column("quantity", "text", "what is predicted", values=("next_latent", "reward", "discount")),
        Column("loss", "number", "the last snapshot's loss", "nats"),
        Column("above_constant", "number", "the loss less that of the best constant prediction", "nats"),
        Column("over_constant", "number", "the loss over that of the best constant; NaN if that is 0", finite=False),
    ),
)
ENTROPY = Kind(
    "entropy",
    "The policy's entropy after pre-training, as a share of the largest.",
    (
        RUN,
        SEED,
        Column("late", "number", "mean over the last quarter of the joint updates"),
        Column("least", "number", "the smallest at a log point"),
        Column("out_of_bounds", "number", "1 if the late entropy is out of the bounds of the study, else 0"),
    ),
)
AGENT = Column("agent", "text", "whether the network has learned", values=("trained", "untrained"))
ATTENDED = Kind(
    "attended",
    "How much a world model's transformer attends to tokens of a modality, where it predicts.",
    (RUN, SEED, AGENT, MODALITY, Column("share", "number", "of the attention, mean over heads")),
)
AGES = Kind(
    "ages",
    "How far back a world model's transformer attends, where it predicts.",
    (
        RUN,
        SEED,
        AGENT,
        Column("beyond_last", "number", "share of the attention on steps before the last one, mean over heads"),
        Column("range", "number", "largest less smallest mean age of what a head attends to", "steps"),
    ),
)
DREAMT = Kind(
    "dreamt",
    "How much late imagined pictures are like real ones, and imagined rewards.",
    (
        RUN,
        SEED,
        Column("pictures", "integer", "number of imagined pictures that count"),
        Column("possible", "number", "share of them whose numbers of objects all occur in real pictures"),
        Column("sharp", "number", "share of the places in them that are below 0.1 or above 0.9"),
        Column("reward_error", "number", "mean reward imagined less the real mean, over all steps"),
    ),
)
