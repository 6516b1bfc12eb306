"""The architecture diagram says what the run's own tensors say (TWM, section 3)."""

import json

import matplotlib
import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds, networks
from agentomy.drawing import style
from agentomy.networks.world_model import SIZES, WorldModel
from agentomy.papers.twm.draw.architecture import architecture, chain, sizes_of
from agentomy.tables import Table

matplotlib.use("agg")


def layout(view: str, size: str, actions: int, **more) -> Table:
    described = {"view": view, "channels": 4, "actions": actions, **SIZES[size], **more}
    shapes = {name: list(array.shape[1:]) for name, array in WorldModel(1, **described).arrays().items()}
    pieces = [
        kinds.twm.LAYOUT.table(
            run="game",
            seed=seed,
            network=json.dumps({"use": networks.use(WorldModel), **described}),
            tensor=list(shapes),
            shape=[json.dumps(shape) for shape in shapes.values()],
            size=[int(np.prod(shape)) for shape in shapes.values()],
        )
        for seed in (3, 4)
    ]
    return Table(kinds.twm.LAYOUT, rows=pa.concat_tables(pieces))


def drawn(rows: Table) -> matplotlib.figure.Figure:
    figure = architecture(rows, run="game")
    figure.canvas.draw()
    return figure


def words(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.fixture(scope="module")
def paper():
    return drawn(layout("frames", "paper", 18))


def test_parameters_of_parts_are_the_papers(paper):
    text = words(paper)
    for count in ("3,126,992", "5,107,540", "1,322,002", "1,313,281", "21,652,281"):
        assert count in text
    sizes = sizes_of(layout("frames", "paper", 18).where(seed=3))
    dynamics = ("code", "action", "reward", "transformer", "next latent", "next reward", "discount")
    assert sum(sizes[part] for part in dynamics) == 10_782_466


def test_layers_are_told_in_the_order_of_what_goes_through_them(paper):
    text = words(paper)
    encoder, decoder = "conv 4 × 4\n4–48–96–192–384\n1536–512²–1024", "1024–768\nconv 5 × 5, 6 × 6\n768–192–96–48–4"
    for told in (encoder, decoder, "1024–512⁴–18", "256–512⁴–1024", "18–256", "10 layers, width 256, 4 heads × 64"):
        assert told in text
    assert chain([[3, 2], [3, 3], [1, 3]], turned=False) == "2–3²–1"


def test_each_part_has_the_colour_of_its_loss(paper):
    def colour(title: str) -> tuple:
        boxes = [patch for patch in paper.axes[0].patches if patch.get_boxstyle().__class__.__name__ == "Round"]
        x, y = next(text for text in paper.axes[0].texts if text.get_text() == title).get_position()
        inside = [box for box in boxes if box.get_path().get_extents().contains(x, y)]
        return inside[0].get_edgecolor()[:3]

    by_loss = {"blue": ["encoder", "decoder"], "vermillion": ["actor"], "pink": ["critic"]}
    by_loss["green"] = [
        "Transformer-XL",
        "head of ẑ",
        "head of r̂",
        "head of γ̂",
        "token of z",
        "token of a",
        "token of r",
    ]
    for shade, titles in by_loss.items():
        for title in titles:
            assert colour(title) == matplotlib.colors.to_rgb(style.COLOURS[shade])


def test_no_word_leaves_its_box_or_the_figure(paper):
    small = drawn(layout("grid", "xs", 6))
    for figure in (paper, small):
        ax, renderer = figure.axes[0], figure.canvas.get_renderer()
        frame = figure.get_window_extent(renderer)
        for text in figure.findobj(matplotlib.text.Text):
            where = text.get_window_extent(renderer)
            if text.get_text():
                assert frame.x0 <= where.x0
                assert where.x1 <= frame.x1
            for box in ax.patches:
                middle = ((where.x0 + where.x1) / 2, (where.y0 + where.y1) / 2)
                outline = box.get_window_extent(renderer)
                if text.get_text() and outline.contains(*middle):
                    assert outline.x0 <= where.x0, text.get_text()
                    assert where.x1 <= outline.x1, text.get_text()


def test_without_reward_tokens_there_is_no_token_of_r():
    text = words(drawn(layout("grid", "xs", 6, reward_tokens=False)))
    assert "token of r" not in text
    assert "token of a" in text


def test_a_tensor_of_no_part_is_refused_in_one_line():
    rows = kinds.twm.LAYOUT.table(run="game", seed=0, network="{}", tensor="policy.weight", shape="[2]", size=2)
    with pytest.raises(
        ValueError, match="tensor 'policy.weight' is of no part; allowed: observation.encoder"
    ) as caught:
        sizes_of(Table(kinds.twm.LAYOUT, rows=rows))
    assert "\n" not in str(caught.value)
