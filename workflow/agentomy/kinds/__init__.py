"""The kinds of artifact: every table the pipeline writes, column by column; one module a study.

docs/artifacts.md is generated from this package (`make docs`).
"""

from agentomy.kinds.bayes import (
    ACQUISITION,
    BANDITS,
    COMPONENTS,
    DISTANCE,
    EMBEDDING,
    GAP,
    MAPS,
    OPTIMUM,
    PLAY,
    PREDICTIONS,
    REDUNDANCY,
    SEQUENCES,
    SIMULATION,
    STATES,
    SUMMARY,
    TIE,
)
from agentomy.kinds.common import CLAIMS, COMPARISON, LOG, PARAMETERS
from agentomy.kinds.maze import CHEESE_DISTANCES, DISTANCES, LEVELS, MAZE_MOVES
from agentomy.kinds.maze_behaviour import CHANCES, CORRELATIONS, NAVIGATION, OCCUPANCY, OUTCOMES, REGRESSION
from agentomy.kinds.maze_edits import CHANNELS, EDITED, FIELDS, RESAMPLED, RETARGETS, TRANSFERS
from agentomy.kinds.maze_pixels import (
    ACCURACY,
    CONTRAST,
    FEATURES,
    GROUPS,
    LABELS,
    OBJECTS,
    OUTSIDE,
    PIXELS,
    PLACES,
    PROBES,
    SALIENCY,
    SHARES,
    SHOWS,
    STANDING,
)
from agentomy.kinds.nld import (
    CHOSEN,
    CLASSES,
    DOUBT,
    IMAGES,
    INVARIANCE,
    NOISE,
    OPERATIONS,
    PREDICTIVE,
    RELIABILITY,
    STATIONARY,
)
from agentomy.kinds.paths import (
    ACTIVITY,
    CHANGE,
    COURSES,
    DEMONSTRATIONS,
    DIMENSIONS,
    EPISODES,
    GRAM,
    MOVES,
    RECONSTRUCTION,
    ROLLOUTS,
    SCORES,
)
from agentomy.kinds.subnetworks import (
    COEFFICIENTS,
    CURVES,
    EFFECTS,
    IMPACTS,
    MATCHED,
    MOVED,
    POINTS,
    STEERED,
    SUBJECTS,
    SUBNETWORKS,
)
from agentomy.kinds.twm import (
    ATTENTION,
    ESTIMATES,
    IMAGINED,
    LAYOUT,
    MODEL_LOSSES,
    NORMALISED,
    PROFILE,
    PUBLISHED,
    RECONSTRUCTIONS,
    SPREAD,
    VISITS,
)
from agentomy.tables import Kind

ALL = {name: kind for name, kind in globals().items() if isinstance(kind, Kind)}
