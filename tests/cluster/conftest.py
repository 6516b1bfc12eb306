"""A Slurm and an object storage on loopback; where one cannot be had, its tests say why and are skipped."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.trees import ROOT, Tree, fresh

HERE = Path(__file__).parent
EXTRA = ROOT / ".venv" / "cluster"  # plugins; among the other packages they would slow down every start of Snakemake


@dataclass(frozen=True)
class ClusterTree(Tree):
    """A copy of the repository whose Snakemake is given a profile, and what a cluster of one machine needs besides."""

    profile: str
    given: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]

    @property
    def environment(self) -> dict[str, str]:
        plugins = {"PYTHONPATH": os.pathsep.join([str(self.path / "workflow"), str(EXTRA)])}
        return {**super().environment, **plugins, **dict(self.variables)}

    def command(self, *arguments: str, scale: bool = True) -> list[str]:
        profile = ["--workflow-profile", f"workflow/profiles/{self.profile}"]
        return [sys.executable, "-m", "snakemake", *arguments, *profile, *self.given]


def given(overrides: dict[str, Any]) -> tuple[str, ...]:
    """The configuration: scale smoke, with overrides."""
    return "--config", "scale=smoke", f"overrides={json.dumps(overrides)}"


def free_port() -> str:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return str(trial.getsockname()[1])


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)
    except OSError:
        return False
    return True


def plugin(name: str) -> None:
    if not (EXTRA / f"snakemake_{name}").exists():
        pytest.skip(f"snakemake_{name} is not installed: make .venv/cluster/ready")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running Slurm of one node; the variables with which its commands find it."""
    plugin("executor_plugin_slurm")
    script, folder = str(HERE / "slurm.sh"), tmp_path_factory.mktemp("slurm")
    installed = subprocess.run([script, "install"], capture_output=True, text=True, timeout=700)
    if installed.returncode != 0:
        pytest.skip(installed.stdout.strip())
    ports = {"SLURMCTLD_PORT": free_port(), "SLURMD_PORT": free_port()}
    started = subprocess.run(
        [script, "start", folder], env={**os.environ, **ports}, capture_output=True, text=True, timeout=600
    )
    variables = {
        "SLURM_CONF": f"{folder}/slurm.conf",
        "PATH": f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    try:
        if started.returncode != 0:
            pytest.skip(f"Slurm does not start here: {started.stdout}{started.stderr}")
        yield variables
    finally:
        subprocess.run([script, "stop", folder], env={**os.environ, **variables}, timeout=300)


@pytest.fixture(scope="session")
def clusters(slurm) -> Callable[[Path], ClusterTree]:
    """Makes trees with the shipped profile for Slurm: two cores, no accounting, and a patience of seconds."""
    loopback = ("--jobs", "2", "--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "5")
    patience = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
    partition = ("--default-resources", "slurm_partition=main")
    given, variables = (*loopback, *patience, *partition), tuple(slurm.items())
    return lambda folder: ClusterTree(fresh(folder).path, "slurm", given, variables)


@pytest.fixture(scope="session")
def bucket():
    """Makes trees whose results are in the folder `ours` of a bucket on loopback; and tells or loses what it holds."""
    plugin("storage_plugin_s3")
    keys = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret"}
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    place = ("--cores", "2", "--default-storage-prefix", "s3://runs/ours", "--storage-s3-endpoint-url", address)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXTRA)
        import boto3
    storage = boto3.client("s3", endpoint_url=address, aws_access_key_id="key", aws_secret_access_key="secret")

    def stored(lose: str | None = None) -> dict[str, bytes]:
        if lose:
            storage.delete_object(Bucket="runs", Key=f"ours/{lose}")
        keys = [stored_object["Key"] for stored_object in storage.list_objects_v2(Bucket="runs").get("Contents", [])]
        bodies = {key: storage.get_object(Bucket="runs", Key=key)["Body"].read() for key in keys}
        return {key.removeprefix("ours/"): body for key, body in bodies.items()}

    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
        env={**os.environ, "PYTHONPATH": str(EXTRA)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not answers(address):
            assert server.poll() is None, "the storage has ended"
            assert time.monotonic() < until, "the storage does not answer"
            time.sleep(0.2)
        storage.create_bucket(Bucket="runs")
        yield lambda folder: ClusterTree(fresh(folder).path, "s3", place, tuple(keys.items())), stored
    finally:
        server.terminate()
        server.wait(timeout=30)
