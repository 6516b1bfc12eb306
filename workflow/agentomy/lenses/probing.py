"""Linear probes: what can be read from values by one linear map, tested on episodes or levels that it never saw.

N is the number of rows, F that of values of a row. Rows of one group (an episode, a level) are alike: they lie in one
part alone, or a probe would know its tests.
"""

import numpy as np

PENALTIES = (10.0, 100.0, 1000.0, 10000.0)  # of the squared weights, for standardised activations
TEST, CHOICE = 0.25, 0.2  # shares of groups: tests, and of the rest those that the penalty is chosen on

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def parted(group: np.ndarray, rng: np.random.Generator, what: str = "groups") -> Parts:
    """Masks [N] of rows to fit on, to choose the penalty on and to test on; a group lies in one of them alone."""
    groups = rng.permutation(np.unique(group))
    tests = max(1, round(len(groups) * TEST))
    choice = max(1, round((len(groups) - tests) * CHOICE))
    if len(groups) < 3:
        raise ValueError(f"probes: found {len(groups)} {what}; allowed: 3 or more, to fit, choose and test on")
    parts = np.split(groups, [len(groups) - tests - choice, len(groups) - tests])
    return tuple(np.isin(group, part) for part in parts)


def standardised(values: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Values [N, F] less their mean, in units of their spread, both over the rows `fitted`; constant ones become 0."""
    mean, spread = values[fitted].mean(axis=0), values[fitted].std(axis=0)
    return np.where(spread > 1e-12, (values - mean) / np.where(spread > 1e-12, spread, 1), 0)


def predicted(
    values: np.ndarray, right: np.ndarray, fitted: np.ndarray, choice: np.ndarray, tests: np.ndarray
) -> np.ndarray:
    """What the probe predicts everywhere [N]: its penalty is the best on `choice`, with which it is fitted anew.

    Floating-point numbers are predicted as numbers, everything else as classes.
    """
    from sklearn.linear_model import Ridge, RidgeClassifier

    if len(np.unique(right[fitted])) < 2:
        return np.full(len(right), right[fitted][0])
    probe = Ridge if is_number(right) else RidgeClassifier
    tried = [probe(penalty).fit(values[fitted], right[fitted]) for penalty in PENALTIES]
    scores = [fitted_probe.score(values[choice], right[choice]) for fitted_probe in tried]
    best = PENALTIES[int(np.argmax(scores))]
    return probe(best).fit(values[~tests], right[~tests]).predict(values)


def is_number(right: np.ndarray) -> bool:
    """Whether labels are numbers that may lie between each other, and not classes."""
    return right.dtype.kind == "f"


def chance(right: np.ndarray, fitted: np.ndarray, tests: np.ndarray) -> float:
    """How often the class that is most frequent among those fitted is right among the tests."""
    classes, counts = np.unique(right[fitted], return_counts=True)
    return share(right[tests] == classes[counts.argmax()])


def share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else np.nan


def explained(right: np.ndarray, told: np.ndarray, fitted: np.ndarray, tests: np.ndarray) -> float:
    """Share of the tests' squared differences from the fitted rows' mean that a probe explains: 0 by chance."""
    around = ((right[tests] - right[fitted].mean()) ** 2).sum()
    return float(1 - ((right[tests] - told[tests]) ** 2).sum() / around) if around > 0 else np.nan
