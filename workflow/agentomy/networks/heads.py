"""What a predictor's raw outputs mean: predictive distributions, by family.

A head must be able to express the Bayes-optimal predictive exactly, else the distance to it has a floor that no
training removes. Predictive vectors, as in `environments.sequences`:

- categorical: probabilities;
- normal: mean, standard deviation;
- lomax: shape a, rate b, of density a bᵃ / (b + x)ᵃ⁺¹ on x ≥ 0;
- student_t: degrees of freedom, location, scale.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus

TINY = 1e-4  # least scale, shape or rate: keeps log and division finite wherever an untrained network may go
LEAST_FREEDOM = 1.0  # of Student's t: below, it has no location to learn; a Bayes predictive has 2·shape + n, above


def predictive(family: str, raw: Tensor) -> Tensor:
    """Raw outputs [..., outputs] → predictive vectors [..., outputs]; positive entries by softplus."""
    match family:
        case "categorical":
            return torch.softmax(raw, dim=-1)
        case "normal":
            mean, scale = raw.unbind(-1)
            return torch.stack([mean, softplus(scale) + TINY], dim=-1)
        case "lomax":
            return softplus(raw) + TINY
        case "student_t":
            freedom, location, scale = raw.unbind(-1)
            return torch.stack([softplus(freedom) + LEAST_FREEDOM, location, softplus(scale) + TINY], dim=-1)
    raise ValueError(f"no predictive family '{family}'; known: categorical, normal, lomax, student_t")


def log_probability(family: str, raw: Tensor, x: Tensor) -> Tensor:
    """Log predictive probability (density) of x [...] under raw outputs [..., outputs], nats [...]."""
    if family == "categorical":  # from the logits: a probability may underflow
        return log_softmax(raw, dim=-1).gather(-1, x.long().unsqueeze(-1)).squeeze(-1)
    return log_density(family, predictive(family, raw), x)


def log_density(family: str, parameters: Tensor, x: Tensor) -> Tensor:
    """The same under predictive vectors [..., outputs]."""
    if family == "categorical":
        return parameters.gather(-1, x.long().unsqueeze(-1)).squeeze(-1).log()
    parameters = parameters.unbind(-1)
    if family == "normal":
        mean, scale = parameters
        return -0.5 * ((x - mean) / scale).square() - scale.log() - 0.5 * math.log(2 * math.pi)
    if family == "lomax":
        shape, rate = parameters  # log1p: b and x can differ by orders of magnitude either way
        return shape.log() - rate.log() - (shape + 1) * torch.log1p(x / rate)
    freedom, location, scale = parameters
    half = 0.5 * (freedom + 1)
    normaliser = torch.lgamma(half) - torch.lgamma(0.5 * freedom) - 0.5 * (freedom * math.pi).log() - scale.log()
    return normaliser - half * torch.log1p(((x - location) / scale).square() / freedom)
