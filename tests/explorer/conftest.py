"""A small tree of results with maze agents that have learned nothing, and the explorer over it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from agentomy import kinds, networks, tables
from agentomy.descriptions import Task
from agentomy.environments import mazes
from agentomy.environments.maze_pictures import Painter
from agentomy.explorer.results import Results
from agentomy.networks.impala import ImpalaStack
from agentomy.papers.maze.extract.features import scattered, shows
from agentomy.papers.maze.measure import pixel_groups
from agentomy.seeds import Streams
from tests.described import extracted, trained
from tests.pipeline.trees import ROOT

WORLD, UPDATES = 9, (0, 5, 9)
FEATURES = "features/corner.seeds0-1"  # the piece that there is
NETWORK = {
    "pixels": WORLD, "palette": "planes", "scale": "planes", "channels": [4, 4], "pools": [1], "hidden": 16,
    "actions": 5,
}  # fmt: skip


def stack(number: int) -> ImpalaStack:
    """Two networks whose moves are not all equally likely."""
    agents = ImpalaStack(2, **NETWORK).draw([networks.generator(10 * number + seed) for seed in range(2)], "orthogonal")
    with torch.no_grad():
        for net in agents.nets:
            net.policy.weight *= 100
    return agents


def planted(folder: Path) -> Results:
    """Results of scale smoke: runs `corner` and `anywhere`, levels, claims, and one figure."""
    study = folder / "smoke" / "maze"
    environment = Task(use="mazes.levels", parameters={"world": WORLD})
    for run, first in (("corner", 0), ("anywhere", 50)):
        described = trained({"use": "impala.ImpalaStack", **NETWORK}, environment, run)
        pieces = [
            kinds.common.PARAMETERS.table(seed=np.arange(2), update=update, **stack(first + update).arrays())
            for update in UPDATES
        ]
        tables.write(
            study / "training" / f"{run}.seeds0-1.parameters.parquet", kinds.common.PARAMETERS, pieces, described
        )
    rows = mazes.levels(world=WORLD, corner=4, count=30, streams=Streams("test", "levels", 0))
    tables.write(study / "environments" / "test.parquet", kinds.maze.LEVELS, rows, environment)
    plant_features(study / "checkpoints" / f"{FEATURES}.parquet", rows)
    claims = {
        "claim": np.array(["TG3", "TG3"]), "says": "It goes <b>there</b>", "paper": "a figure",
        "test": np.array(["", "enters it"]), "group": np.array(["enters it", "region-2"]),
    }  # fmt: skip
    numbers = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 3, "there": 3, "look": 1, "level": 0.025, "shared": 1}
    words = {"unit": "seed", "holds": ">= 0.5", "verdict": "holds", "words": "", "needs": "", "differs": "<i>so</i>"}
    tables.write(
        study / "claims.parquet",
        kinds.common.CLAIMS,
        kinds.common.CLAIMS.table(study="maze", **claims, **numbers, **words),
    )
    (study / "figures").mkdir()
    (study / "figures" / "F3-learning-curves.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return Results(folder, "smoke")


def plant_features(path: Path, rows) -> None:
    """Two layers of two seeds for three levels; once trained, pixels are alike where their 3 × 3 patches are."""
    levels = mazes.read(tables.Table(kinds.maze.LEVELS, rows=rows))[:3]
    _, cells = scattered(levels, 1)
    shown = shows(Painter("planes", WORLD, WORLD), levels, cells)
    key = {"run": "corner", "level": levels.seed, "mouse_x": cells[:, 0], "mouse_y": cells[:, 1]}
    codes = np.stack([pixel_groups.patches(picture) for picture in shown])
    _, types = np.unique(codes, return_inverse=True)
    pieces = []
    for seed in range(2):
        for update in (0, 9):
            rng = np.random.default_rng([seed, update])
            alike = rng.permutation(np.eye(types.max() + 1))[types.reshape(codes.shape)].transpose(0, 3, 1, 2)
            maps = alike if update else rng.normal(size=alike.shape)
            for layer, step in (("block1.conv", 1), ("block1.maxpool", 2)):
                values = maps[:, :, ::step, ::step]
                size = dict(zip(("channels", "rows", "columns"), values.shape[1:], strict=True))
                at = {"seed": seed, "update": update, "layer": layer}
                pieces.append(kinds.maze_pixels.FEATURES.table(**key, **at, **size, values=values, shown=shown))
    tables.write(path, kinds.maze_pixels.FEATURES, pieces, extracted("corner"))


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Results:
    return planted(tmp_path_factory.mktemp("explorer") / "results")


@pytest.fixture(scope="session")
def served(results):
    with serving(results) as address:
        yield address


@contextmanager
def serving(results: Results) -> Iterator[str]:
    """The address at which the explorer serves these results, from a process of its own."""
    command = [sys.executable, "-m", "agentomy.explorer.server", "--scale", "smoke"]
    command += ["--results", str(results.root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    # from where there is no config.yaml: these runs are not planned
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=results.root.parent
    ) as process:
        line = process.stdout.readline()
        yield line.split()[4]
        process.terminate()


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    if not chromium:
        pytest.skip("no browser here: apt install chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def context(browser):
    with browser.new_context(viewport={"width": 1280, "height": 800}) as opened:
        yield opened
