"""The driver: snapshots and log where they are due, and an interrupted run that ends like an unbroken one."""

from typing import ClassVar

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from agentomy import kinds, tables
from agentomy.agents import driver, restart
from agentomy.agents.protocol import Stopped
from agentomy.progress import Progress
from tests.described import trained

SCHEDULE = {"log": 4, "even": 3}


class Walker:
    """An agent that walks at random; it can be told to be interrupted."""

    network: ClassVar = {"use": "none"}

    def __init__(self, seeds, updates=50, stop_at=None):
        self.updates, self.stop_at, self.done = updates, stop_at, 0
        self.rngs = [np.random.default_rng(seed) for seed in seeds]
        self.place = torch.zeros(len(seeds), 2, dtype=torch.float64)

    def advance(self):
        if self.done == self.stop_at:
            raise KeyboardInterrupt
        self.place += torch.tensor(np.stack([rng.normal(size=2) for rng in self.rngs]))
        self.done += 1
        return {"distance": self.place.norm(dim=1).numpy()}

    def parameters(self):
        return {"place": self.place.numpy().astype(np.float32)}

    def state(self):
        return {"done": self.done, "place": self.place, "rngs": [rng.bit_generator.state for rng in self.rngs]}

    def restore(self, state):
        self.done, self.place = state["done"], state["place"].clone()
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved


def run(folder, seeds=(0, 1), fingerprint="f", agent=Walker, **options):
    given = ("walker", list(seeds), SCHEDULE, folder, fingerprint, Progress("walk", every=1e9))
    snapshots, log = driver.train(lambda: agent(seeds, **options), *given)
    tables.write(folder.parent / "parameters", kinds.common.PARAMETERS, snapshots, trained())
    tables.write(folder.parent / "log", kinds.common.LOG, log, trained())
    return [(folder.parent / name).read_bytes() for name in ("parameters", "log")]


@pytest.fixture
def always_saving(monkeypatch):
    monkeypatch.setattr(driver, "SAVE_PAUSE", 0.0)
    monkeypatch.setattr(driver, "SAVE_SHARE", 1e9)


@given(updates=st.integers(1, 5000), log=st.integers(0, 40), even=st.integers(0, 40))
def test_snapshots_hold_the_start_and_the_end_and_no_more_than_asked(updates, log, even):
    due = driver.snapshot_updates(updates, log, even)
    assert due[0] == 0
    assert due[-1] == updates
    assert len(due) <= 2 + max(log - 2, 0) + max(even - 2, 0)
    assert due == sorted(set(due))


def test_log_spaced_snapshots_are_dense_early_and_evenly_spaced_ones_are_not():
    assert driver.snapshot_updates(1000, log=5, even=0) == [0, 1, 10, 100, 1000]
    assert driver.snapshot_updates(1000, log=0, even=5) == [0, 250, 500, 750, 1000]
    assert driver.snapshot_updates(1000, log=5, even=3) == [0, 1, 10, 100, 500, 1000]


def test_a_run_yields_one_row_per_seed_and_snapshot_and_a_log_of_means(tmp_path):
    run(tmp_path / "restart")
    parameters = tables.Table(kinds.common.PARAMETERS, [tmp_path / "parameters"])
    assert parameters.frame()[["seed", "update"]].to_numpy().tolist() == [
        [seed, update] for update in driver.snapshot_updates(50, **SCHEDULE) for seed in (0, 1)
    ]
    log = tables.Table(kinds.common.LOG, [tmp_path / "log"]).frame()
    walk = Walker([0, 1])
    distances = [walk.advance()["distance"].copy() for _ in range(50)]
    np.testing.assert_allclose(log["value"].to_numpy().reshape(50, 2), distances)


def test_a_log_point_is_the_mean_of_the_updates_since_the_last(monkeypatch):
    monkeypatch.setattr(driver, "LOG_POINTS", 5)
    log = driver.Log(10, "walker", [0])
    for value in range(10):
        log.add({"x": np.array([value])})
    assert log.table()["value"].to_pylist() == [0.5, 2.5, 4.5, 6.5, 8.5]


@pytest.mark.parametrize("stop_at", [1, 13, 49])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, always_saving, stop_at):
    unbroken = run(tmp_path / "a" / "restart")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b" / "restart", stop_at=stop_at)
    assert restart.load(tmp_path / "b" / "restart" / "state.safetensors", "f")["update"] == stop_at
    assert run(tmp_path / "b" / "restart") == unbroken


def test_a_restart_file_of_other_settings_is_not_used(tmp_path, always_saving, capsys):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a" / "restart", stop_at=20)
    capsys.readouterr()
    run(tmp_path / "a" / "restart", fingerprint="g")
    assert "begins anew: its restart file is of other parameters, inputs or code\n" in capsys.readouterr().err
    assert run(tmp_path / "a" / "restart", fingerprint="g") == run(tmp_path / "b" / "restart", fingerprint="g")


FLIPS = 60  # in the restart file and in each snapshot


def flip(path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)


@pytest.fixture
def stopped(tmp_path, always_saving):
    """The folder of a run that was stopped half-way."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a" / "restart", stop_at=20)
    return tmp_path / "a" / "restart"


def rewrite(folder, change):
    """Change the state in a restart file, and write it anew with a digest that fits."""
    state = restart.load(folder / driver.STATE, "f")
    change(state)
    restart.save(folder / driver.STATE, state, "f")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / driver.STATE).write_bytes((folder / driver.STATE).read_bytes()[:100]),
        lambda folder: (folder / driver.STATE).write_bytes(b""),
        lambda folder: flip(folder / driver.STATE, -3, 2),  # in a tensor
        lambda folder: flip(folder / driver.STATE, 60, 2),  # in the header
        lambda folder: rewrite(folder, lambda state: state["agent"].pop("rngs")),
        lambda folder: rewrite(folder, lambda state: state.pop("agent")),
        lambda folder: rewrite(folder, lambda state: state.pop("snapshots")),
        lambda folder: rewrite(folder, lambda state: state["snapshots"].pop(1)),
        lambda folder: rewrite(folder, lambda state: state["agent"].update(rngs=[None, None])),
        lambda folder: (folder / "snapshot-000000001.parquet").unlink(),
        lambda folder: flip(folder / "snapshot-000000001.parquet", 40, 3),
        lambda folder: flip(folder / "snapshot-000000001.parquet", -30, 0),
    ],
)
def test_what_is_broken_is_said_in_a_line_and_the_run_begins_anew_to_the_same_bytes(tmp_path, stopped, damage, capsys):
    damage(stopped)
    capsys.readouterr()
    assert run(stopped) == run(tmp_path / "b" / "restart")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "begins anew: " in said[0]


def test_no_flipped_bit_of_a_restart_file_or_a_snapshot_goes_unnoticed(stopped):
    """Or it changes nothing: a space more in the header is the same state."""
    written = restart.load(stopped / driver.STATE, "f")
    rng, files = np.random.default_rng(0), sorted(stopped.iterdir())
    assert len(files) > 2
    for path in files:
        data = path.read_bytes()
        for place, bit in zip(rng.integers(len(data), size=FLIPS), rng.integers(8, size=FLIPS), strict=True):
            flip(path, int(place), int(bit))
            try:
                state = restart.load(stopped / driver.STATE, "f")
                for update in state["snapshots"]:
                    driver._check_snapshot(stopped, state["snapshots"], update)
                noticed = False
            except (restart.Unusable, tables.BrokenTable) as error:
                assert "\n" not in str(error)  # noqa: PT017
                noticed = True
            assert noticed or (path.name == driver.STATE and repr(state) == repr(written))
            path.write_bytes(data)


@pytest.mark.parametrize("place", [b"PAR1", b"parquet-cpp-arrow"])  # Arrow passes over the second
def test_a_snapshot_that_is_broken_when_all_are_put_together_is_named(tmp_path, place):
    snapshots, _ = driver.train(
        lambda: Walker([0]), "walk", [0], SCHEDULE, tmp_path / "restart", "f", Progress("walk", every=1e9)
    )
    broken = tmp_path / "restart" / "snapshot-000000025.parquet"
    flip(broken, broken.read_bytes().index(place), 1)
    with pytest.raises(tables.BrokenTable, match="snapshot-000000025"):
        list(snapshots)


# ---- runs that diverge -----------------------------------------------------------------------------------------------


class Diverging(Walker):
    """Its second seed comes to a number that is none, at update 13: in what it reports, or in its weights alone."""

    def __init__(self, seeds, number=np.nan, silently=False, **options):
        super().__init__(seeds, **options)
        self.number, self.silently = number, silently

    def advance(self):
        record = super().advance()
        if self.done == 13:
            self.place[1, 0] = self.number
            record = record if self.silently else {"distance": self.place.norm(dim=1).numpy()}
        return {"distance": np.nan_to_num(record["distance"])} if self.silently else record


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_training_stops_at_the_first_number_that_is_not_finite_and_names_it(tmp_path, number):
    with pytest.raises(driver.Diverged, match="seed 7 diverged at update 13: distance is not finite"):
        run(tmp_path / "a" / "restart", seeds=(3, 7), agent=Diverging, number=number)


def test_weights_that_are_not_finite_are_noticed_at_the_next_snapshot(tmp_path):
    with pytest.raises(driver.Diverged, match="seed 7 diverged at update 25: place is not finite"):
        run(tmp_path / "a" / "restart", seeds=(3, 7), agent=Diverging, silently=True)


def test_a_state_that_is_not_finite_is_never_kept(tmp_path, always_saving):
    with pytest.raises(driver.Diverged, match="update 13"):
        run(tmp_path / "a" / "restart", seeds=(3, 7), agent=Diverging, silently=True)
    assert restart.load(tmp_path / "a" / "restart" / driver.STATE, "f")["update"] == 12


def test_a_kill_while_a_finished_run_is_cleared_leaves_a_fresh_start(tmp_path, monkeypatch):
    first = run(tmp_path / "a" / "restart")
    monkeypatch.setattr(driver.shutil, "rmtree", lambda folder: (folder / "snapshot-000000001.parquet").unlink())
    driver.clear(tmp_path / "a" / "restart")
    monkeypatch.undo()
    assert run(tmp_path / "a" / "restart") == first


def test_a_stop_signal_saves_first(tmp_path, monkeypatch):
    import signal

    class Signalled(Walker):
        def advance(self):
            if self.done == 7:
                signal.raise_signal(signal.SIGTERM)
            return super().advance()

    progress = Progress("walk", every=1e9)
    with pytest.raises(Stopped, match="update 8 of 50"):
        driver.train(lambda: Signalled([0]), "walker", [0], SCHEDULE, tmp_path / "restart", "f", progress)
    assert restart.load(tmp_path / "restart" / "state.safetensors", "f")["update"] == 8


def test_state_survives_a_restart_file_exactly(tmp_path):
    rng = np.random.default_rng(3)
    model = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    state = {
        "rng": rng.bit_generator.state,  # holds integers of 128 bits
        "optimiser": optimiser.state_dict(),  # has numbers for keys
        "array": rng.normal(size=(2, 3)),
        "plain": [None, True, 1.5, "text", np.float64(0.1)],
        "empty": torch.zeros(0),
        "one, expanded": torch.ones((), dtype=torch.float64).expand(1),
        "transposed": torch.arange(6).view(2, 3).T,
        "short": torch.ones(2, dtype=torch.bfloat16),
    }
    restart.save(tmp_path / "state", state, "f")
    loaded = restart.load(tmp_path / "state", "f")
    assert loaded["rng"] == state["rng"]
    assert loaded["plain"] == state["plain"]
    np.testing.assert_array_equal(loaded["array"], state["array"])
    for name in ("empty", "one, expanded", "transposed", "short"):
        assert torch.equal(loaded[name], state[name])
    assert loaded["optimiser"]["state"].keys() == {0, 1}
    assert torch.equal(loaded["optimiser"]["state"][0]["exp_avg"], state["optimiser"]["state"][0]["exp_avg"])
    assert loaded["optimiser"]["param_groups"][0]["betas"] == [0.9, 0.999]


def test_what_a_restart_file_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot hold a set"):
        restart.save(tmp_path / "state", {"x": {1, 2}}, "f")


@pytest.mark.parametrize(("was", "now"), [(b'"F32"', b'"I32"'), (b"[2,3]", b"[3,2]")])
def test_a_tensor_of_another_type_or_shape_is_noticed_though_its_bytes_are_the_same(tmp_path, was, now):
    restart.save(tmp_path / "state", {"weights": torch.arange(6.0).view(2, 3)}, "f")
    data = (tmp_path / "state").read_bytes()
    assert data.count(was) == 1
    (tmp_path / "state").write_bytes(data.replace(was, now))
    with pytest.raises(restart.Unusable, match="its content is not what was written"):
        restart.load(tmp_path / "state", "f")
