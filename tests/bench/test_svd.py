"""The benchmark of the streamed temporal SVD runs, at a small size, and its result is right."""

import re
import subprocess
import sys
from pathlib import Path


def test_the_streamed_svd_agrees_with_numpys(tmp_path):
    command = [sys.executable, "-m", "tests.bench.svd", "--snapshots", "40", "--parameters", "150000"]
    root = Path(__file__).parents[2]
    done = subprocess.run([*command, "--folder", str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (streamed,) = (line for line in done.stdout.splitlines() if "stream" in line and line.startswith("|"))
    error = float(re.findall(r"[\d.]+e-\d+", streamed)[-1])
    assert error < 1e-6
