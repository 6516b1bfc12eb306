"""Writes into docs/verdicts.md what is computed: the example, how often verdicts are wrong, and which have changed.

Those that have changed are of the runs that are kept in docs/runs. `make docs`.
"""

import re
from pathlib import Path

import pandas as pd
import runs
import undecided
from tabulate import tabulate

from agentomy.claims import NOT_HERE, UNTESTED
from agentomy.judge import alone, coverage, showing
from agentomy.judge.looks import planned
from agentomy.judge.results import FAILS, HOLDS, REPORTED, UNDECIDED

PAGE = Path(__file__).parent / "verdicts.md"
# verdicts of the run of 2026-11-27 (commit 9a0a72b), by one 95 % interval a test; `why`, if said, is shown as it is
BEFORE = Path(__file__).parent / "verdicts-before.csv"
EXAMPLE = PAGE.parents[1] / "examples" / "judge"
FIRST_LOOKS = (3, 10)
TESTS = 5
EFFECTS = (0.5, 1.0, 1.5, 2.0)
# the words for a number of claims with a verdict
COUNTED = {HOLDS: "hold", FAILS: "fail"} | {word: word for word in (UNDECIDED, REPORTED, NOT_HERE, UNTESTED)}


def page(text: str) -> str:
    """The page, with its parts computed anew."""
    kept = runs.read()
    laptop = runs.named(kept, "laptop")
    parts = {"example": example(), "coverage": errors(), "power": power()}
    if laptop:
        before = pd.read_csv(BEFORE, dtype=str, keep_default_na=False)
        more = runs.named(kept, "laptop-decided")
        parts |= {
            "changed": changed(before, laptop),
            "decided": decided(laptop, more),
            "undecided": undecided.table(more or laptop, undecided.notes()),
            "workstation": on_a_workstation(laptop, runs.named(kept, runs.WORKSTATION)),
        }
    for name, part in parts.items():
        text = replaced(text, name, part)
    return text


def replaced(text: str, name: str, part: str) -> str:
    """The page with another text between `<!-- NAME -->` and `<!-- end -->`."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    text, count = between.subn(lambda match: f"{match[1]}\n{part}\n\n{match[2]}", text)
    if count != 1:
        raise ValueError(f"{PAGE}: found {count} parts '{name}'; allowed: one")
    return text


# ---- what is another verdict than before -----------------------------------------------------------------------------


def changed(before: pd.DataFrame, run: runs.Run) -> str:
    """How many claims there were and are of each verdict, and those whose verdict is another one, with the reason."""
    now = run.claims
    before = before[before["study"].isin(now["study"])]
    rows = []
    for (study, claim), (old, new) in _paired(before, now).items():
        if old is None or new is None or old["verdict"] != new["verdict"]:
            rows.append([study, claim, _was(old), _is(new), (old is not None and old["why"]) or why(old, new)])
    table = tabulate(rows, ["study", "claim", "was", "is", "why"], tablefmt="github", disable_numparse=True)
    return f"Before: {_counts(before)}. Now: {_counts(now)}.\n\n{table}"


def decided(before: runs.Run, after: runs.Run | None) -> str:
    """What `agentomy decide` made of a run: counts, claims that moved, and what it took."""
    if after is None:
        return "No such run is kept in `docs/runs`."
    both = _paired(before.claims, after.claims)
    more = {key: new for key, (old, new) in both.items() if _seeds(new) > _seeds(old) and _open(new)}
    open_ = ", ".join(f"{' '.join(key)} ({new['needs'] or new['words']})" for key, new in more.items())
    closed = "\n".join(f"- `{job}`: {reason}" for job, reason in after.failed.items())
    parts = [
        f"{after.named[0].upper()}{after.named[1:]}.",
        f"Before: {_counts(before.claims)}. After: {_counts(after.claims)}.",
        _moved(both),
        open_ and f"Judged with more seeds, and still undecided: {open_}.",
        closed and f"Jobs that failed, so that the claims which need them are closed:\n\n{closed}",
        "The seeds that were added, and what their training and extraction took:",
        runs.seeds_added(after),
    ]
    return "\n\n".join(filter(None, parts))


def on_a_workstation(laptop: runs.Run, workstation: runs.Run | None) -> str:
    """The claims whose verdict is another one at scale workstation."""
    if workstation is None:
        return "Sized, not run: [what it would cost](performance.md#scale-workstation)."
    both = {key: pair for key, pair in _paired(laptop.claims, workstation.claims).items() if pair[1] is not None}
    run = {key: pair for key, pair in both.items() if pair[1]["verdict"] != runs.IN_PART}
    counted = workstation.claims[workstation.claims["verdict"] != runs.IN_PART]
    left = len(laptop.claims) - len(run)
    counts = f"Run: {_counts(counted)}. The same on a laptop: {_counts(_same(laptop, run))}." if run else ""
    not_run = f"{left} claims are sized and were not run, or only in part." if left else ""
    head = f"{workstation.named[0].upper()}{workstation.named[1:]}."
    return "\n\n".join(filter(None, [head, " ".join(filter(None, [counts, not_run])), _moved(run)]))


def _same(run: runs.Run, pairs: dict) -> pd.DataFrame:
    keys = list(zip(run.claims["study"], run.claims["claim"], strict=True))
    return run.claims[[key in pairs for key in keys]]


def _paired(before: pd.DataFrame, now: pd.DataFrame) -> dict[tuple[str, str], tuple]:
    """(study, claim) → its rows in both; None where there is none."""
    was, is_ = ({(row["study"], row["claim"]): row for _, row in rows.iterrows()} for rows in (before, now))
    return {key: (was.get(key), is_.get(key)) for key in dict.fromkeys([*was, *is_])}


def _moved(pairs: dict) -> str:
    """The claims whose verdict is another one."""
    rows = [
        [study, claim, _is(old), _is(new), f"{_seeds(old)} → {_seeds(new)}"]
        for (study, claim), (old, new) in pairs.items()
        if old is None or new is None or old["verdict"] != new["verdict"]
    ]
    heads = ["study", "claim", "was", "is", "n"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True) if rows else "No verdict is another one."


def _seeds(row: pd.Series | None) -> int:
    return 0 if row is None else row["n"]


def _open(row: pd.Series | None) -> bool:
    return row is not None and row["verdict"] == UNDECIDED


def _counts(verdicts: pd.DataFrame) -> str:
    counts = verdicts["verdict"].value_counts()
    of_each = [f"{counts[verdict]} {word}" for verdict, word in COUNTED.items() if verdict in counts]
    return f"{len(verdicts)} claim{'s' * (len(verdicts) != 1)}, {', '.join(of_each)}"


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


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
