"""A run may say how lenses on any agent read its networks (`adapter`): lenses get it, and nothing else changes."""

import pytest
import yaml

from agentomy import command
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import needs
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.plan.wiring import Part
from tests.studies import SOURCE, smoke

ADAPTER = "papers.bayes.subject.Recurrent"
BANDIT = {"use": "environments.bandits.bernoulli", "prior": [[1, 1], [1, 1]], "steps": 5, "episodes": 3}
RUN = {
    "use": "agents.actor_critic.ActorCritic",
    "environment": "arms",
    "width": 4,
    "updates": 20,
    "seeds": 1,
    "snapshots": {"even": 2},
}
LENS = {"use": "lenses.inside.saliency.saliency", "of": ["mine"], "environment": "games"}


def study(folder, adapter: str | None = ADAPTER, lens: dict | None = None, snapshots: dict | None = None) -> Study:
    """A study of one run, a lens on any agent that looks at it, and one that asks for no adapter."""
    written = {
        "paper": {"title": "t", "authors": "a", "url": "u"},
        "environments": {"arms": BANDIT, "games": {**BANDIT, "use": "environments.gym_bandits.bernoulli"}},
        "training": {
            "mine": {**RUN, "snapshots": snapshots or RUN["snapshots"], **({"adapter": adapter} if adapter else {})}
        },
        "checkpoints": {
            "salient": {**LENS, **(lens or {})},
            "gram": {"use": "lenses.paths.extract.gram", "of": ["mine"]},
        },
    }
    folder.mkdir(exist_ok=True)
    (folder / "one.yaml").write_text(yaml.safe_dump(written))
    return Plan({"scale": "smoke", "studies": ["one"]}, folder, SOURCE).studies["one"]


def test_a_lens_is_given_the_adapter_of_each_run(tmp_path):
    planned = study(tmp_path)
    assert planned.job("checkpoints", "salient/mine.seeds0-0").parameters == {"adapter": ADAPTER}
    assert planned.job("checkpoints", "gram/mine.seeds0-0").parameters == {}
    other = study(tmp_path, adapter="papers.maze.subject.Mouse")
    assert other.job("checkpoints", "salient/mine.seeds0-0").parameters == {"adapter": "papers.maze.subject.Mouse"}


def test_what_an_entry_says_itself_comes_first(tmp_path):
    planned = study(tmp_path, adapter="papers.maze.subject.Mouse", lens={"adapter": ADAPTER})
    assert planned.job("checkpoints", "salient/mine.seeds0-0").parameters == {"adapter": ADAPTER}


def test_the_code_of_the_adapter_counts_for_the_lens_alone(tmp_path):
    planned = study(tmp_path)
    used = {}
    for entry in ("salient", "gram"):
        names = planned.names_given("checkpoints", Part(entry, "mine", (0,)))
        used[entry] = {place.module for place in SOURCE.trace(*planned.code("checkpoints", entry), names=names).used}
    assert "agentomy.papers.bayes.subject" in used["salient"]
    assert "agentomy.papers.maze.subject" not in used["salient"]
    assert "agentomy.papers.bayes.subject" not in used["gram"]


def test_a_run_that_gets_an_adapter_is_not_trained_again(tmp_path):
    with_it, without = (
        study(tmp_path / str(adapter), adapter).job("training", "mine.seeds0-0") for adapter in (ADAPTER, None)
    )
    assert with_it.digest() == without.digest()


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ("papers.bayes.subject.Nobody", "training.mine.adapter: found papers.bayes.subject.Nobody: "),
        ("lenses.behaviour.subject.Own", "allowed: papers.NAME.subject.CLASS"),
        ("papers.bayes.extract.play.Arena", "allowed: papers.NAME.subject.CLASS"),
    ],
)
def test_what_is_no_adapter_is_one_line(tmp_path, adapter, says):
    with pytest.raises(ConfigError) as error:
        study(tmp_path, adapter)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_lens_that_needs_what_an_adapter_lacks_is_refused_before_any_job(tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "lacked", lambda source, adapter: {"gradients": "it is a table"})
    with pytest.raises(ConfigError, match="saliency can't look at mine: it is a table"):
        study(tmp_path)


def test_an_adapter_says_in_its_docstring_what_its_networks_lack():
    assert needs.lacked(SOURCE, "papers.twm.subject.Policy").keys() == {"convolution"}
    assert needs.lacked(SOURCE, "papers.maze.subject.Mouse") == {}


GAMES = [f"lenses.behaviour.{name}" for name in ("extract.returns", "units.units")]
GAMES += [f"lenses.inside.{name}.{name}" for name in ("probes", "saliency", "edits")]
PATH = "lenses.paths.extract.gram"


@pytest.mark.parametrize(
    ("run", "games"),
    [
        ("twm.breakout", "runs"),
        ("maze.region-2", "runs if the entry says an `environment:` of environments.maze.games"),
        ("bayes.bb-1-1", "runs if the entry says an `environment:` of environments.gym_bandits"),
        ("bayes.cat-3", "it learns from sequences, in which nothing acts"),
        ("path.hopper", "runs"),
        ("nld.qdop-cold", "nothing says how the network"),
        ("twm.breakout-zh", "nothing says how the network"),
    ],
)
def test_a_command_says_which_lens_can_look_at_runs_of_each_study(run, games, monkeypatch, capsys):
    monkeypatch.setattr(command, "planned", lambda options: smoke())
    assert command.main(["lenses", run]) == 0
    first, *lines = capsys.readouterr().out.strip().splitlines()
    said = dict(line.split(maxsplit=1) for line in lines)
    assert first == run
    for lens in GAMES:
        assert said[lens].startswith(games), lens
    assert said[PATH] == "runs" or "even ones" in said[PATH]


def test_snapshots_that_are_dense_at_first_are_no_path(tmp_path):
    assert "even checkpoints" not in study(tmp_path / "a", snapshots={"even": 4}).lacks("mine")
    assert "even checkpoints" in study(tmp_path / "b", snapshots={"even": 4, "log": 3}).lacks("mine")
