"""Policy Path Trimming and Boosting (Tang et al. 2024, arXiv 2303.01391), and the controls that any gain must beat.

A path is a window of W snapshots θ1 … θW of one policy's P parameters, the last the policy as it is.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from agentomy.agents.plugins.window import Window
from agentomy.agents.protocol import Agent
from agentomy.values import Count, Natural

BLOCK = 1 << 14  # parameters taken to double precision at a time, for paths of millions of parameters


# ---- the mathematics ------------------------------------------------------------------------------------------------


def trimmed_and_boosted(
    path: np.ndarray,
    keep: int,
    boosted: int,
    boost: float,
    trim: Literal["zero", "hold", "none"] = "zero",
    variant: Literal["raw", "delta"] = "raw",
) -> np.ndarray:
    """The policy that PPTB puts in place of a path's last one: path [W, P] → [P].

    With the path's temporal SVD M = U S Vᵀ, the policy's coordinate on direction k is U[W, k] S[k]. Trimming moves
    the directions beyond the first `keep` back to zero or to where the window began. Boosting moves the first `boosted`
    further, by a share `boost` of their way through the window.

    As S Vᵀ = Uᵀ M, neither S nor V is needed, and U is what diagonalises M Mᵀ. Only the change of coordinates is
    multiplied out, so that a policy whose coordinates stay is given back exactly.
    """
    u = temporal_directions(path, variant)
    first, last = u[0], u[-1]
    changed = last.copy()
    if trim == "zero":
        changed[keep:] = 0
    elif trim == "hold":
        changed[keep:] = first[keep:]
    changed[:boosted] += boost * (last - first)[:boosted]
    weights = u @ (changed - last)  # of each snapshot in the change
    return path[-1] + np.concatenate([weights @ block for block in blocks(path, variant)])


def temporal_directions(path: np.ndarray, variant: str) -> np.ndarray:
    """Left singular vectors of a path, largest singular value first: [W, P] → [W, W]."""
    # In single precision the squares in M Mᵀ would leave three digits; in double they leave what the snapshots have.
    gram = sum(block @ block.T for block in blocks(path, variant))
    return np.linalg.eigh(gram)[1][:, ::-1]


def blocks(path: np.ndarray, variant: str) -> Iterator[np.ndarray]:
    """The rows of M in double precision, some columns at a time; delta: less the path's first row."""
    for start in range(0, path.shape[1], BLOCK):
        block = path[:, start : start + BLOCK].astype(np.float64)
        yield block - block[0] if variant == "delta" else block


def averaged(path: np.ndarray) -> np.ndarray:
    """The exponential average of a path [W, P] → [P].

    A snapshot of age a (0 the last) weighs in proportion to ((W-1)/(W+1))^a, about exp(-2a/W): untruncated, this has
    the mean age (W-1)/2 of the plain average over the window, hence the same horizon.
    """
    window = len(path)
    weights = ((window - 1) / (window + 1)) ** np.arange(window - 1, -1, -1.0)
    return sum(weight * snapshot for weight, snapshot in zip(weights / weights.sum(), path, strict=True))


def extrapolated(path: np.ndarray, boost: float) -> np.ndarray:
    """A further step along the window's straight line, θW + boost (θW - θ1): path [W, P] → [P]."""
    first, last = path[0].astype(np.float64), path[-1].astype(np.float64)
    return last + boost * (last - first)


def moved_along(
    path: np.ndarray,
    directions: np.ndarray,
    keep: int,
    boosted: int,
    boost: float,
    trim: Literal["zero", "hold", "none"] = "hold",
) -> np.ndarray:
    """What PPTB does, with given orthonormal directions [P, d] instead of its own: path [W, P] → [P].

    Trimming keeps the component along the first `keep` directions V and takes all else back: to zero (θ' = V Vᵀ θW)
    or to where the window began (θ' = θ1 + V Vᵀ (θW - θ1)). Boosting adds `boost` times the projection of θW - θ1
    onto the first `boosted` directions.
    """
    first, last = path[0].astype(np.float64), path[-1].astype(np.float64)
    begin = {"zero": np.zeros_like(last), "hold": first, "none": last}[trim]
    kept, moved = directions[:, :keep], directions[:, :boosted]
    return begin + kept @ (kept.T @ (last - begin)) + boost * (moved @ (moved.T @ (last - first)))


# ---- the plug-ins ---------------------------------------------------------------------------------------------------


class PPTB(Window):
    """Policy Path Trimming and Boosting around any agent (Tang et al. 2024).

    Along random `directions`, drawn anew at each application, it is a control: does it matter which directions are
    kept? Among all parameters d of them hold about d / P of any change, so trimming takes nearly all of it back.
    Within the path (the span of θt - θ1) they hold about d / W: as many directions as PPTB has, but not its own.
    """

    saved = (*Window.saved, "random")

    def __init__(
        self,
        agent: Agent,
        streams: list,
        *,
        interval: Count,
        window: Count,
        period: Count,
        keep: Natural = 16,
        boosted: Natural = 2,
        boost: float = 0.05,
        trim: Literal["zero", "hold", "none"] = "zero",
        variant: Literal["raw", "delta"] = "raw",  # the path whose own directions are taken
        directions: Literal["own", "path", "parameters"] = "own",  # or random ones: in the path, among all parameters
        scope: Literal["all", "layer"] = "all",
        part: str = "",
        after: Literal["slide", "clear"] = "slide",
    ):
        super().__init__(agent, interval=interval, window=window, period=period, scope=scope, part=part, after=after)
        self.keep, self.boosted, self.boost, self.trim = keep, boosted, boost, trim
        self.variant, self.directions = variant, directions
        # a stream for directions alone: the agent draws what it would draw without the plug-in
        self.random = [seed_streams.numpy("plug-in directions") for seed_streams in streams]

    def replacement(self, path: np.ndarray, seed: int) -> np.ndarray:
        if self.directions == "own":
            return trimmed_and_boosted(path, self.keep, self.boosted, self.boost, self.trim, self.variant)
        directions = self.draw(path, self.random[seed])
        return moved_along(path, directions, self.keep, self.boosted, self.boost, self.trim)

    def draw(self, path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Random orthonormal directions [P, d], uniform on the space drawn from; fewer than asked if it has fewer."""
        asked = max(self.keep, self.boosted)
        if self.directions == "parameters":
            return np.linalg.qr(rng.normal(size=(path.shape[1], asked)))[0]
        basis = np.linalg.qr((path[1:] - path[0].astype(np.float64)).T)[0]
        return basis @ np.linalg.qr(rng.normal(size=(basis.shape[1], asked)))[0]


class MovingAverage(Window):
    """Control: the policy is replaced by its exponential average over the window. Is it just smoothing?"""

    def __init__(
        self,
        agent: Agent,
        streams: list,
        *,
        interval: Count,
        window: Count,
        period: Count,
        part: str = "",
        after: Literal["slide", "clear"] = "slide",
    ):
        super().__init__(agent, interval=interval, window=window, period=period, part=part, after=after)

    def replacement(self, path: np.ndarray, seed: int) -> np.ndarray:
        return averaged(path)


class Extrapolation(Window):
    """Control: the whole policy moves on, along all directions alike. Is it just going further?"""

    def __init__(
        self,
        agent: Agent,
        streams: list,
        *,
        interval: Count,
        window: Count,
        period: Count,
        boost: float = 0.05,
        part: str = "",
        after: Literal["slide", "clear"] = "slide",
    ):
        super().__init__(agent, interval=interval, window=window, period=period, part=part, after=after)
        self.boost = boost

    def replacement(self, path: np.ndarray, seed: int) -> np.ndarray:
        return extrapolated(path, self.boost)
