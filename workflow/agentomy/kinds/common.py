"""Columns that many kinds share, and the kinds that belong to no single study."""

from agentomy.descriptions import Trained
from agentomy.judge.results import COLUMNS
from agentomy.tables import Column, Kind

RUN = Column("run", "text", "name of the training run in the study file", names="runs")
SEED = Column("seed", "integer", "training seed; -1 for agents that are not trained")
UPDATE = Column("update", "integer", "learning updates made when the snapshot was taken; -1 if not trained", "updates")
AGENT = Column(
    "agent",
    "text",
    "trained: the network at the end of training; untrained: the same network before it learned",
    values=("trained", "untrained"),
)
EPISODE = Column("episode", "integer", "episode, as numbered in the environment table")

PARAMETERS = Kind(
    "parameters",
    "Snapshots of a network along training: one row per seed and snapshot, one further column per tensor.",
    (SEED, UPDATE),
    tensors=True,
    description=Trained,
)

LOG = Kind(
    "log",
    "What training reported, averaged between two log points.",
    (
        RUN,
        SEED,
        UPDATE,
        Column("quantity", "text", "what was reported"),
        Column("value", "number", "its mean since the last log point"),
    ),
    description=Trained,
)

COMPARISON = Kind(
    "comparison",
    "Quantities that claims are judged on: one value per task and seed.",
    (
        Column("run", "text", "name of the training run in the study file; 'all tasks' where they are taken together"),
        SEED,
        Column("quantity", "text", "what is compared"),
        Column("value", "number", "its value", finite=False),
    ),
)

CLAIMS = Kind(
    "claims",
    "Verdicts: one row per claim, test and group, and one row per claim for the whole (test '').",
    (
        Column("study", "text", "study"),
        Column("claim", "text", "number of the claim in the study file"),
        Column("says", "text", "the claim"),
        Column("paper", "text", "the paper's evidence or figure"),
        Column("differs", "text", "of a whole claim: in what it is tested otherwise than the paper shows it, if it is"),
        *COLUMNS,
    ),
    may_be_empty=True,  # a study need not make claims
)
