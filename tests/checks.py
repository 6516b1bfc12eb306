"""What is asked of every figure."""

from collections.abc import Sequence

import matplotlib.pyplot
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from agentomy.drawing import style


def check_page(figure: Figure, words: Sequence[str]) -> None:
    """Every word is part of some text, nothing lies beyond the sides of the page, and no text is too small to read.

    That a figure is the same when it is drawn again is tried with the tables of a whole run, in
    tests/pipeline/test_same_bytes.py.
    """
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert not [word for word in words if not any(word in text.get_text() for text in texts)]
    drawn = figure.get_tightbbox()  # of all that is drawn, inches
    assert drawn.x0 > -0.01
    assert drawn.x1 < figure.get_figwidth() + 0.01
    assert min(text.get_fontsize() for text in texts) >= 5
    assert figure.get_figwidth() <= style.DOUBLE
    matplotlib.pyplot.close(figure)


def is_drawn(ax: Axes, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether some line of the axes goes through just these points."""
    lines = [np.asarray(line.get_xydata(), float) for line in ax.lines]
    wanted = np.stack([x, y], axis=1)
    return any(line.shape == wanted.shape and np.allclose(line, wanted) for line in lines)


def check_labels(figure: Figure, words: Sequence[str], monkeypatch) -> None:
    """As `check_page`; and every text lies on the page and apart from the others."""
    drawn, draw_text = [], Text.draw

    def record(text, renderer, *more):
        if text.get_visible() and text.get_text().strip():
            drawn.append((text, text.get_window_extent(renderer)))
        return draw_text(text, renderer, *more)

    monkeypatch.setattr(Text, "draw", record)
    check_page(figure, words)
    for number, (text, box) in enumerate(drawn):
        assert -0.5 < box.x0 < box.x1 < figure.bbox.x1 + 0.5, text
        assert -0.5 < box.y0 < box.y1 < figure.bbox.y1 + 0.5, text
        for earlier, its_box in drawn[:number]:
            assert not box.padded(-0.5).overlaps(its_box.padded(-0.5)), (text, earlier)
