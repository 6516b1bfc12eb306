"""The divergence between predictive distributions.

A predictive distribution is a vector, the last axis of every array here, whose meaning its family gives:

- categorical: the probabilities;
- normal: mean, standard deviation;
- lomax: shape a, rate b, of density a bᵃ / (b + x)ᵃ⁺¹ on x ≥ 0;
- student_t: degrees of freedom, location, scale.
"""

import numpy as np
from scipy.special import betaln, hyp2f1, psi, xlogy

from agentomy.names import resolve

_NODES = 65  # quadrature nodes for Student t
_CHUNK = 1 << 14  # divergences of Student t taken at a time, to bound memory


def kl(family: str, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p ‖ q) [...] between predictive distributions [..., outputs] of one family, nats.

    Exact but for Student t, which is integrated numerically (relative error below 1e-6 for comparable scales and
    at least one degree of freedom). Infinite where p has mass and q has none.
    """
    p, q = np.broadcast_arrays(np.asarray(p, float), np.asarray(q, float))
    return resolve(_KL, family)(p, q)


def _categorical(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(p > 0, p * np.log(q), 0.0)
    return (xlogy(p, p) - surprise).sum(-1)


def _normal(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    ratio = p[..., 1] / q[..., 1]
    shift = (p[..., 0] - q[..., 0]) / q[..., 1]
    return 0.5 * (ratio**2 + shift**2 - 1) - np.log(ratio)


def _lomax(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    a, b = np.moveaxis(p, -1, 0)
    c, d = np.moveaxis(q, -1, 0)
    # Under p, log(1 + x/b) is Exponential(a); with u = b / (b + x) ~ Beta(a, 1) and r = d/b - 1,
    # log(d + x) = log(b + x) + log(1 + r u), and E log(1 + r u), by parts, is a hypergeometric function of r.
    # Its argument r / (1 + r) keeps the series away from the logarithmic singularity that -r would meet at 1.
    fraction = 1 - b / d
    log_ratio = np.log(d / b)
    excess = log_ratio - fraction / (a + 1) * hyp2f1(1, 1, a + 2, fraction)
    return np.log(a / c) - c * log_ratio + (c - a) / a + (c + 1) * excess


def _log_volume(degrees: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Minus the log density of a Student t at its location."""
    return betaln(degrees / 2, 0.5) + 0.5 * np.log(degrees) + np.log(scale)


def _student_t(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    shape, p, q = p.shape[:-1], p.reshape(-1, 3), q.reshape(-1, 3)
    pieces = [_student_t_chunk(p[i : i + _CHUNK], q[i : i + _CHUNK]) for i in range(0, len(p), _CHUNK)]
    return np.concatenate(pieces).reshape(shape) if pieces else np.zeros(shape)


def _student_t_chunk(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    degrees, row = np.unique(p[:, 0], return_inverse=True)  # Bayes-optimal agents have one per step
    nodes, weights = _student_t_nodes(degrees)
    nodes, weights = nodes[row], weights[row]
    half = 0.5 * (p[:, 0] + 1)
    negentropy = -_log_volume(p[:, 0], p[:, 2]) - half * (psi(half) - psi(0.5 * p[:, 0]))
    shift, ratio = (p[:, 1] - q[:, 1]) / q[:, 2], p[:, 2] / q[:, 2]
    squares = (shift[:, None] + ratio[:, None] * nodes) ** 2 / q[:, :1]
    tail = (weights * np.log1p(squares)).sum(-1)
    return negentropy + _log_volume(q[:, 0], q[:, 2]) + 0.5 * (q[:, 0] + 1) * tail


def _student_t_nodes(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights [degrees, nodes] of an expectation under the standard Student t, by the trapezoid rule.

    With x = √ν sinh w the density of w is proportional to cosh(w)^-ν; w = spread · sinh v then makes the tails fall
    double-exponentially, whatever ν, so that few equal steps in v suffice.
    """
    degrees = degrees[:, None]
    spread = 2 / np.sqrt(4 + degrees)
    # cosh(w)^-ν is 1e-16 at the end; log cosh w = y is solved by w = y + log(1 + √(1 - e^-2y)). The limit only keeps
    # sinh² w a finite double; it cuts off mass of no account down to a tenth of a degree of freedom.
    y = np.minimum(36 / degrees, 300)
    end = np.arcsinh((y + np.log1p(np.sqrt(-np.expm1(-2 * y)))) / spread)
    v = end * np.linspace(-1, 1, _NODES)
    w = spread * np.sinh(v)
    log_cosh = np.abs(w) + np.log1p(np.exp(-2 * np.abs(w))) - np.log(2)
    density = np.exp(-degrees * log_cosh) * np.cosh(v)
    return np.sqrt(degrees) * np.sinh(w), density / density.sum(-1, keepdims=True)


_KL = {"categorical": _categorical, "normal": _normal, "lomax": _lomax, "student_t": _student_t}
