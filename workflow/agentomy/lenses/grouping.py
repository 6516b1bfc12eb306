"""Groups of points, what they agree with, what stands out: pixels of a picture, or places of feature maps.

A point has a coordinate for each channel (Trim & Grayston 2024). N is the number of points, C that of channels.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist
from scipy.stats import rankdata


def single_linkage(points: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """The hierarchy of points [N, C], where it is cut, and the group of each point, from 0."""
    links = linkage(points, "single")
    cut = largest_gap(links[:, 2])
    return links, cut, fcluster(links, cut, "distance") - 1


def largest_gap(heights: np.ndarray) -> float:
    """The middle of the largest gap between merge heights in ascending order; if there is none, above them all."""
    gaps = np.diff(heights)
    if not len(gaps) or gaps.max() <= 0:
        return float(heights[-1]) + 1.0
    at = int(gaps.argmax())
    return float(heights[at] + heights[at + 1]) / 2


def k_means(points: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The group of each point, from 0, of `count` groups."""
    from sklearn.cluster import KMeans

    return KMeans(count, n_init=1, random_state=seed).fit_predict(points)


def by_size(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered from the largest; of equal ones, the first to appear comes first."""
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort([first, -counts])
    return np.argsort(order)[inverse]


def agreement(labels: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Homogeneity, completeness and adjusted Rand index of groups with true types, both [N].

    Rosenberg & Hirschberg (2007), Hubert & Arabie (1985). They are written out here because they are computed often and
    for few points.
    """
    _, labels = np.unique(labels, return_inverse=True)
    _, types = np.unique(types, return_inverse=True)
    count, width = len(labels), types.max() + 1
    both = np.bincount(labels * width + types, minlength=(labels.max() + 1) * width).reshape(-1, width)
    of_groups, of_types = both.sum(axis=1), both.sum(axis=0)
    entropy_groups, entropy_types, joint = (_entropy(sizes.ravel() / count) for sizes in (of_groups, of_types, both))
    homogeneity = 1 - (joint - entropy_groups) / entropy_types if entropy_types > 0 else 1.0
    completeness = 1 - (joint - entropy_types) / entropy_groups if entropy_groups > 0 else 1.0
    return {
        "homogeneity": float(np.clip(homogeneity, 0, 1)),  # rounding may lead outside
        "completeness": float(np.clip(completeness, 0, 1)),
        "ari": float(rand_index(pairs(both), pairs(of_groups), pairs(of_types), count)),
    }


def pairs(counts: np.ndarray) -> np.float64:
    return (counts * (counts - 1)).sum() / 2


def rand_index(both: np.ndarray, of_groups: np.ndarray, of_types: float, count: int) -> np.ndarray:
    """Adjusted Rand index of `count` points from the pairs that are together in groups, in types, and in both."""
    expected = of_groups * of_types / max(count * (count - 1) / 2, 1)
    largest = (of_groups + of_types) / 2
    with np.errstate(invalid="ignore"):
        return np.where(largest > expected, (both - expected) / (largest - expected), 1.0)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def best_cut(links: np.ndarray, types: np.ndarray) -> tuple[float, np.ndarray]:
    """Of all cuts of a hierarchy, the one with the largest adjusted Rand index against types [N], and its groups."""
    count, heights = len(types), links[:, 2]
    _, types = np.unique(types, return_inverse=True)
    within = np.zeros((2 * count - 1, types.max() + 1))  # of each type in each cluster
    within[np.arange(count), types] = 1
    joined = np.zeros((count, 2))  # pairs that are together after so many merges: of one type, and all
    for merge, (left, right) in enumerate(links[:, :2].astype(int)):
        within[count + merge] = within[left] + within[right]
        joined[merge + 1] = joined[merge] + (within[left] @ within[right], within[left].sum() * within[right].sum())
    index = rand_index(joined[:, 0], joined[:, 1], pairs(np.bincount(types)), count)
    cuts = np.concatenate([[heights[0] / 2], (heights[1:] + heights[:-1]) / 2, [heights[-1] + 1]])
    possible = np.concatenate([[heights[0] > 0], np.diff(heights) > 0, [True]])
    cut = cuts[np.where(possible, index, -np.inf).argmax()]
    return float(cut), fcluster(links, cut, "distance") - 1


def standing(points: np.ndarray, masks: Mapping[str, np.ndarray]) -> Iterator[tuple[str, int, float, float]]:
    """(name, points, distance, spread) of the points under each mask [N], of points [N, C].

    The distance is that from the nearest group of points under no mask, on average: as in single linkage, from its
    nearest member. The spread is the median of such groups'. What several masks share counts for none of them.
    """
    of_masks = np.sum(list(masks.values()), axis=0)
    others = points[of_masks == 0]
    spread = median_spread(others, single_linkage(others)[2]) if len(others) > 1 else np.nan
    for name, mask in masks.items():
        mine = points[mask & (of_masks == 1)]
        distance = cdist(mine, others).min(axis=1).mean() if len(mine) and len(others) else np.nan
        yield name, len(mine), distance, spread


def median_spread(points: np.ndarray, labels: np.ndarray) -> float:
    """Median over groups of the root mean square distance of their points [N, C] from their mean; NaN if all are 0."""
    counts = np.bincount(labels)
    means = np.zeros((len(counts), points.shape[1]))
    np.add.at(means, labels, points)
    means /= counts[:, None]
    squares = ((points - means[labels]) ** 2).sum(axis=1)
    spreads = np.sqrt(np.bincount(labels, squares) / counts)
    scale = np.abs(points).max(initial=0.0)
    spreads = spreads[(counts > 1) & (spreads > 1e-9 * scale)]  # the mean of equal points may be off by rounding
    return float(np.median(spreads)) if len(spreads) else np.nan


def separation(maps: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each mask [N, H, W] of maps [N, C, H, W], per channel [3, C].

    They are the AUC of being there against elsewhere, and the two means.
    """
    values = maps.swapaxes(0, 1).reshape(maps.shape[1], -1)
    ranks = rankdata(values, axis=1)
    numbers = {}
    for name, mask in masks.items():
        on = mask.ravel()
        count, rest = on.sum(), (~on).sum()
        auc = (ranks[:, on].sum(axis=1) - count * (count + 1) / 2) / (count * rest)
        numbers[name] = np.stack([auc, values[:, on].mean(axis=1), values[:, ~on].mean(axis=1)])
    return numbers
