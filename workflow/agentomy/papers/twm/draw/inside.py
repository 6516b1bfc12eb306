"""Inside a world model: what it imagines, what it makes of what it sees, and what it attends to (TWM)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND
from agentomy.selection import select
from agentomy.tables import Table

MODALITIES = {"z": "blue", "a": "vermillion", "r": "green"}
NAMES = {"z": "code z", "a": "action a", "r": "reward r"}
# of the sorts of objects in a grid, on black
OBJECTS = [style.COLOURS[name] for name in ("sky", "orange", "pink", "yellow", "green", "vermillion")]
ENDED = "#D40000"  # a red that no object has
SIDE = 10  # of a grid of objects; larger pictures are frames of a screen
ROLLOUTS, STEPS = 3, 8  # how many imagined rollouts are shown, and steps of each


def imagined(
    imagined: kinds.twm.IMAGINED, *, run: str, actions: list[str] | None = None, objects: list[str] | None = None
) -> Figure:
    """Rollouts that the first seed imagined, each above what really followed, with actions, rewards and discounts.

    `actions` are the names of actions by number, and `objects` those of the sorts of objects in a grid.
    """
    rows, seed = of_first_seed(imagined, run)
    frame = rows.frame()
    shown = sorted(frame["rollout"].unique())[:ROLLOUTS]
    columns = min(STEPS, int(frame["step"].max()) + 1)
    pictures = shaped(rows, "picture")
    lines = [(rollout, source) for rollout in shown for source in ("imagined", "real")]
    side = (style.DOUBLE - 0.4) / columns - 0.07
    figure, axes = style.subplots(len(lines), columns, style.DOUBLE, (side + 0.31) * len(lines) + 0.75)
    for line, (rollout, source) in zip(axes, lines, strict=True):
        steps = frame[(frame["rollout"] == rollout) & (frame["source"] == source)].sort_values("step")
        for ax, (index, row) in zip(line, steps.iterrows(), strict=False):
            ax.imshow(coloured(pictures[index]), interpolation="nearest")
            bare(ax)
            name = actions[int(row["action"])] if actions else str(int(row["action"]))
            told = f"{name}\n{signed(row['reward'])}  {row['discount']:.2f}"
            ax.set_xlabel(told, fontsize=6, labelpad=4.5, linespacing=1, color=ENDED if row["ended"] else "black")
            strip(ax, row["reward"], row["weight"])
        line[0].set_ylabel(f"{rollout + 1}\n{source}" if source == "imagined" else source, fontsize=6.5)
    figure.get_layout_engine().set(h_pad=0.01, hspace=0)
    for step, ax in enumerate(axes[0]):
        ax.set_title(f"t = {step}", fontsize=6.5)
    if pictures.shape[1] <= SIDE:
        named(figure, pictures.shape[-1], objects)
    update = int(frame["update"].max())
    note = f"{run}, seed {seed}, update {update}; under a picture: action, reward (tanh), discount; red numbers: the"
    strips = "strip: green where reward is above 0.1, red below −0.1, else grey; as bright as the step's weight"
    style.note(figure, f"{note} episode ended\n{strips}")
    return figure


def reconstructions(reconstructions: kinds.twm.RECONSTRUCTIONS, *, run: str) -> Figure:
    """Observations of the first seed, and below each what is decoded from its code."""
    rows, seed = of_first_seed(reconstructions, run)
    frame = rows.frame().sort_values("picture_number")
    height = style.DOUBLE / len(frame)
    figure, axes = style.subplots(2, len(frame), style.DOUBLE, 2 * height + 0.5)
    for line, column in zip(axes, ("seen", "decoded"), strict=True):
        images = shaped(rows, column)
        for ax, index in zip(line, frame.index, strict=True):
            ax.imshow(coloured(images[index]), interpolation="nearest")
            bare(ax)
        line[0].set_ylabel(column)
    screen = images.shape[1] > SIDE
    least = 0.5 * np.log(2 * np.pi) * images[0].size if screen else 0.0  # of Gaussian pixels, whatever they are
    for ax, loss in zip(axes[1], frame["loss"], strict=True):
        ax.set_xlabel(f"{loss - least:.2g}", labelpad=1.5)
    update = int(frame["update"].max())
    numbers = "half the squared error of all frames (- ln p less its least, in nats)" if screen else "- ln p in nats"
    style.note(figure, f"{run}, seed {seed}, update {update}; decoded from the likeliest code; numbers: {numbers}")
    return figure


def attention(attention: kinds.twm.ATTENTION, *, run: str) -> Figure:
    """Attention of each head of the first seed by the age of tokens: trained, in one example and before training."""
    rows, seed = of_first_seed(attention, run)
    first, last = rows.values("update").min(), rows.values("update").max()
    panels = {
        "trained, mean": ("mean", last),
        "trained, one step": ("example", last),
        "untrained, mean": ("mean", first),
    }
    heads = len(rows.frame().groupby(["layer", "head"]))
    figure, axes = style.subplots(1, len(panels), style.DOUBLE, 0.16 * heads + 1.4, sharey=True)
    for ax, (title, (view, update)) in zip(axes[0], panels.items(), strict=True):
        weights, labels, tokens = by_token(select(rows, view=view, update=int(update)))
        ax.imshow(tinted(weights, tokens), aspect="auto", interpolation="nearest")
        ax.set_yticks(range(len(labels)), labels)
        ages = [age for age, _ in tokens]
        places = {age: np.flatnonzero(np.array(ages) == age).mean() for age in set(ages)}
        ticks = sorted(places)[:: max(1, len(places) // 5)]
        ax.set_xticks([places[age] for age in ticks], [str(age) for age in ticks])
        ax.set_title(f"{title} (darkest: {weights.max():.2f})", fontsize=7)
        ax.tick_params(length=0)
    axes[0][0].set_ylabel("layer . head")
    axes[0][1].set_xlabel("age of the token (steps)")
    figure.legend(
        [Patch(color=style.COLOURS[shade]) for shade in MODALITIES.values()], NAMES.values(), ncols=3, **LEGEND
    )
    readers = int(select(rows, view="mean", update=int(last)).values("readers")[0])
    style.note(
        figure, f"{run}, seed {seed}, update {last}; mean over {readers} steps of fresh episodes, read at the action"
    )
    return figure


# ---- parts ----------------------------------------------------------------------------------------------------------


def of_first_seed(table: Table, run: str) -> tuple[Table, int]:
    """The rows of a run's first seed, and which seed that is."""
    rows = select(table, run=run)
    seed = int(rows.values("seed").min())
    return rows.where(seed=seed), seed


def by_token(rows: Table) -> tuple[np.ndarray, list[str], list[tuple[int, str]]]:
    """Weights [heads of all layers, tokens] with the names of heads, and the tokens (age, modality), oldest first."""
    order = list(MODALITIES)
    wide = rows.frame().pivot(index=["layer", "head"], columns=["age", "modality"], values="weight")
    tokens = sorted(wide.columns, key=lambda token: (-token[0], order.index(token[1])))
    return wide[tokens].to_numpy(), [f"{layer}.{head}" for layer, head in wide.index], tokens


def tinted(weights: np.ndarray, tokens: list[tuple[int, str]]) -> np.ndarray:
    """An image [heads, tokens, 3]: each token in the colour of its modality, white where the weight is 0."""
    full = np.array([to_rgb(style.COLOURS[MODALITIES[modality]]) for _, modality in tokens])
    strength = (weights / max(weights.max(), 1e-12))[..., None]
    return 1 - strength * (1 - full)


def shaped(rows: Table, column: str) -> np.ndarray:
    """Pictures [rows, side, side, channels]."""
    channels = int(rows.values("channels")[0])
    flat = rows.array(column)
    side = round((flat.shape[1] / channels) ** 0.5)
    return flat.reshape(len(flat), side, side, channels)


def coloured(picture: np.ndarray) -> np.ndarray:
    """An image [side, side, 3]: a colour for each sort of object, on black; of a screen the last frame, in grey."""
    if len(picture) > SIDE:
        return np.repeat(picture[..., -1:], 3, axis=-1)
    full = np.array([to_rgb(OBJECTS[number % len(OBJECTS)]) for number in range(picture.shape[-1])])
    return (picture[..., None] * full).max(axis=2).clip(0, 1)


def named(figure: Figure, count: int, objects: list[str] | None) -> None:
    """A legend of the colours of `count` sorts of objects in a grid."""
    names = objects or [f"object {number}" for number in range(count)]
    if len(names) != count:
        raise ValueError(f"objects: {len(names)} names for {count} sorts of objects: {', '.join(names)}")
    patches = [Patch(color=OBJECTS[number % len(OBJECTS)]) for number in range(count)]
    figure.legend(patches, names, ncols=count, **LEGEND)


def strip(ax: Axes, reward: float, weight: float) -> None:
    """A bar at the foot of a picture, coloured by the reward and as bright as the weight."""
    shade = style.COLOURS["green"] if reward > 0.1 else ENDED if reward < -0.1 else "#B0B0B0"
    box = Rectangle((0, -0.08), 1, 0.06, transform=ax.transAxes, clip_on=False, color=shade, linewidth=0)
    box.set_alpha(float(np.clip(weight, 0.05, 1)))
    ax.add_patch(box)


def bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")
