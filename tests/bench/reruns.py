"""How many jobs of the eight studies an edit makes stale: `python -m tests.bench.reruns [SCALE]`.

By digests alone, so without results; what is behind a stale job is called only if its tables come out otherwise.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import agentomy
from agentomy.pipeline.plan.study import STUDIES, Plan
from agentomy.pipeline.source.provenance import Source

PACKAGE = Path(agentomy.__file__).parent
# what is edited: file, before, after; a file that is new has nothing before
EDITS = {
    "an error text in tables.py": [("tables.py", "found an empty cell", "there is an empty cell")],
    "an error text that a stage function raises": [
        ("environments/sequences.py", "concentration needs at least two", "give at least two")
    ],
    "a function that moves to another file unchanged": [
        ("papers/bayes/measure/optimality.py", None, "lenses/elsewhere.py")
    ],
    "a renamed local variable of one metric": [
        ("papers/bayes/measure/optimality.py", "means = Means()", "sums = Means()")
    ],
    "a new line in a table of names": [
        ("environments/simulators.py", "ENVIRONMENTS = {", 'ENVIRONMENTS = {\n    "control.new": (control.quiet, {}),')
    ],
    "one line of an agent (predictor)": [("agents/predictor.py", "self.update += 1", "self.update += 1 * 1")],
}


def digests(plan: Plan) -> dict[tuple[str, str, str], str]:
    return {key: plan.studies[key[0]].job(*key[1:]).digest() for name in plan.names for key in plan.studies[name].keys}


def edited(edits: list) -> tuple[Path, Path]:
    """The package and the studies with edits in them."""
    folder = Path(tempfile.mkdtemp())
    root, studies = folder / "agentomy", folder / "studies"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(STUDIES, studies)
    for file, before, after in edits:
        path = root / file
        text = path.read_text(encoding="utf-8")
        if before is None:
            path.rename(root / after)
            old, new = (Path(module).stem for module in (file, after))
            for study in studies.glob("*.yaml"):
                study.write_text(study.read_text(encoding="utf-8").replace(f"{old}.", f"{new}."), encoding="utf-8")
            continue
        assert before in text, (file, before)
        path.write_text(text.replace(before, after), encoding="utf-8")
    return root, studies


def main(scale: str = "laptop") -> None:
    config = {"scale": scale, "studies": ["bayes"]}
    before = digests(Plan(config, source=Source()))
    print(f"Of {len(before)} jobs of the eight studies at scale {scale}:\n")
    print("| edit | stale jobs | of them training |\n| --- | --- | --- |")
    for name, edits in EDITS.items():
        root, studies = edited(edits)
        after = digests(Plan(config, studies, Source(root)))
        stale = [key for key in after if before.get(key) != after[key]]
        print(f"| {name} | {len(stale)} | {sum(key[1] == 'training' for key in stale)} |")
        shutil.rmtree(root.parent)
    more = digests(Plan({**config, "seeds": 5}, source=Source()))
    trained = [key for key in more if key[1] == "training"]
    new = [key for key in trained if before.get(key) != more[key]]
    kept = sum(key[1] == "training" for key in before)
    print(f"| `--config seeds=5` | | {len(new)} new of {len(trained)} (before: {kept}) |")


if __name__ == "__main__":
    main(*sys.argv[1:])
