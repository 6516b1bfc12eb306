"""Jobs as forks of the real warm server: the bytes of fresh processes, and what a whole run makes of it."""

import os
import tempfile
from pathlib import Path

from tests.pipeline.runners import serving, short_chain


def test_a_fork_of_the_server_makes_the_bytes_of_a_fresh_process_in_every_stage(tmp_path):
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has at most 108 bytes
        socket = Path(short) / "socket"
        warm, jobs = short_chain(tmp_path / "warm", socket)
        cold, _ = short_chain(tmp_path / "cold", socket)
        assert {job.stage for job in jobs} == {"environments", "training", "checkpoints", "metrics", "figures"}
        with serving(warm.folder, warm.environment, socket) as server:
            assert {warm.run(job) for job in jobs} == {"warm"}
            assert len(os.listdir(f"/proc/{server.pid}/task")) == 1
            loaded = Path(f"/proc/{server.pid}/maps").read_text().lower()
            assert not [name for name in ("mujoco", "osmesa", "libegl", "libgl.", "glfw") if name in loaded]
        assert {cold.run(job) for job in jobs} == {"cold"}
    assert warm.outputs(*jobs) == cold.outputs(*jobs)


def test_all_jobs_of_a_whole_run_are_forks_of_a_server_that_ends_with_it(smoke):
    rows = [path.read_text().split() for path in smoke.study.rglob("benchmarks/**/*.tsv")]
    assert {row[-1] for row in rows} == {"warm"}
    assert not list((smoke.path / "results").glob(".warm*"))
