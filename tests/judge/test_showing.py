"""How numbers of verdicts are written."""

from types import SimpleNamespace

import pytest

from agentomy.judge.showing import with_interval


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (-6.94e-18, -0.286, 0.157, "0 [−0.286, 0.157]"),
        (0.25, 1e-17, 0.5, "0.25 [0, 0.5]"),
        (2e-13, -2e-12, 1e-12, "2e−13 [−2e−12, 1e−12]"),  # all are small: a size of its own
        (1e-9, 1e-10, float("inf"), "1e−09 [1e−10, ∞]"),
        (0.0, 0.0, 0.0, "0"),
        (float("nan"), 0.0, 1.0, "–"),
    ],
)
def test_what_is_0_but_for_rounding_is_shown_as_0(value, low, high, shown):
    assert with_interval(SimpleNamespace(value=value, low=low, high=high)) == shown
