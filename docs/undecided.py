"""The claims that a run leaves undecided, with why seeds do not decide them and what could. For docs/verdicts.md.

How likely 24 seeds are to decide is computed from the interval that is shown; the rest is written in undecided.yaml.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import runs
from scipy.special import nctdtr, stdtrit
from tabulate import tabulate

from agentomy.judge import showing
from agentomy.judge.looks import LATER
from agentomy.judge.results import UNDECIDED
from agentomy.judge.thresholds import Threshold
from agentomy.mistakes import ConfigError
from agentomy.yaml_files import read_yaml

NOTES = Path(__file__).parent / "undecided.yaml"
LAST, LEVEL = LATER[-1]
HEADS = ("study", "claim", "open test", "value [interval]", "n", "threshold", f"by {LAST} seeds")


def table(run: runs.Run, notes: dict[str, dict[str, str]]) -> str:
    """One row for each, with what is said of it in `notes`: study → claim → a sentence or two."""
    rows = []
    for _, row in run.claims[run.claims["verdict"] == UNDECIDED].iterrows():
        study, claim = row["study"], row["claim"]
        try:
            note = notes[study][claim]
        except KeyError:
            raise ConfigError(NOTES, f"{study}.{claim}", "missing; allowed: a line on what could decide it") from None
        shown = (row["group"], showing.with_interval(row), showing.counted(row), row["holds"], by_last_look(row))
        rows.append([study, claim, *shown, note])
    rows = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
    return tabulate(rows, [*HEADS, "why, and what could decide it"], tablefmt="github", disable_numparse=True)


def by_last_look(row: pd.Series) -> str:
    """The chance that the last look decides, if effect and spread are as they seem; "–" if it is no t interval."""
    test, share = Threshold.read(row["holds"]), max(row["shared"], 1)
    levels = test.levels(row["level"], row["level"] / share)
    lengths = np.array([row["value"] - row["low"], row["high"] - row["value"]])
    with np.errstate(invalid="ignore"):
        spreads = lengths * np.sqrt(row["n"]) / stdtrit(row["n"] - 1, 1 - np.array(levels))
    if not np.isfinite(spreads).all() or not np.isclose(*spreads, rtol=0.01):
        return "–"
    effect = (row["value"] - test.number) / spreads[0] * (1 if test.upward else -1)
    needed = stdtrit(LAST - 1, 1 - (LEVEL if effect > 0 else LEVEL / share))
    return f"{100 * (1 - nctdtr(LAST - 1, abs(effect) * np.sqrt(LAST), needed)):.0f} %"


def notes() -> dict[str, dict[str, str]]:
    return read_yaml(NOTES)
