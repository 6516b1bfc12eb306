"""Writes into docs/verdicts.md what is computed: the example, and how often verdicts are wrong. `make docs`."""

import re
from pathlib import Path

from tabulate import tabulate

from agentomy.judge import alone, coverage, showing
from agentomy.judge.looks import planned

PAGE = Path(__file__).parent / "verdicts.md"
EXAMPLE = PAGE.parents[1] / "examples" / "judge"
FIRST_LOOKS = (3, 10)
TESTS = 5
EFFECTS = (0.5, 1.0, 1.5, 2.0)


def page(text: str) -> str:
    """The page, with each part between `<!-- NAME -->` and `<!-- end -->` computed anew."""
    for name, part in {"example": example, "coverage": errors, "power": power}.items():
        text, found = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda match, part=part: f"{match[1]}\n{part()}\n\n{match[2]}",
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"{PAGE}: found {found} parts '{name}'; allowed: one")
    return text


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
    found = []
    for first in FIRST_LOOKS:
        looks = planned(first)
        found.append(max(coverage.wrong_holds(data, looks, upward) for upward in sides))
        found.append(max(coverage.wrong_fails(data, looks, TESTS, correlation, upward) for upward in sides))
    return [percent(each) for each in found]


def power() -> str:
    """How often a true claim of one test holds, by look."""
    looks = planned(3)
    rows = []
    for effect in EFFECTS:
        by_look = [coverage.wrong_holds(coverage.NORMAL, looks[:last], effect=effect) for last in range(1, 5)]
        rows.append([f"{effect:g}", *map(percent, by_look)])
    heads = [f"by {look.seeds} seeds" for look in looks]
    return tabulate(rows, ["effect, standard deviations", *heads], tablefmt="github", disable_numparse=True)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
