"""Writes what the parts of `make test` cost into CONTRIBUTING.md, from the file that `pytest --junitxml` writes."""

import argparse
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from tabulate import tabulate

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("times", type=Path)
    for name in ("commit", "date", "machine"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    root = ElementTree.parse(given.times).getroot()
    seconds, tests = Counter(), Counter()
    for case in root.iter("testcase"):
        part = case.get("classname").split(".")[1]
        seconds[part] += float(case.get("time"))
        tests[part] += 1
    whole = max(float(suite.get("time")) for suite in root.iter("testsuite"))
    table = tabulate(
        [(part, tests[part], round(spent)) for part, spent in seconds.most_common()],
        headers=["part", "tests", "seconds of one process"],
        tablefmt="github",
    )
    run = f"Commit `{given.commit}`, {given.date}, {given.machine}"
    text = f"{run}: {whole / 60:.1f} min, installing and lint apart.\n\n{table}\n"
    page = re.sub(r"(<!-- times -->\n).*?(<!-- end -->)", rf"\1{text}\2", PAGE.read_text(), flags=re.DOTALL)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
