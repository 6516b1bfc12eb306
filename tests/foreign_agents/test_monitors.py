"""Claim 0 by what SB3's Monitor noted in training, or by a stated return; and what is done about files that are odd."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import stable_baselines3 as sb3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from agentomy import kinds
from agentomy.foreign_agents.returns import read_monitors
from agentomy.lenses.behaviour.measure import NONE_NOTED, parity
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import importing
from agentomy.tables import Table
from tests.described import extracted, trained
from tests.foreign_agents.conftest import small
from tests.foreign_agents.test_command import PATTERN, here, study  # noqa: F401
from tests.foreign_agents.test_import import MINE, parameters, planned, refusal
from tests.pipeline import runners

HEAD = '#{"t_start": 1.0, "env_id": "CartPole-v1"}\nr,l,t\n'


def monitor(path: Path, *episodes: tuple[float, int]) -> Path:
    """A monitor file of these episodes: returns and lengths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + "".join(f"{r},{length},{t}.5\n" for t, (r, length) in enumerate(episodes)))
    return path


# ---- reading -----------------------------------------------------------------------------------------------------


def test_environments_step_together_and_their_steps_add_up(tmp_path):
    """Two environments: after ten steps of each the run has made twenty."""
    files = monitor(tmp_path / "0.monitor.csv", (1, 10), (2, 30)), monitor(tmp_path / "1.monitor.csv", (3, 25))
    both = read_monitors(files)
    assert both.steps.tolist() == [20, 50, 80]
    assert both.returns.tolist() == [1, 3, 2]
    assert both.ended(20, 80).tolist() == [3, 2]
    assert both.ended(0, 20).tolist() == [1]
    assert read_monitors(files, skip=2).steps.tolist() == [10, 25, 40]


def test_steps_are_those_of_the_library(tmp_path):
    """Each episode's end is known to the library's own callback by its number of steps."""
    ends = []

    class Ends(BaseCallback):
        def _on_step(self) -> bool:
            ends.extend(
                (self.num_timesteps, info["episode"]["r"]) for info in self.locals["infos"] if "episode" in info
            )
            return True

    env = make_vec_env("CartPole-v1", 3, seed=0, monitor_dir=str(tmp_path))
    sb3.PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, seed=0, **small()).learn(192, Ends())
    env.close()
    monitored = read_monitors([*tmp_path.glob("*.monitor.csv")])
    assert sorted(zip(monitored.steps.tolist(), monitored.returns.tolist(), strict=True)) == sorted(ends)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1.0,0,0.1", "line 3: found 0 steps; allowed: 1 to"),
        ("1.0,-5,0.1", "found -5 steps"),
        ("1.0,2.5,0.1", "found 2.5 steps"),
        ("1.0,1e300,0.1", "found 1e+300 steps"),
        ("inf,5,0.1", "line 3: found 'inf'"),
        ("1.0,five,0.1", "line 3: found 'five'"),
        ('1.0,"5', "line 3"),
        ("=cmd|' /C calc'!A0,5,0.1", "allowed: a number"),
        ("1.0\x00,5,0.1", "found"),
    ],
)
def test_a_row_that_no_monitor_writes_is_one_line(row, says, tmp_path):
    path = tmp_path / "0.monitor.csv"
    path.write_text(f"{HEAD}{row}\n1.0,5,0.2\n")
    with pytest.raises(ConfigError, match="monitor") as error:
        read_monitors([path])
    assert says in str(error.value)
    assert str(error.value).isprintable()


def test_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    from agentomy.foreign_agents import returns

    files = [monitor(tmp_path / f"{number}.monitor.csv", (1, 10), (1, 10)) for number in range(3)]
    for name, bound, says in (
        ("LARGEST", 20, "allowed: at most 20"),
        ("FILES", 2, "found 3 monitor files; allowed: at most 2"),
        ("EPISODES", 5, "more than 5 episodes"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(returns, name, bound)
            with pytest.raises(ConfigError, match=says):
                read_monitors(files)


# ---- a run with monitor files ------------------------------------------------------------------------------------


@pytest.fixture
def runs(trained, tmp_path):
    """Eight checkpoints until step 512, and two environments' files."""
    shutil.copytree(trained, tmp_path / "runs")
    monitor(tmp_path / "runs" / "0.monitor.csv", *((20 + number, 32) for number in range(8)))
    monitor(tmp_path / "runs" / "1.monitor.csv", *((40 + number, 32) for number in range(8)))
    return tmp_path / "runs"


MONITORED = {**MINE, "monitor": "*.monitor.csv"}


def logged(folder: Path, tmp_path: Path, run: dict) -> pd.DataFrame:
    given = planned(folder, run)
    parameters(given, tmp_path)
    log = Table(kinds.common.LOG, [(tmp_path / given.job("training", "mine.seeds0-0").outputs[1]).resolve()])
    return log.frame().pivot_table(index="update", columns="quantity", values="value")


def test_a_checkpoint_has_the_episodes_since_the_one_before_it(runs, tmp_path):
    log = logged(runs, tmp_path, MONITORED)
    assert log["monitored return"].tolist() == [30 + number for number in range(8)]
    assert set(log["monitored episodes"]) == {2}
    assert log["monitored deviation"].iloc[0] == pytest.approx(20 / 2**0.5)


def test_a_window_takes_in_more_of_them(runs, tmp_path):
    log = logged(runs, tmp_path, {**MONITORED, "window": 128})
    assert log["monitored episodes"].tolist() == [2] + [4] * 7
    assert log["monitored return"].iloc[-1] == 36.5


def test_a_single_checkpoint_has_those_of_the_last_tenth(runs, tmp_path):
    log = logged(runs, tmp_path, {**MONITORED, "files": "rl_model_512_steps.zip"})
    assert log.loc[512, "monitored return"] == 37.0


@pytest.mark.parametrize(
    ("monitor", "damage", "says"),
    [
        ("*.csv.gz", None, "found no file"),
        ("{update}.monitor.csv", None, "found {update}; allowed: *, {seed}"),
        ("{number}.monitor.csv", None, "no name in braces 'number'"),
        ("*.monitor.csv", HEAD.replace("r,l,t", "reward,l"), "line 2: found the columns reward, l"),
        ("*.monitor.csv", "\x00\x01", "line 1: found"),
        ("rl_model_*_steps.zip", None, "found bytes that are no UTF-8"),
    ],
)
def test_files_that_are_no_monitors_are_refused_before_any_job(monitor, damage, says, runs):
    if damage:
        (runs / "1.monitor.csv").write_text(damage)
    assert says in refusal(runs, {**MINE, "monitor": monitor})


def test_a_file_that_is_missing_is_noticed_by_where_episodes_end(runs, tmp_path):
    monitor(runs / "0.monitor.csv", *[(20, 32)] * 7)
    (runs / "1.monitor.csv").unlink()
    with pytest.raises(
        ConfigError, match=r"episodes until step 224, and a checkpoint of step 512; allowed: a file for"
    ):
        parameters(planned(runs, MONITORED), tmp_path)


def test_they_count_by_content_and_one_more_counts_too(runs):
    def digest() -> str:
        return planned(runs, MONITORED).job("training", "mine.seeds0-0").digest()

    before = digest()
    text = (runs / "0.monitor.csv").read_text()
    (runs / "0.monitor.csv").write_text(text)
    monitor(runs / ".2.monitor.csv", (1, 1))  # hidden
    assert digest() == before
    (runs / "0.monitor.csv").write_text(text.replace("20,32", "21,32"))
    assert digest() != before
    (runs / "0.monitor.csv").write_text(text)
    monitor(runs / "2.monitor.csv", (1, 1))
    assert digest() != before


def test_a_file_that_was_replaced_since_it_was_planned_is_refused(runs, tmp_path):
    given = planned(runs, MONITORED)
    job = given.job("training", "mine.seeds0-0")
    monitor(runs / "1.monitor.csv", (1, 1))
    with contextlib.chdir(tmp_path):
        runners.run(given.job("environments", "world"))
        with pytest.raises(ConfigError, match="was replaced since this run began"):
            runners.run(job)


def test_each_seed_has_its_own(runs, tmp_path):
    for seed in (1, 2):
        shutil.copytree(runs, tmp_path / "all" / f"run_{seed}")
    monitor(tmp_path / "all" / "run_2" / "2.monitor.csv", (1, 400))
    run = {**MINE, "files": "run_{seed}/" + MINE["files"], "monitor": "run_{seed}/*.monitor.csv"}
    given = planned(tmp_path / "all", run)
    monitors = [given.job("training", f"mine.seeds{n}-{n}").options["files"]["monitor"] for n in (1, 2)]
    assert [len(files) for files in monitors] == [2, 3]


# ---- Claim 0 -----------------------------------------------------------------------------------------------------

heard: list[str] = []


class Heard:
    def say(self, line: str) -> None:
        heard.append(line)


def compared(noted: dict[str, float], modes=("deterministic", "stochastic"), **given) -> pd.DataFrame:
    """Parity of one snapshot whose games return 100 in the one mode and 60 in the other, more or less."""
    heard.clear()
    play, rng = {"deterministic": 100, "stochastic": 60}, np.random.default_rng(0)
    games = [
        kinds.behaviour.GAME_RETURNS.table(
            run="mine", seed=0, update=9, agent="trained", twin=-1, mode=mode, episode=np.arange(30),
            **{"return": rng.normal(play[mode], 5, 30)}, length=9, ended="terminated",
        )
        for mode in modes
    ]  # fmt: skip
    log = kinds.common.LOG.table(
        run="mine", seed=0, update=9, quantity=np.array([*noted, "normaliser"]), value=np.array([*noted.values(), 1.0])
    )
    described = trained({"use": "foreign.stack.Agents"}, None, "mine")
    tables = (
        Table(kinds.behaviour.GAME_RETURNS, rows=pa.concat_tables(games), description=extracted("mine")),
        Table(kinds.common.LOG, rows=log, description=described),
    )
    return parity(*tables, progress=Heard(), **given).to_pandas()


def of(source: str, mean: float) -> dict[str, float]:
    return {f"{source} return": mean, f"{source} deviation": 6.0, f"{source} episodes": 20.0}


def test_drawn_actions_are_compared_with_training_and_the_best_ones_are_not():
    (row,) = compared(of("monitored", 60.0)).to_dict("records")
    assert (row["mode"], row["source"], row["noted"]) == ("stochastic", "monitored", 60.0)
    assert row["low"] < 0 < row["high"]
    assert not heard


def test_a_planted_mismatch_says_so():
    (row,) = compared(of("monitored", 90.0)).to_dict("records")
    assert row["high"] < -0.25
    (line,) = heard
    assert line.startswith(
        f"mine 9: returns {row['own']:.4g}, and 90 was noted in training: another id, other wrappers"
    )


def test_an_agent_that_is_better_than_its_younger_selves_is_no_mismatch():
    (row,) = compared(of("monitored", 30.0)).to_dict("records")
    assert row["low"] > 0.25
    assert not heard


def test_each_source_is_judged_by_itself():
    """What EvalCallback noted agrees with the best actions; what Monitor noted agrees with nothing."""
    rows = compared(of("noted", 100.0) | of("monitored", 100.0)).set_index(["source", "mode"])
    assert [*rows.index] == [("evaluated", "deterministic"), ("evaluated", "stochastic"), ("monitored", "stochastic")]
    assert len(heard) == 1
    assert "in training" in heard[0]


def test_an_agent_that_never_draws_has_nothing_to_compare_with_training():
    with pytest.raises(ValueError, match="of an agent whose actions are drawn"):
        compared(of("monitored", 60.0), modes=["deterministic"])
    assert "stated:" in NONE_NOTED


@pytest.mark.parametrize(("stated", "agrees"), [(100.0, True), (60.0, True), (475.0, False)])
def test_a_stated_return_is_compared_in_both_modes(stated, agrees):
    rows = compared({}, stated={"mine": stated})
    assert set(rows["source"]) == {"stated"}
    assert rows["mode"].tolist() == ["deterministic", "stochastic"]
    assert ((rows["low"] <= 0) & (rows["high"] >= 0)).any() == agrees
    assert len(heard) == (0 if agrees else 2)
    assert all("475 is stated" in line for line in heard)


# ---- the command -------------------------------------------------------------------------------------------------


def test_import_finds_them_as_the_zoo_leaves_them(here, capsys):  # noqa: F811
    (here / "runs" / "evaluations.npz").unlink()
    monitor(here / "runs" / "0.monitor.csv", *[(20, 32)] * 16)
    assert importing.main([PATTERN, "--env", "CartPole-v1"]) == 0
    assert "returns noted elsewhere: runs/*.monitor.csv\nwrote workflow/studies/runs.yaml\n" in capsys.readouterr().out
    written = study(here, "runs")
    assert written.entries["training"]["runs"].parameters["monitor"] == "../../runs/*.monitor.csv"
    (test,) = written.claims["C0"].tests.values()
    assert test.where == {"mode": ["stochastic"], "source": ["monitored"], "update": ["last"]}
    assert written.targets


def test_import_says_that_a_monitor_is_of_another_environment(here, capsys):  # noqa: F811
    path = monitor(here / "runs" / "monitor.csv", *[(20, 32)] * 16)
    path.write_text(path.read_text().replace("CartPole-v1", "CartPole-v0"))
    assert importing.main([PATTERN, "--env", "CartPole-v1"]) == 0
    assert "but runs/monitor.csv is of 'CartPole-v0', and --env is 'CartPole-v1'" in capsys.readouterr().out


def test_import_refuses_a_broken_one(here, capsys):  # noqa: F811
    (here / "runs" / "0.monitor.csv").write_text("r,l,t\n")
    assert importing.main([PATTERN, "--env", "CartPole-v1"]) == 1
    assert "0.monitor.csv: line 1" in capsys.readouterr().err
    assert not list((here / "workflow" / "studies").iterdir())


def test_a_return_can_be_stated(here):  # noqa: F811
    (here / "runs" / "evaluations.npz").unlink()
    assert importing.main([PATTERN, "--env", "CartPole-v1", "--return", "475"]) == 0
    written = study(here, "runs")
    assert written.entries["metrics"]["parity"].parameters["stated"] == {"runs": 475.0}
    assert [test.where["source"] for test in written.claims["C0"].tests.values()] == [["stated"]] * 2
    assert written.targets
