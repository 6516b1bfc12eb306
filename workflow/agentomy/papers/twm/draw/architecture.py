"""The world-model agent as boxes and arrows, with the sizes of a run's own network (TWM)."""

import json
from collections.abc import Iterable
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from agentomy import kinds
from agentomy.drawing import style
from agentomy.selection import select
from agentomy.tables import Table

# which loss trains a part; the beginnings of the names of its tensors
PARTS = {
    "encoder": ("obs", "observation.encoder."),
    "decoder": ("obs", "observation.decoder."),
    "code": ("dyn", "dynamics.latent."),
    "action": ("dyn", "dynamics.action."),
    "reward": ("dyn", "dynamics.reward."),
    "transformer": ("dyn", "dynamics.transformer."),
    "next latent": ("dyn", "dynamics.heads.latent."),
    "next reward": ("dyn", "dynamics.heads.reward."),
    "discount": ("dyn", "dynamics.heads.discount."),
    "actor": ("actor", "actor."),
    "critic": ("critic", "critic."),
}
SHADES = {"obs": "blue", "dyn": "green", "actor": "vermillion", "critic": "pink"}
LOSSES = {
    "obs": "$L_{obs}$: reconstruction, entropy of z, consistency with ẑ",
    "dyn": "$L_{dyn}$: next latent, reward, discount, on replayed steps",
    "actor": "$L_{actor}$: policy gradient, entropy, on imagined steps",
    "critic": "$L_{critic}$: returns of imagined steps",
}
POWERS = ("", "", *"²³⁴⁵⁶⁷⁸⁹")  # how often a width comes in a row
WIDTH, HEIGHT = 70, 46  # of the drawing; a unit is a tenth of an inch


def architecture(layout: kinds.twm.LAYOUT, *, run: str) -> Figure:
    """What is computed from what, which loss trains which part, where gradients stop; shapes and sizes from the run."""
    rows = select(layout, run=run)
    rows = rows.where(seed=int(rows.values("seed").min()))  # all seeds have the same
    network = json.loads(rows.arrow(["network"])["network"][0].as_py())
    sizes = sizes_of(rows)
    figure, axes = style.subplots(1, 1, style.DOUBLE, HEIGHT / 10 + 0.3)
    ax = axes[0, 0]
    ax.set(xlim=(-0.5, WIDTH + 0.5), ylim=(-0.5, HEIGHT), aspect="equal")
    ax.set_axis_off()
    variables, classes = network["latents"]
    observed = "10 × 10" if network["view"] == "grid" else "64 × 64"

    # seen and acted on
    thing(ax, (0, 20, 10, 7), f"observation o\n{observed} × {network['channels']}")
    part(ax, (13, 19, 10.5, 9), "encoder", sizes, layers(rows, "encoder"))
    thing(ax, (26.5, 19, 8, 9), f"latent z\n{variables} variables\nof {classes} classes", bold=True)
    part(ax, (13, 32, 10.5, 9), "decoder", sizes, layers(rows, "decoder"))
    thing(ax, (0, 33, 10, 7), "reconstruction ô")
    part(ax, (13, 9.5, 10.5, 7), "actor", sizes, layers(rows, "actor"))
    thing(ax, (0, 10, 10, 6), f"action a\none of {network['actions']}")
    part(ax, (13, 0, 10.5, 7), "critic", sizes, layers(rows, "critic"))
    thing(ax, (0, 0.5, 10, 6), "value V(z)")
    arrow(ax, (10, 23.5), (13, 23.5))
    arrow(ax, (23.5, 23.5), (26.5, 23.5))
    arrow(ax, (28.5, 28), (28.5, 36.5), (23.5, 36.5))
    arrow(ax, (13, 36.5), (10, 36.5))
    arrow(ax, (28.5, 19), (28.5, 13), (23.5, 13))
    arrow(ax, (28.5, 13), (28.5, 3.5), (23.5, 3.5))
    arrow(ax, (13, 13), (10, 13))
    arrow(ax, (13, 3.5), (10, 3.5))
    stop(ax, (28.5, 16.5))

    # the dynamics model, from its tokens up
    tokens = {"code": "z", "action": "a", "reward": "r"}
    places = dict(zip((name for name in tokens if name in sizes), (37, 48.5, 60), strict=False))
    for name, x in places.items():
        told = layers(rows, name) + ("\nof the step before" if name == "reward" else "")
        part(ax, (x, 1, 10, 7), name, sizes, told, f"token of {tokens[name]}")
        arrow(ax, (x + 5, 8), (x + 5, 12))
    arrow(ax, (32.5, 19), (32.5, 4.5), (37, 4.5))
    stop(ax, (32.5, 16.5))
    form = network["transformer"]
    text = f"{form['layers']} layers, width {form['width']}, {form['heads']} heads × {form['head']}"
    text += f", feed-forward {form['feedforward']}\nkeeps keys and values of the last {form['window']} steps"
    part(ax, (37, 12, 33, 8), "transformer", sizes, text, "Transformer-XL")
    heads = {"next latent": ("ẑ", "next latent ẑ"), "next reward": ("r̂", "reward r̂"), "discount": ("γ̂", "discount γ̂")}
    for (name, (symbol, told)), x in zip(heads.items(), (37, 48.5, 60), strict=True):
        arrow(ax, (x + 5, 20), (x + 5, 24))
        part(ax, (x, 24, 10, 7), name, sizes, layers(rows, name), f"head of {symbol}")
        arrow(ax, (x + 5, 31), (x + 5, 34))
        thing(ax, (x, 34, 10, 5), told, bold=name == "next latent")
    arrow(ax, (32.5, 28), (32.5, 36.5), (37, 36.5), dashed=True, both=True)
    ax.text(33.4, 40.2, "each the other's\ntarget, held fixed", ha="center", va="bottom", fontsize=6)
    ax.plot([34.6, 34.6], [37, 40], color=style.GREY, linewidth=0.4)
    ax.text(53.5, 40, "when imagining, ẑ and r̂ are read as the next z and r", ha="center", va="bottom", fontsize=6)

    for number, (loss, told) in enumerate(LOSSES.items()):
        x, y = 0.5 + 36.5 * (number % 2), 44.6 - 1.9 * (number // 2)
        ax.add_patch(FancyBboxPatch((x, y - 0.6), 1.6, 1.2, boxstyle="square,pad=0", **look(loss)))
        ax.text(x + 2.3, y, told, va="center", fontsize=6)
    total = f"{sum(sizes.values()):,} parameters"
    style.note(
        figure,
        f"{run}: {total}; in a box its layers (128²: two of 128), its parameters and the loss they learn by\n"
        "double bars and dashes: no gradient comes back; through the draw of z it comes straight through",
    )
    return figure


# ---- what the run's tensors say -------------------------------------------------------------------------------------


def sizes_of(rows: Table) -> dict[str, int]:
    """How many parameters each part has that the network has; every tensor must belong to one."""
    sizes: dict[str, int] = {}
    for name, size in zip(rows.values("tensor"), rows.values("size"), strict=True):
        part = next((part for part, (_, beginning) in PARTS.items() if name.startswith(beginning)), None)
        if part is None:
            raise ValueError(f"layout: tensor '{name}' is of no part; allowed: {', '.join(beginnings())}")
        sizes[part] = sizes.get(part, 0) + int(size)
    return sizes


def beginnings() -> Iterable[str]:
    return (f"{beginning}…" for _, beginning in PARTS.values())


def layers(rows: Table, part: str) -> str:
    """Widths from layer to layer of a part, convolutions (with their sides) and others, in order."""
    shapes = [
        json.loads(shape)
        for name, shape in zip(rows.values("tensor"), rows.values("shape"), strict=True)
        if name.startswith(PARTS[part][1]) and name.endswith("weight")
    ]
    filters, others = ([shape for shape in shapes if (len(shape) == 4) == wide] for wide in (True, False))
    # a linear layer's weight is outputs × inputs, as is that of a convolution, but of a transposed one or of a lookup
    turned = part in ("decoder", "action")
    lines = [chain(others, part == "action")] if others else []
    if filters:
        sides = dict.fromkeys(shape[-1] for shape in filters)
        conv = f"conv {', '.join(f'{side} × {side}' for side in sides)}\n{chain(filters, turned)}"
        lines = [*lines, conv] if part == "decoder" else [conv, *lines]
    return "\n".join(lines)


def chain(shapes: list[list[int]], turned: bool) -> str:
    """`64–128²–6` of weights whose first two axes are outputs and inputs, or (`turned`) the other way round."""
    pairs = [shape[:2] if turned else shape[1::-1] for shape in shapes]
    widths = [(width, len(list(same))) for width, same in groupby([pairs[0][0], *(out for _, out in pairs)])]
    return "–".join(str(width) + POWERS[times] for width, times in widths)


# ---- shapes ---------------------------------------------------------------------------------------------------------


def look(loss: str) -> dict:
    """Outline in the colour of a loss, filled with a light tint of it."""
    colour = to_rgb(style.COLOURS[SHADES[loss]])
    return {"edgecolor": colour, "facecolor": [1 - 0.2 * (1 - share) for share in colour], "linewidth": 0.9}


def part(ax: Axes, place: tuple, name: str, sizes: dict[str, int], told: str, title: str = "") -> None:
    """A box (x, y, width, height) for a part that is learnt: its loss, what it is, its layers and its size."""
    x, y, width, height = place
    loss = PARTS[name][0]
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.8", **look(loss)))
    text = f"{told}\n{sizes[name]:,} by $L_{{{loss}}}$"
    ax.text(x + width / 2, y + height - 0.7, title or name, ha="center", va="top", fontsize=6.5, fontweight="bold")
    ax.text(x + width / 2, y + (height - 2) / 2, text, ha="center", va="center", fontsize=6)


def thing(ax: Axes, place: tuple, text: str, bold: bool = False) -> None:
    """A box with square corners for what is computed."""
    x, y, width, height = place
    box = {"boxstyle": "square,pad=0", "edgecolor": "k", "facecolor": "white", "linewidth": 1.2 if bold else 0.6}
    ax.add_patch(FancyBboxPatch((x, y), width, height, **box))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=6)


def arrow(ax: Axes, *points: tuple[float, float], dashed: bool = False, both: bool = False) -> None:
    """From the first point by way of others to the last, along the axes."""
    line = {"color": "k", "linewidth": 0.8, "zorder": 1}
    ax.plot(*zip(*points, strict=True), linestyle=(0, (3, 2)) if dashed else "-", solid_capstyle="butt", **line)
    head = {"arrowstyle": "-|>", "color": "k", "linewidth": 0.8, "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}
    ends = [(points[-2], points[-1]), *([(points[1], points[0])] if both else [])]
    for before, end in ends:
        near = np.array(end) + np.sign(np.subtract(before, end))
        ax.annotate("", xy=end, xytext=near, arrowprops=head)


def stop(ax: Axes, place: tuple[float, float]) -> None:
    """A double bar across a line that runs down: no gradient comes back through it."""
    x, y = place
    for shift in (-0.35, 0.35):
        ax.plot([x - 1, x + 1], [y + shift, y + shift], color="k", linewidth=1)
