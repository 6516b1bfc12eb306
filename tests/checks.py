"""What is asked of every figure."""

from collections.abc import Sequence

import matplotlib.pyplot
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from agentomy.drawing import style


def pixels(figure: Figure, words: Sequence[str]) -> bytes:
    """What is drawn.

    Every word is part of some text, nothing lies beyond the sides of the page, and no text is too small to read.
    """
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert not [word for word in words if not any(word in text.get_text() for text in texts)]
    drawn = figure.get_tightbbox()  # of all that is drawn, inches
    assert drawn.x0 > -0.01
    assert drawn.x1 < figure.get_figwidth() + 0.01
    assert min(text.get_fontsize() for text in texts) >= 5
    assert figure.get_figwidth() <= style.DOUBLE
    found = bytes(figure.canvas.buffer_rgba())
    matplotlib.pyplot.close(figure)
    return found


def is_drawn(ax: Axes, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether some line of the axes goes through just these points."""
    lines = [np.asarray(line.get_xydata(), float) for line in ax.lines]
    wanted = np.stack([x, y], axis=1)
    return any(line.shape == wanted.shape and np.allclose(line, wanted) for line in lines)
