"""What each stage's runner makes of exact numbers: as long as that is the same, `jobs.FORMAT` may be.

The engine's own code counts for no artifact; its formats do. So here is a tiny artifact of each stage, compared by
schema, values and description. All numbers are small integers and powers of two, so no library and no processor rounds
them otherwise.
"""

import json
import struct
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from agentomy import kinds
from agentomy.pipeline.plan import jobs
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.run import stages
from agentomy.progress import Progress
from agentomy.tables import tensors

FORMAT = {"environments": 1, "training": 1, "checkpoints": 1, "metrics": 1, "figures": 2, "claims": 2}
SAY = (
    "the runner of stage '{}' makes another artifact than before: if that is meant, raise its number in jobs.FORMAT "
    "and here, and bring this test's numbers up to date; artifacts that were made before are then made anew"
)


def halves(*, steps: int, episodes: int = 2, streams) -> kinds.bayes.SEQUENCES:
    observations = 2.0 ** -np.arange(steps) * np.ones((episodes, 1))
    return kinds.bayes.SEQUENCES.table(
        episode=np.arange(episodes), parameters=np.full((episodes, 1), 0.5), observations=observations
    )


class Doubling:
    """An agent whose weights are doubled by each update."""

    def __init__(self, environment: kinds.bayes.SEQUENCES, streams: list, device: str, *, updates: int, width: int = 3):
        self.updates, self.width, self.seeds, self.update = updates, width, [stream.seed for stream in streams], 0
        self.network = {"use": "toy.Smooth", "width": width}

    def advance(self):
        self.update += 1
        return {"loss": 2.0**-self.update * np.array([1.0 + seed for seed in self.seeds])}

    def parameters(self):
        first = np.array([1.0 + seed for seed in self.seeds]) * 2.0**self.update
        return {"weight": (first[:, None, None] * np.ones((1, 2, self.width))).astype(np.float32)}

    def state(self):
        return {"update": self.update, "kept": np.array([2.0**self.update])}

    def restore(self, state):
        self.update = state["update"]


def norms(parameters: kinds.common.PARAMETERS, *, scale: float = 2.0, run, streams) -> kinds.twm.MODEL_LOSSES:
    for rows in parameters.groups():
        weight = tensors(rows)["weight"]
        yield kinds.twm.MODEL_LOSSES.table(
            run=run,
            seed=rows["seed"].to_numpy(),
            update=rows["update"].to_numpy(),
            model="snapshot",
            quantity="reward",
            value=weight.sum(axis=(1, 2)).astype(np.float64) * scale,
        )


def largest(losses: kinds.twm.MODEL_LOSSES, *, runs: list) -> kinds.common.COMPARISON:
    frame = losses.where(run=runs).frame()
    maxima = frame.groupby(["run", "seed"], sort=False)["value"].max().reset_index()
    return kinds.common.COMPARISON.table(
        run=maxima["run"].to_numpy(),
        seed=maxima["seed"].to_numpy(),
        quantity="largest",
        value=maxima["value"].to_numpy(),
    )


def picture(comparison: kinds.common.COMPARISON):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=64)
    figure.add_axes((0, 0, 1, 1)).plot(comparison.values("value"))
    return figure


FUNCTIONS = {function.__name__: function for function in (halves, Doubling, norms, largest, picture)}
TOY = "results/smoke/toy"
CLAIM = {
    "says": "weights double",
    "paper": "twice",
    "tests": {
        "size": {
            "from": "largest",
            "value": "value",
            "where": {"run": ["double"]},
            "mean": ["seed"],
            "unit": "deterministic",
            "holds": "> 8",
            "scales": ["smoke"],
            "premise": False,
        }
    },
}


def job(stage, name, use, parameters, inputs, outputs, **options) -> Job:
    return Job(stage, "toy", name, use, parameters, inputs, [f"{TOY}/{output}" for output in outputs], options)


ENVIRONMENT = job("environments", "halves", "toys.halves", {"steps": 3}, {}, ["environments/halves.parquet"])
TRAINING = job(
    "training",
    "double.seeds0-1",
    "toys.Doubling",
    {"updates": 2},
    {"environment": ENVIRONMENT.outputs},
    ["training/double.seeds0-1.parameters.parquet", "training/double.seeds0-1.log.parquet"],
    run="double",
    seeds=[0, 1],
    streams="double",
    snapshots={"even": 2},
    device="cpu",
    plugin=None,
)
CHECKPOINT = job(
    "checkpoints",
    "norms/double.seeds0-1",
    "norms",
    {},
    {"parameters": TRAINING.outputs[:1]},
    ["checkpoints/norms/double.seeds0-1.parquet"],
    run="double",
    device="",
)
METRIC = job(
    "metrics", "largest", "largest", {"runs": ["double"]}, {"losses": CHECKPOINT.outputs}, ["metrics/largest.parquet"]
)
FIGURE = job("figures", "picture", "picture", {}, {"comparison": METRIC.outputs}, ["figures/a.png", "figures/a.pdf"])
CLAIMS = job(
    "claims",
    "claims",
    "judge",
    {"claims": {"C1": CLAIM}, "scale": "smoke", "planned": {"largest": {"double": [2, 2]}}, "trained": {"double": 2}},
    {"largest": METRIC.outputs},
    ["claims.parquet", "claims.md", "claims.html"],
    kinds={"largest": "COMPARISON"},
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with the results of all six jobs."""
    folder = tmp_path_factory.mktemp("format")
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever figures were drawn in this process before
        patch.chdir(folder)
        patch.setattr(stages, "find", lambda use: FUNCTIONS[use.rpartition(".")[2]])
        for stage_job in (ENVIRONMENT, TRAINING, CHECKPOINT, METRIC, FIGURE, CLAIMS):
            told = {**vars(stage_job), "key": "any"}
            stages.RUNNERS[stage_job.stage](told, Progress(stage_job.name))
    return folder


def named(type_: pa.DataType) -> str:
    """A type of a column, in words that do not depend on the version of Arrow."""
    if isinstance(type_, pa.FixedShapeTensorType):
        return f"tensor of {type_.value_type} {[*type_.shape]}"
    return f"list of {type_.value_type}" if pa.types.is_list(type_) else str(type_)


def content(path: Path) -> dict:
    """Everything in a table: columns and their types, rows in pieces, and what the file says about itself."""
    with pq.ParquetFile(path) as file:
        schema, pieces = (
            file.schema_arrow,
            [file.read_row_group(group).to_pydict() for group in range(file.num_row_groups)],
        )
    assert set(schema.metadata or {}) <= {b"agentomy"}
    said = (schema.metadata or {}).get(b"agentomy")
    return {
        "columns": {field.name: named(field.type) for field in schema},
        "pieces": pieces,
        "says": json.loads(said) if said else None,
    }


TASK = {"parameters": {"episodes": 2, "steps": 3}, "use": "halves"}
TRAINED = {
    "environment": TASK,
    "network": {"use": "toy.Smooth", "width": 3},
    "parameters": {"updates": 2, "width": 3},
    "run": "double",
    "seeds": [0, 1],
    "use": "Doubling",
}
# what is in the tables: columns and their types, rows piece by piece, and what they say about themselves
EXPECTED = {
    ENVIRONMENT.outputs[0]: {
        "columns": {"episode": "int64", "parameters": "list of double", "observations": "list of double"},
        "pieces": [{"episode": [0, 1], "parameters": [[0.5]] * 2, "observations": [[1.0, 0.5, 0.25]] * 2}],
        "says": TASK,
    },
    TRAINING.outputs[0]: {
        "columns": {"seed": "int64", "update": "int64", "weight": "tensor of float [2, 3]"},
        "pieces": [
            {"seed": [0, 1], "update": [0, 0], "weight": [[1.0] * 6, [2.0] * 6]},
            {"seed": [0, 1], "update": [2, 2], "weight": [[4.0] * 6, [8.0] * 6]},
        ],
        "says": TRAINED,
    },
    TRAINING.outputs[1]: {
        "columns": {"run": "string", "seed": "int64", "update": "int64", "quantity": "string", "value": "double"},
        "pieces": [
            {
                "run": ["double"] * 4,
                "seed": [0, 1, 0, 1],
                "update": [1, 1, 2, 2],
                "quantity": ["loss"] * 4,
                "value": [0.5, 1.0, 0.25, 0.5],
            }
        ],
        "says": TRAINED,
    },
    CHECKPOINT.outputs[0]: {
        "columns": {
            "run": "string",
            "seed": "int64",
            "update": "int64",
            "model": "string",
            "quantity": "string",
            "value": "double",
        },
        "pieces": [
            {
                "run": ["double"] * 2,
                "seed": [0, 1],
                "update": [update] * 2,
                "model": ["snapshot"] * 2,
                "quantity": ["reward"] * 2,
                "value": value,
            }
            for update, value in ((0, [12.0, 24.0]), (2, [48.0, 96.0]))
        ],
        "says": {"environment": TASK, "parameters": {"scale": 2.0}, "run": "double", "seeds": [0, 1]},
    },
    METRIC.outputs[0]: {
        "columns": {"run": "string", "seed": "int64", "quantity": "string", "value": "double"},
        "pieces": [{"run": ["double"] * 2, "seed": [0, 1], "quantity": ["largest"] * 2, "value": [48.0, 96.0]}],
        "says": None,
    },
}


@pytest.mark.parametrize("file", EXPECTED)
def test_a_table_is_what_its_runner_made_before(results, file):
    assert content(results / file) == EXPECTED[file], SAY.format(file.split("/")[3])


def test_verdicts_are_what_their_runner_made_before(results):
    table = content(results / CLAIMS.outputs[0])
    assert table["says"] is None, SAY.format("claims")
    (rows,) = table["pieces"]
    shown = {name: rows[name] for name in ("study", "claim", "test", "value", "n", "verdict")}
    assert shown == {
        "study": ["toy"] * 2,
        "claim": ["C1"] * 2,
        "test": ["", "size"],
        "value": [72.0] * 2,
        "n": [0] * 2,
        "verdict": ["holds"] * 2,
    }, SAY.format("claims")
    texts = [(results / output).read_text(encoding="utf-8") for output in CLAIMS.outputs[1:]]
    assert [text[:15] for text in texts] == ["# Claims of `to", "<!doctype html>"], SAY.format("claims")


def test_a_figure_is_of_its_own_size_and_says_nothing_of_when_or_where(results):
    png, pdf = ((results / output).read_bytes() for output in FIGURE.outputs)
    assert struct.unpack(">II", png[16:24]) == (128, 64), SAY.format("figures")
    assert not [word for word in (b"tEXt", b"tIME", b"Software") if word in png], SAY.format("figures")
    assert b"/MediaBox [ 0 0 144 72 ]" in pdf, SAY.format("figures")
    assert b"CreationDate" not in pdf, SAY.format("figures")


def test_a_restart_file_is_what_the_driver_wrote_before(results):
    with safe_open(next(results.rglob("state.safetensors")), framework="np") as file:
        header, arrays = file.metadata(), {name: file.get_tensor(name).tolist() for name in file.keys()}  # noqa: SIM118
    say = "restart files are others than before: raise FORMAT in agents/restart.py, and bring this up to date"
    state = dict(json.loads(header.pop("state"))["dict"])
    assert [update for update, _ in state.pop("snapshots")["dict"]] == [0, 2], say
    assert state == {
        "update": 2,
        "agent": {"dict": [["update", 2], ["kept", {"array": "0"}]]},
        "log": {
            "dict": [
                ["update", 2],
                ["sums", {"dict": []}],
                ["rows", [[1, "loss", [0.5, 1.0]], [2, "loss", [0.25, 0.5]]]],
            ]
        },
    }, say
    assert arrays == {"0": [4.0]}, say
    assert {**header, "digest": ""} == {"format": "2", "fingerprint": "any", "digest": ""}, say


def test_the_numbers_here_are_those_of_the_jobs():
    assert jobs.FORMAT == FORMAT, "a number was raised: bring what is expected here up to date as well"
