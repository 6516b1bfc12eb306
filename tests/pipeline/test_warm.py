"""Jobs as forks of the real warm server: the bytes of fresh processes, and what a whole run makes of it."""

import os
import tempfile
from pathlib import Path

from tests.pipeline.chains import Folder, chain, serving


def test_a_fork_of_the_server_makes_the_bytes_of_a_fresh_process_in_every_stage(tmp_path):
    jobs = chain()
    assert {job.stage for job in jobs} == {"environments", "training", "checkpoints", "metrics", "figures"}
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has at most 108 bytes
        socket = Path(short) / "socket"
        warm, cold = Folder(tmp_path / "warm", socket), Folder(tmp_path / "cold", socket)
        with serving(warm.path, warm.environment, socket) as server:
            assert {warm.run(job) for job in jobs} == {"warm"}
            assert len(os.listdir(f"/proc/{server.pid}/task")) == 1
            loaded = Path(f"/proc/{server.pid}/maps").read_text().lower()
            assert not [name for name in ("mujoco", "osmesa", "libegl", "libgl.", "glfw") if name in loaded]
        assert {cold.run(job) for job in jobs} == {"cold"}
    assert warm.made(jobs) == cold.made(jobs)


def test_nearly_all_jobs_of_a_whole_run_are_forks_of_a_server_that_ends_with_it(smoke):
    rows = [path.read_text().split() for path in smoke.study.rglob("benchmarks/**/*.tsv")]
    forks = sum(row[-1] == "warm" for row in rows)
    assert forks > 0.7 * len(rows)
    assert not list((smoke.path / "results").glob(".warm*"))
