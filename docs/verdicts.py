"""Writes into docs/verdicts.md what is computed: the example, and how often verdicts are wrong. `make docs`.

If a run's results are named (`results/laptop`), also which verdicts are others than by the rules before these.
"""

import re
import sys
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from agentomy import kinds
from agentomy.judge import alone, coverage, showing
from agentomy.judge.looks import planned
from agentomy.judge.results import FAILS, UNDECIDED
from agentomy.tables import Table

PAGE = Path(__file__).parent / "verdicts.md"
# verdicts of the run of 2026-11-27 (commit 9a0a72b), by one 95 % interval a test; `why`, if said, is shown as it is
BEFORE = Path(__file__).parent / "verdicts-before.csv"
EXAMPLE = PAGE.parents[1] / "examples" / "judge"
FIRST_LOOKS = (3, 10)
TESTS = 5
EFFECTS = (0.5, 1.0, 1.5, 2.0)


def page(text: str) -> str:
    """The page, with the parts that need no run computed anew."""
    for name, part in {"example": example, "coverage": errors, "power": power}.items():
        text = replaced(text, name, part())
    return text


def replaced(text: str, name: str, part: str) -> str:
    """The page with another text between `<!-- NAME -->` and `<!-- end -->`."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    text, count = between.subn(lambda match: f"{match[1]}\n{part}\n\n{match[2]}", text)
    if count != 1:
        raise ValueError(f"{PAGE}: found {count} parts '{name}'; allowed: one")
    return text


# ---- what is another verdict than before -----------------------------------------------------------------------------


def changed(before: pd.DataFrame, results: Path) -> str:
    """How many claims there were and are of each verdict, and those whose verdict is another one, with the reason."""
    paths = [results / study / "claims.parquet" for study in before["study"].unique()]
    now = pd.concat([Table(kinds.common.CLAIMS, [path]).frame() for path in paths if path.exists()])
    now = now[now["test"] == ""]
    before = before[before["study"].isin(now["study"])]
    was = {(row["study"], row["claim"]): row for _, row in before.iterrows()}
    is_ = {(row["study"], row["claim"]): row for _, row in now.iterrows()}
    rows = []
    for study, claim in dict.fromkeys([*was, *is_]):
        old, new = was.get((study, claim)), is_.get((study, claim))
        if old is None or new is None or old["verdict"] != new["verdict"]:
            rows.append([study, claim, _was(old), _is(new), (old is not None and old["why"]) or why(old, new)])
    table = tabulate(rows, ["study", "claim", "was", "is", "why"], tablefmt="github", disable_numparse=True)
    return f"Before: {_counts(before)}. Now: {_counts(now)}.\n\n{table}"


def _counts(verdicts: pd.DataFrame) -> str:
    counts = verdicts["verdict"].value_counts()
    return f"of {len(verdicts)} claims " + ", ".join(f"{count} {word}" for word, count in counts.items())


def _was(old: pd.Series | None) -> str:
    if old is None:
        return "–"
    interval = "" if old["low"] == old["high"] else f" [{old['low']}, {old['high']}]"
    value = f", {old['value']}{interval}" if old["value"] else ""
    return f"{old['verdict']}: {old['on']}{value}".replace("|", r"\|")


def _is(new: pd.Series | None) -> str:
    return "–" if new is None else f"{new['verdict']}: {new['group']}, {showing.with_interval(new)}".replace("|", r"\|")


def why(old: pd.Series | None, new: pd.Series | None) -> str:
    """Which of the rules makes the difference, as far as the tables of verdicts show it."""
    if old is None or new is None:
        return "a new claim" if old is None else "the claim is gone"
    if new["words"]:
        return new["words"]
    if (old["verdict"], new["verdict"]) == (FAILS, UNDECIDED) and new["shared"] > 1:
        share = percent(new["level"] / new["shared"], 2)
        return f"one of {new['shared']} tests, any of which may fail by chance: it fails at {share}, not at 2.5 %"
    if new["look"] > 1:
        return f"decided at look {new['look']}, by {new['n']} seeds"
    return "another test decides" if new["group"] != old["on"] else "the run, or the measure, is another"


# ---- what is computed without a run ----------------------------------------------------------------------------------


def example() -> str:
    """The files, and the table that Markdown shows of them."""
    files = {name: (EXAMPLE / name).read_text(encoding="utf-8").rstrip() for name in ("runs.csv", "CLAIMS.yaml")}
    shown = showing.markdown("", alone.judged([EXAMPLE / "runs.csv"], EXAMPLE / "CLAIMS.yaml"))
    table = shown.split("\n\n")[1]
    blocks = [f"```{name.split('.')[1]}\n{text}\n```" for name, text in files.items()]
    command = "```bash\nagentomy judge examples/judge/runs.csv examples/judge/CLAIMS.yaml\n```"
    return "\n\n".join([*blocks, command, table])


def errors() -> str:
    """How often false claims hold and true ones fail, on the worse of the two sides."""
    rows = []
    for correlation in (0.0, 0.9):
        name = f"normal, tests {'independent' if not correlation else f'correlated at {correlation}'}"
        rows.append([name, *_wrong(coverage.NORMAL, correlation)])
    rows += [[data.name, *_wrong(data, 0.0)] for data in (*coverage.SKEWED, *coverage.SHARES)]
    heads = [f"{what}, {first} seeds at first" for first in FIRST_LOOKS for what in ("holds", "fails")]
    return tabulate(rows, ["seeds are", *heads], tablefmt="github", disable_numparse=True)


def _wrong(data: coverage.Data, correlation: float) -> list[str]:
    sides = (True, False)
    chances = []
    for first in FIRST_LOOKS:
        looks = planned(first)
        chances.append(max(coverage.wrong_holds(data, looks, upward) for upward in sides))
        chances.append(max(coverage.wrong_fails(data, looks, TESTS, correlation, upward) for upward in sides))
    return [percent(chance) for chance in chances]


def power() -> str:
    """How often a true claim of one test holds, by look."""
    looks = planned(3)
    rows = []
    for effect in EFFECTS:
        by_look = [coverage.wrong_holds(coverage.NORMAL, looks[:last], effect=effect) for last in range(1, 5)]
        rows.append([f"{effect:g}", *map(percent, by_look)])
    heads = [f"by {look.seeds} seeds" for look in looks]
    return tabulate(rows, ["effect, standard deviations", *heads], tablefmt="github", disable_numparse=True)


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def main(results: list[str]) -> None:
    text = page(PAGE.read_text(encoding="utf-8"))
    for folder in results:
        text = replaced(text, "changed", changed(pd.read_csv(BEFORE, dtype=str, keep_default_na=False), Path(folder)))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:2])
