"""Which channels tell where things are, and what the policy takes from them (Mini et al. 2023).

Maps are [N, channels, size, size], row 0 at the top; cells are (x, y) with y up.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.mazes import Levels
from agentomy.lenses.grouping import separation
from agentomy.lenses.hooks import recording
from agentomy.lenses.snapshots import revived
from agentomy.papers.maze.extract.site import Site, pieces, place_of, sites
from agentomy.papers.maze.extract.views import batches, open_cells, painter_of
from agentomy.values import Count, Share


def channels(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layers: list[str],
    count: Count,  # of levels
    run: str,
    streams,
    device: str,
    progress,
) -> kinds.maze_edits.CHANNELS:
    """How well every channel of the layers tells every object from the rest, in every snapshot."""
    shown = mazes.read(levels)[:count]
    mice = places(shown, streams)
    last = int(parameters.values("update").max())
    for update, seeds, stack in revived(parameters, device):
        pictures = painter_of(stack, shown).mice(shown, mice)
        rows = []
        for seed, net in zip(seeds, stack.nets, strict=True):
            for layer, maps in layer_maps(net, layers, pictures, device).items():
                masks = object_masks(shown, mice, maps.shape[-1])
                for name, (auc, on, off) in separation(maps, masks).items():
                    rows.append(
                        kinds.maze_edits.CHANNELS.table(
                            run=run,
                            seed=seed,
                            update=update,
                            layer=layer,
                            object=name,
                            channel=np.arange(len(auc)),
                            auc=auc,
                            mean_on=on,
                            mean_off=off,
                        )
                    )
        yield pa.concat_tables(rows)
        progress.step(update, max(last, 1), "updates")


def places(levels: Levels, streams) -> np.ndarray:
    """A random open cell of each level [L, 2] for the mouse, other than the cheese's."""
    return drawn(without(~levels.walls, levels.cheese), streams.numpy("places of the mouse"))


def without(cells: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The cells [L, W, W] less one of each level, `taken` [L, 2]."""
    left = cells.copy()
    left[np.arange(len(cells)), taken[:, 1], taken[:, 0]] = False
    return left


def drawn(cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the cells [L, W, W] of each level, all equally likely: [L, 2]."""
    keys = np.where(cells, rng.random(cells.shape), -1.0).reshape(len(cells), -1)
    chosen = keys.argmax(axis=1)
    return np.stack([chosen % cells.shape[-1], chosen // cells.shape[-1]], axis=1)


@torch.no_grad()
def layer_maps(net, layers: list[str], pictures: np.ndarray, device: str) -> dict[str, np.ndarray]:
    """What the layers give for pictures: name → maps."""
    maps: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    with recording(net, layers) as outputs:
        for part in batches(pictures, device):
            net(part)
            for layer in layers:
                maps[layer].append(outputs[layer].cpu().numpy())
    return {layer: np.concatenate(parts) for layer, parts in maps.items()}


def object_masks(levels: Levels, mice: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Which positions of a map belong to each object of `kinds.maze_edits.CHANNELS`: name → [L, size, size]."""
    share = cells_of(levels.world, size)
    walls = (levels.walls.reshape(len(levels), -1) @ share.T).reshape(-1, size, size)
    masks = {"wall": walls >= 0.5, "floor": walls <= 0.5}
    for name, cells in (("corner", levels.corner), ("mouse", mice), ("cheese", levels.cheese)):
        shown = share[:, cells[:, 1] * levels.world + cells[:, 0]] > 0
        masks[name] = shown.T.reshape(-1, size, size)
    return masks


def cells_of(world: int, size: int) -> np.ndarray:
    """Which cells each position of a map shows, as shares of it [size × size, W × W]; cell (x, y) is at y × W + x."""
    if size >= world:  # as the painter does
        along = np.arange(size) * world // size
        return np.eye(world**2)[(along[::-1][:, None] * world + along).ravel()]
    cells = np.stack(np.meshgrid(np.arange(world), np.arange(world)), axis=-1).reshape(-1, 2)
    row, column = place_of(cells, world, size)
    shown = np.zeros((size**2, world**2))
    shown[row * size + column, np.arange(world**2)] = 1
    return shown / shown.sum(axis=1, keepdims=True)


class CheeseChannels:
    """The channels of a site, those that tell the cheese best first: `order` [C]; and `auc`, `on`, `off` [C].

    The sign says nothing of how well: a channel that is always lower at the cheese has an AUC of 0, and tells it as
    well as one with 1.
    """

    def __init__(self, site: Site, levels: Levels, streams):
        mice = places(levels, streams)
        maps = site.activations(levels, mice).cpu().numpy()
        cheese = {"cheese": object_masks(levels, mice, maps.shape[-1])["cheese"]}
        self.auc, self.on, self.off = separation(maps, cheese)["cheese"]
        self.order = np.argsort(-self.telling, kind="stable")

    @property
    def telling(self) -> np.ndarray:
        """The AUC [C] of each channel or of its negative, whichever is larger."""
        return np.maximum(self.auc, 1 - self.auc)

    def above(self, threshold: float) -> int:
        """How many channels tell the cheese better than that, with either sign; the best one always counts."""
        return max(1, int((self.telling > threshold).sum()))


# ---- resampling -----------------------------------------------------------------------------------------------------


def resampled(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layer: str,
    count: Count,  # of levels
    ranking: Count,  # of levels by which channels are ranked
    threshold: Share,  # AUC of a cheese channel, or of its negative
    run: str,
    streams,
    device: str,
    progress,
) -> kinds.maze_edits.RESAMPLED:
    """How much the policy changes when channels are given their activations in another level, its mouse at the start.

    That level is the next one in which the cheese's cell is open. Its cheese is moved once to this cell and once to
    another one. At most half of the channels count as cheese channels, so that there are as many others.
    """
    read = mazes.read(levels)
    shown, source = partners(read[:count])
    elsewhere = without(without(~source.walls, source.start), shown.cheese)
    lent = {
        "same": replace(source, cheese=shown.cheese),
        "other": replace(source, cheese=drawn(elsewhere, streams.numpy("other cells"))),
    }
    for network, site in sites(parameters, read, layer, device, progress):
        best = CheeseChannels(site, read[:ranking], streams)
        size = min(best.above(threshold), len(best.order) // 2)
        rest = streams.numpy("other channels").permutation(best.order[size:])[:size]
        given = {place: site.activations(lender, lender.start) for place, lender in lent.items()}
        rows = []
        for part in pieces(shown):
            key = {"run": run, **network, "level": shown.seed[part], "source": source.seed[part], "channels": size}
            given_here = {place: activations[part] for place, activations in given.items()}
            for which, chosen in (("cheese", best.order[:size]), ("other", rest)):
                for place, change in changes(site, shown[part], given_here, chosen):
                    rows.append(kinds.maze_edits.RESAMPLED.table(**key, which=which, place=place, change=change))
        yield pa.concat_tables(rows)


def partners(levels: Levels) -> tuple[Levels, Levels]:
    """The levels [K] with a partner, where the cheese could lie at the same cell, and the next such partner of each."""
    pairs = []
    for number, (x, y) in enumerate(levels.cheese):
        fits = ~levels.walls[:, y, x] & (levels.start != (x, y)).any(axis=1)
        after = np.roll(fits, -number)
        after[0] = False  # itself
        if after.any():
            pairs.append((number, (number + int(after.argmax())) % len(levels)))
    if not pairs:
        raise ValueError("levels: in no two of them can the cheese lie at the same cell; more are needed")
    which, source = np.array(pairs).T
    return levels[which], levels[source]


def changes(
    site: Site, levels: Levels, given: dict[str, Tensor], channels: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """The mean total variation [L] of the policy with the activations [L, ...] given for each place."""
    level, cells = open_cells(levels)
    base = site.activations(levels[level], cells)
    before, _ = site.policy(base)
    for place, activations in given.items():
        put = base.clone()
        put[:, channels] = activations[site.index(level)][:, channels]
        variation = np.abs(site.policy(put)[0] - before).sum(axis=1) / 2
        yield place, np.bincount(level, variation) / np.bincount(level)
