"""Results in a bucket: the bytes of a local run, nothing to do in a second one, and a lost object is made again."""

from tests.cluster.conftest import given

SMALLER = given("bayes.checkpoints.predictions.of: [cat-3]")
TARGET = "results/smoke/bayes/metrics/distance.parquet"


def test_a_bucket_holds_the_bytes_of_a_local_run_and_a_lost_object_is_made_again(bucket, local):
    tree, storage = bucket
    done = tree.snakemake(TARGET, *SMALLER)
    assert done.returncode == 0, done.stdout[-5000:]
    assert local.snakemake(TARGET, *SMALLER, scale=False).returncode == 0
    made = [str(path.relative_to(local.path)) for path in local.path.glob("results/smoke/bayes/*/*.parquet")]
    assert len(made) == 5

    def stored(name: str) -> bytes:
        return storage.get_object(Bucket="runs", Key=f"mine/{name}")["Body"].read()

    assert [name for name in made if stored(name) != (local.path / name).read_bytes()] == []
    assert not list((tree.path / "results").rglob("*.parquet"))
    assert "Nothing to be done" in tree.snakemake(TARGET, *SMALLER).stdout

    storage.delete_object(Bucket="runs", Key=f"mine/{TARGET}")
    again = tree.snakemake(TARGET, *SMALLER)
    assert again.returncode == 0
    assert "1 of 1 steps (100%) done" in again.stdout
    assert stored(TARGET) == (local.path / TARGET).read_bytes()
