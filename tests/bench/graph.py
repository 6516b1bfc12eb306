"""How long, and in how much memory, Snakemake plans ten thousand training jobs: `python -m tests.bench.graph`."""

import resource
import tempfile
import time
from pathlib import Path

import yaml

from agentomy.yaml_files import read_yaml
from tests.pipeline.trees import ROOT, fresh

RUNS, SEEDS = (10, 100), 100


def many(runs: int, seeds: int) -> dict:
    """A study of `runs` predictors, a job for each of their seeds, every run looked at and measured."""
    study = read_yaml(ROOT / "workflow" / "studies" / "bayes.yaml")
    run = {**study["training"]["cat-3"], "seeds": seeds, "stack": 1}
    names = [f"run-{number}" for number in range(runs)]
    return {
        "paper": study["paper"],
        "environments": {"cat-3": study["environments"]["cat-3"]},
        "training": {name: {**run, "width": 8 + number} for number, name in enumerate(names)},
        "checkpoints": {
            f"predictions-{name}": {"use": "papers.bayes.extract.predictions.predictions", "of": [name]}
            for name in names
        },
        "metrics": {
            f"distance-{name}": {"use": "papers.bayes.measure.optimality.kl_to_bayes", "from": [f"predictions-{name}"]}
            for name in names
        },
        "figures": {},
        "claims": {},
    }


def main() -> None:
    print("| training jobs | jobs in all | `snakemake -n`, s | processor, s | peak memory, MB |\n|" + " --- |" * 5)
    for runs in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            tree = fresh(Path(folder) / "tree")
            (tree.path / "workflow" / "studies" / "many.yaml").write_text(yaml.safe_dump(many(runs, SEEDS)))
            began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = tree.snakemake("-n", "--quiet", "all", "--config", "studies=many", scale=False)
            assert done.returncode == 0, done.stdout[-2000:]
            wall, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            sizes = f"| {SEEDS * runs:,} | {(SEEDS + 2) * runs + 2:,} "
            print(f"{sizes}| {wall:.1f} | {processor:.1f} | {used.ru_maxrss / 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()
