"""What an agent's outputs depend on: gradients in the input, of vectors and of pictures (Simonyan et al. 2013)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from agentomy import kinds
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Subject
from agentomy.lenses.inside.beside import beside_twins
from agentomy.lenses.places import channel_axis
from agentomy.values import Count, Natural

BATCH = 256  # observations of a pass


def saliency(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    count: Count = 500,  # observations, equally far apart in what the last snapshot meets
    twins: Natural = 39,  # untrained agents on the same observations
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.inside.SALIENT:
    """Which entries of a vector, or pixels of a picture, the last snapshot's choice and value depend on.

    Each observation counts the same, however large its gradients are. Of an agent that remembers it is what depends on
    the present one. Needs: network, observations, gradients, seeded environment.
    """
    around = {"count": count, "twins": twins, "streams": streams, "device": device, "progress": progress}
    around["adapter"] = adapter

    def pieces() -> Iterator[pa.Table]:
        for identity, shown, subject in beside_twins(parameters, Room(episodes), **around):
            for output, sizes in depends(subject, shown.observations, shown.state).items():
                total = sizes.sum(axis=(1, 2))
                sees = total > 0
                shares = (sizes[sees] / total[sees][:, None, None]).mean(axis=0) if sees.any() else 0 * sizes[0]
                yield kinds.inside.SALIENT.table(
                    run=run,
                    **identity,
                    output=output,
                    rows=shares.shape[0],
                    columns=shares.shape[1],
                    values=shares[None],
                    observations=np.array([sees.sum()]),
                )

    return pieces()


def depends(subject: Subject, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
    """Output → sizes of its gradient [N, H, W]; of vectors H = 1, and each is times the spread of its entry."""
    if not (observations.dtype.kind == "f" or observations.ndim == 4):
        raise ValueError(f"found observations of {observations.dtype}; allowed: numbers or pictures")
    gradients_of: dict[str, list[np.ndarray]] = {}
    parts = np.split(observations, range(BATCH, len(observations), BATCH))
    states = [None] * len(parts) if state is None else state.float().split(BATCH)
    for part, before in zip(parts, states, strict=True):
        inputs = torch.from_numpy(np.ascontiguousarray(part)).float().requires_grad_()
        for name, values in gradients(outputs(subject.read(inputs, before)[0]), inputs).items():
            gradients_of.setdefault(name, []).append(values.cpu().numpy())
    given = {name: np.concatenate(parts) for name, parts in gradients_of.items()}
    if observations.ndim == 4:
        channels = 1 + channel_axis(observations.shape[1:])
        return {name: gradient.sum(axis=channels) for name, gradient in given.items()}
    spread = observations.reshape(len(observations), -1).std(axis=0)
    return {name: (gradient.reshape(len(gradient), -1) * spread)[:, None] for name, gradient in given.items()}


def outputs(given: dict[str, Tensor]) -> dict[str, list[Tensor]]:
    """What is differentiated of what an agent gives, each [N]; several of one name are added in size."""
    terms = {}
    if "logits" in given:
        terms["choice"] = [given["logits"].log_softmax(dim=1).amax(dim=1)]
    elif "q" in given:
        terms["choice"] = [given["q"].amax(dim=1)]
    else:
        terms["choice"] = [*given["mean"].unbind(dim=1)]
    return terms | ({"value": [given["value"]]} if "value" in given else {})


def gradients(wanted: dict[str, list[Tensor]], inputs: Tensor) -> dict[str, Tensor]:
    """Name → |∂ output / ∂ input| [N, *shape], summed over outputs of one name, each [N].

    Inputs do not meet in a network, so that the gradient of the sum over them is that of each.
    """
    sizes: dict[str, Tensor] = {}
    for name, terms in wanted.items():
        for output in terms:
            (gradient,) = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
            size = gradient.abs()
            sizes[name] = sizes[name] + size if name in sizes else size
    return sizes
