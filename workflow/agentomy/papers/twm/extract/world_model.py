"""What world models do and hold (arXiv 2303.07109): returns, imagined rollouts, reconstructions, attention, losses."""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from agentomy import kinds, networks
from agentomy.lenses.hooks import recording
from agentomy.lenses.paths.extract import thinned
from agentomy.networks.imagination import Imagined, Start, imagine
from agentomy.networks.layers import Noise
from agentomy.networks.observation_model import FrameDecoder, likeliest, sampled
from agentomy.networks.world_model import WorldModel
from agentomy.papers.twm.extract.worlds import Lived, ends, fresh, play, worlds
from agentomy.tables import Table
from agentomy.values import Count, Share

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
MODALITIES = ("z", "a", "r")  # in the order of a step's tokens

# ---- returns --------------------------------------------------------------------------------------------------------


def returns(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    snapshots: Count,  # how many, spread evenly over the run
    before_last: Count | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.paths.ROLLOUTS:
    """Returns of episodes that snapshots play: the likeliest code, an action drawn from the policy (section 7).

    The last snapshot plays all episodes; those before it the first `before_last`, or all as well.
    """
    starts, last = episodes.values("reset_seed"), max(ends(parameters))
    updates, count = spread(parameters, snapshots)

    def pieces() -> Iterator[pa.Table]:
        for number, (update, seed, world) in enumerate(worlds(parameters, device, updates)):
            progress.step(number, count, "snapshots", run)
            noise = [networks.generator(streams.entropy(f"actions seed {seed} update {update}"), device)]
            totals, lengths = play(
                world, episodes.description, starts if update == last else starts[:before_last], noise, device
            )
            snapshot = {"run": run, "seed": seed, "update": update, "period": "whole", "directions": -1}
            played = {"episode": np.arange(len(totals)), "return": totals, "length": lengths}
            yield kinds.paths.ROLLOUTS.table(**snapshot, **played)

    return pieces()


def spread(parameters: Table, snapshots: int) -> tuple[set[int], int]:
    """So many updates with snapshots, spread evenly, both ends among them; and how many rows they have."""
    updates = parameters.values("update")
    chosen = thinned(np.unique(updates), snapshots)
    return set(map(int, chosen)), int(np.isin(updates, chosen).sum())


# ---- imagination ----------------------------------------------------------------------------------------------------


def imagined(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    rollouts: Count,  # how many
    horizon: Count,  # steps of a rollout
    steps: Count,
    discount: Share = 0.99,
    run,
    streams,
    device,
) -> kinds.twm.IMAGINED:
    """Rollouts of the last snapshot from random places of `steps` real ones, beside what followed there."""
    if steps < horizon + rollouts:
        raise ValueError(f"steps: found {steps}; allowed: horizon + rollouts or more")

    def pieces() -> Iterator[pa.Table]:
        for update, seed, world in worlds(parameters, device, {max(ends(parameters))}):
            lived, noise = fresh(world, episodes.description, steps, streams, (seed, update), device)
            order = torch.randperm(steps - horizon, generator=noise[0], device=device)
            starts = order[:rollouts].sort().values + 1  # a step comes before each
            dream = imagine(
                world, begin(world, lived, starts, noise), restarts(world, lived, rollouts, noise), horizon, noise
            )
            pictures = decoded(world, dream.codes[:, :-1])
            real = continuation(lived, starts, horizon, discount)
            seen = as_pictures(world, lived.observations[starts[:, None] + torch.arange(horizon, device=device)])
            for name, rollout, shown in (("imagined", dream, pictures), ("real", real, seen)):
                yield kinds.twm.IMAGINED.table(
                    run=run,
                    seed=seed,
                    update=update,
                    rollout=np.repeat(np.arange(rollouts), horizon),
                    source=name,
                    step=np.tile(np.arange(horizon), rollouts),
                    **{
                        column: getattr(rollout, field).flatten().cpu().numpy()
                        for column, field in {
                            "action": "actions",
                            "reward": "rewards",
                            "discount": "discounts",
                            "weight": "weights",
                            "ended": "ended",
                        }.items()
                    },
                    channels=shown.shape[-1],
                    picture=shown.flatten(0, 1).cpu().numpy(),
                )

    return pieces()


@torch.no_grad()
def begin(world: WorldModel, lived: Lived, starts: Tensor, noise: Noise) -> Start:
    """Rollouts begin as in training: at a step [B], with the one before it as context."""
    before = (starts - 1).unsqueeze(1)
    codes = sampled(world.observation.encode(lived.observations[torch.cat([before, before + 1], dim=1)]), noise)
    return Start(codes, lived.actions[before], lived.rewards[before], lived.ended[before])


@torch.no_grad()
def restarts(world: WorldModel, lived: Lived, count: int, noise: Noise) -> Tensor:
    """Codes of random observations, for the imagined episodes that begin within a rollout."""
    chosen = torch.randint(len(lived) + 1, (count,), generator=noise[0], device=noise[0].device)
    return sampled(world.observation.encode(lived.observations[chosen]), noise)


def continuation(lived: Lived, starts: Tensor, horizon: int, discount: float) -> Imagined:
    """What really happened from steps [B] on, as a rollout; its codes and what a policy reads are left out."""
    rows = starts.unsqueeze(1) + torch.arange(horizon, device=starts.device)
    discounts, ended = discount * (~lived.terminated[rows]).float(), lived.ended[rows]
    weights, left = [], torch.ones(len(starts), device=starts.device)
    for gamma, over in zip(discounts.unbind(dim=1), ended.unbind(dim=1), strict=True):
        weights.append(left)
        left = torch.where(over, 1.0, left * gamma)
    nothing = discounts.new_zeros(0)
    weights = torch.stack(weights, dim=1)
    return Imagined(nothing, lived.actions[rows], lived.rewards[rows], discounts, ended, weights, inputs=nothing)


# ---- pictures -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def decoded(world: WorldModel, codes: Tensor) -> Tensor:
    """Pictures [..., side, side, channels] of codes, from 0 to 1."""
    decoder = world.observation.decoder
    return channels_last(world, decoder.picture(world.observation.decode(codes)))


def as_pictures(world: WorldModel, observations: Tensor) -> Tensor:
    """Observations [..., three dimensions] as pictures [..., side, side, channels] from 0 to 1."""
    scale = 255 if observations.dtype == torch.uint8 else 1
    return channels_last(world, observations.float() / scale)


def channels_last(world: WorldModel, pictures: Tensor) -> Tensor:
    return pictures.movedim(-3, -1) if isinstance(world.observation.decoder, FrameDecoder) else pictures


def reconstructions(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    pictures: Count,
    steps: Count,
    run,
    streams,
    device,
) -> kinds.twm.RECONSTRUCTIONS:
    """Some `pictures` among `steps` fresh ones, and what the last snapshot decodes from their likeliest codes."""
    for update, seed, world in worlds(parameters, device, {max(ends(parameters))}):
        lived, noise = fresh(world, episodes.description, steps, streams, (seed, update), device)
        chosen = torch.randperm(steps, generator=noise[0], device=device)[:pictures].sort().values
        seen = lived.observations[chosen]
        with torch.no_grad():
            codes = likeliest(world.observation.encode(seen))
            loss = -world.observation.decoder.log_probability(world.observation.decode(codes), seen)
        shown = as_pictures(world, seen)
        yield kinds.twm.RECONSTRUCTIONS.table(
            run=run,
            seed=seed,
            update=update,
            picture_number=np.arange(len(chosen)),
            loss=loss.double().cpu().numpy(),
            channels=shown.shape[-1],
            seen=shown.cpu().numpy(),
            decoded=decoded(world, codes).cpu().numpy(),
        )


# ---- attention ------------------------------------------------------------------------------------------------------


def attention(
    parameters: kinds.common.PARAMETERS, episodes: kinds.paths.EPISODES, *, steps: Count, run, streams, device
) -> kinds.twm.ATTENTION:
    """What the untrained and the trained transformer attend to in `steps` fresh steps: the mean, and one example."""
    for update, seed, world in worlds(parameters, device, ends(parameters)):
        lived, noise = fresh(world, episodes.description, steps, streams, (seed, update), device)
        weights, modalities, ages = attended(world, lived, noise)
        layers, heads, count = weights.shape[1:]
        place = np.indices((layers, heads, count)).reshape(3, -1)
        for view, shown in (("mean", weights.mean(dim=0)), ("example", weights[len(weights) // 2])):
            yield kinds.twm.ATTENTION.table(
                run=run,
                seed=seed,
                update=update,
                view=view,
                readers=len(weights) if view == "mean" else 1,
                layer=place[0] + 1,
                head=place[1] + 1,
                age=ages[place[2]],
                modality=modalities[place[2]],
                weight=shown.flatten().double().cpu().numpy(),
            )


@torch.no_grad()
def attended(world: WorldModel, lived: Lived, noise: Noise) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Weights [readers, layers, heads, K] on the K tokens of a window, their modalities and ages [K], newest first.

    The steps are read as one stream. Readers are the actions before which a whole window is of one episode, or, where
    all episodes are shorter, as much of it as there is anywhere: they attend to nothing older.
    """
    dynamics, window, steps = world.dynamics, world.dynamics.transformer.window, len(lived)
    names = [f"layers.{number}.attention.softmax" for number in range(len(dynamics.transformer.layers))]
    if steps <= window:
        raise ValueError(f"steps: found {steps}; allowed: more than the {window} of the transformer's window")
    codes = sampled(world.observation.encode(lived.observations[:-1]), noise)
    with recording(dynamics.transformer, names) as seen:
        dynamics(codes[None], lived.actions[None], lived.rewards[None, :-1], lived.ended[None, :-1])
    readers = with_a_past(lived.ended.tolist(), window)
    kinds_of_tokens = 2 + dynamics.reward_tokens
    tokens = [
        (age, place)
        for age in range(window + 1)
        for place in reversed(range(kinds_of_tokens))
        if age or place < MODALITIES.index("r")
    ]
    ages, places = np.array(tokens).T
    columns = torch.tensor([[kinds_of_tokens * (t - age) + place for age, place in tokens] for t in readers])
    weights = []  # of each layer [heads, readers, K]
    for name in names:
        # all tokens read in each layer but the last, in which actions alone do
        apart = 1 if name == names[-1] else kinds_of_tokens
        rows = torch.tensor([apart * t + min(1, apart - 1) for t in readers])  # where the action is
        weights.append(seen[name][0][:, rows[:, None], columns])
    return torch.stack(weights).permute(2, 0, 1, 3), np.array(MODALITIES)[places], ages


def with_a_past(ended: list[bool], window: int) -> list[int]:
    """The steps from `window` on that have most steps of their episode before them; those over `window` don't count."""
    past, before = [], 0
    for over in ended:
        past.append(min(before, window))
        before = 0 if over else before + 1
    most = max(past[window:])
    return [t for t in range(window, len(past)) if past[t] == most]


# ---- losses ---------------------------------------------------------------------------------------------------------


def model_losses(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    snapshots: Count,  # how many, spread evenly over the run
    steps: Count,  # fresh steps of each
    length: Count,
    discount: Share = 0.99,
    run,
    streams,
    device,
    progress,
) -> kinds.twm.MODEL_LOSSES:
    """Losses of snapshots on steps of their own policies, read in sequences of `length` as in training.

    Beside them those of the network before training, on the same steps, and of the best constant predictions.
    """
    if steps < length + 1:
        raise ValueError(f"steps: found {steps}; allowed: length + 1 or more")
    untrained = {}
    updates, count = spread(parameters, snapshots)

    def pieces() -> Iterator[pa.Table]:
        for number, (update, seed, world) in enumerate(worlds(parameters, device, updates)):
            progress.step(number, count, "snapshots", run)
            untrained.setdefault(seed, world)
            lived, noise = fresh(world, episodes.description, steps, streams, (seed, update), device)
            after, constant = losses(world, lived, length, discount, noise)
            before, _ = losses(untrained[seed], lived, length, discount, noise)
            by_model = {"snapshot": after, "untrained": before, "constant": constant}
            rows = [(model, name, float(value)) for model, terms in by_model.items() for name, value in terms.items()]
            model, quantity, value = map(np.array, zip(*rows, strict=True))
            yield kinds.twm.MODEL_LOSSES.table(
                run=run, seed=seed, update=update, model=model, quantity=quantity, value=value
            )

    return pieces()


@torch.no_grad()
def losses(
    world: WorldModel, lived: Lived, length: int, discount: float, noise: Noise
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The terms of L_dyn without their weights and dropout (section 4), of the model and of the best constant.

    Sequences have a step of context before and an observation after them, as in training.
    """
    starts = torch.arange(0, len(lived) - length, length, device=lived.actions.device)
    rows = starts.unsqueeze(1) + torch.arange(length + 2, device=starts.device)
    steps = rows[:, :-1]
    latents = world.observation.encode(lived.observations[rows])
    codes = sampled(latents, noise)
    before = (lived.rewards[steps][:, :-1], lived.ended[steps][:, :-1])
    predicted, _ = world.dynamics(codes[:, :-1], lived.actions[steps], *before)
    after = steps[:, 1:]
    goes_on = ~lived.ended[after]  # else what follows can't be foreseen
    target = latents[:, 2:][goes_on].exp()  # [N, V, K]
    rewards, discounts = lived.rewards[after], discount * (~lived.terminated[after]).float()
    model = {
        "next_latent": cross_entropy(target, predicted.latent[:, 1:][goes_on]),
        "reward": 0.5 * (rewards - predicted.reward[:, 1:]).square().mean() + HALF_LOG_2PI,
        "discount": binary_cross_entropy_with_logits(predicted.discount[:, 1:], discounts),
        "latent_entropy": cross_entropy(target, target.clamp(min=1e-30).log()),
    }
    constant = {
        "next_latent": cross_entropy(target, target.mean(dim=0).clamp(min=1e-30).log()),
        "reward": 0.5 * (rewards - rewards.mean()).square().mean() + HALF_LOG_2PI,
        "discount": binary_cross_entropy(discounts.mean().expand_as(discounts), discounts),
    }
    return model, constant


def cross_entropy(target: Tensor, guess: Tensor) -> Tensor:
    """Mean of - Σ p ln q in nats, over variables and classes, from p and ln q [..., V, K]."""
    return -(target * guess).sum(dim=(-2, -1)).mean()
