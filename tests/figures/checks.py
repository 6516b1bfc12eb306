"""What is asked of every figure."""

import io
from collections.abc import Callable, Sequence

import matplotlib.pyplot
from matplotlib.figure import Figure
from matplotlib.text import Text

from agentomy.figures import style


def assert_words_and_bytes(draw: Callable[[], Figure], words: Sequence[str]) -> None:
    """Every word is part of some text, and two drawings of the same tables have the same bytes."""
    images = []
    for _ in range(2):
        figure = draw()
        handle = io.BytesIO()
        figure.savefig(handle, format="png", dpi=60, metadata={"Software": None})
        images.append(handle.getvalue())
        texts = [text.get_text() for text in figure.findobj(Text)]
        matplotlib.pyplot.close(figure)
    assert not [word for word in words if not any(word in text for text in texts)]
    assert images[0] == images[1]


def assert_fits_a_page(figure: Figure) -> None:
    """Nothing is drawn beyond the sides of the page, and no text is too small to read."""
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()  # of all that is drawn, inches
    assert drawn.x0 > -0.01
    assert drawn.x1 < figure.get_figwidth() + 0.01
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 5
    assert figure.get_figwidth() <= style.DOUBLE
    matplotlib.pyplot.close(figure)
