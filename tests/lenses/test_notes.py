"""The small print of a figure stays on its page."""

import matplotlib

from agentomy.drawing import style
from tests.checks import check_page

matplotlib.use("agg")


def test_a_note_that_is_wider_than_its_figure_goes_on_in_another_line():
    for width in (style.SINGLE, style.DOUBLE):
        figure, _ = style.subplots(1, 1, width, 2.0)
        style.note(figure, "lines: mean over seeds, n = 3 to 12 training seeds; " * 6 + "\nthe last line")
        assert figure.get_supxlabel().endswith("\nthe last line")
        check_page(figure, ["n = 3 to 12"])
