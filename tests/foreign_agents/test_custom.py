"""A network of one's own class, from a module of the study, is an agent among the others."""

import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from agentomy import kinds, names
from agentomy.lenses.behaviour.subject import subjects
from agentomy.mistakes import ConfigError
from agentomy.tables import Table, tensors
from tests.foreign_agents.test_import import GRAM, MINE, parameters, planned, refusal
from tests.pipeline import runners

NET = '''
import torch
from torch import nn


class Net(nn.Module):
    """Two layers, and running statistics that no gradient reaches."""

    def __init__(self, obs, actions, width=8):
        super().__init__()
        self.norm = nn.BatchNorm1d(obs)
        self.first, self.act, self.last = nn.Linear(obs, width), nn.ReLU(), nn.Linear(width, actions)

    def forward(self, x):
        return self.last(self.act(self.first(self.norm(x))))


class Named(Net):
    def forward(self, x):
        return {"q": super().forward(x), "latent": self.first(x)}


class Odd(Net):
    def forward(self, x):
        return {"scores": super().forward(x)}
'''
OWN = {**MINE, "files": "{update}.pt"}


@pytest.fixture
def mine(tmp_path):
    """A folder with a module, and four checkpoints of its class."""
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "my_net.py").write_text(NET)
    scope: dict = {}
    exec(NET, scope)
    torch.manual_seed(0)
    for number in range(1, 5):
        net = scope["Net"](4, 2)
        net(3 + 2 * torch.randn(50, 4))  # moves the running statistics
        torch.save(net.state_dict(), folder / f"{number}.pt")
    yield folder, net.eval()
    sys.modules.pop("my_net", None)
    names.LOADED.discard("my_net")


def network(of: str, **more) -> dict:
    return {"use": f"my_net.{of}", "obs": 4, "actions": 2, **more}


def table(folder: Path, of: dict) -> Table:
    study = planned(folder, {**OWN, "network": of}, modules=["my_net.py"], checkpoints=GRAM)
    return parameters(study, folder.parent)


@pytest.mark.parametrize(("of", "head"), [("Net", {"head": "q"}), ("Named", {})])
def test_it_acts_as_the_class_does(of, head, mine):
    folder, net = mine
    *_, (update, _, subject) = subjects(table(folder, network(of, **head)), "cpu")
    seen = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    with torch.no_grad():
        theirs = net(torch.as_tensor(seen))
    assert update == 4
    np.testing.assert_allclose(subject.read(seen)[0]["q"].detach(), theirs, atol=1e-6)
    np.testing.assert_array_equal(subject.act(seen)[0], theirs.argmax(dim=1))
    assert list(subject.hidden(seen)) == ["act"]
    assert not subject.distribution


def test_its_twin_is_the_class_made_anew_by_its_seed_alone(mine):
    folder, _ = mine
    *_, (_, _, subject) = subjects(table(folder, network("Net", head="q")), "cpu")
    weights = []
    for elsewhere, seed in enumerate((1, 1, 2)):
        torch.manual_seed(elsewhere)
        weights.append(subject.twin(seed).net.net.first.weight)
    one, again, other = weights
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, subject.net.net.first.weight)


def test_what_no_gradient_reaches_is_no_part_of_a_path(mine):
    folder, _ = mine
    study = planned(folder, {**OWN, "network": network("Net", head="q")}, modules=["my_net.py"], checkpoints=GRAM)
    kept = tensors(next(parameters(study, folder.parent).groups()))
    assert {"buffer.norm.running_mean", "norm.weight", "first.weight"} <= kept.keys()
    with contextlib.chdir(folder.parent):
        job = study.job("checkpoints", "gram/mine.seeds0-0")
        assert "my_net" in job.options["modules"]
        runners.run(job)
        gram = Table(kinds.paths.GRAM, job.outputs)
        assert set(gram.values("layer")) == {"norm", "first", "last"}


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (network("Nothing", head="q"), "my_net has no such class"),
        (network("Net", head="policy"), "found policy; allowed: logits, q, mean"),
        (
            network("Net", head="q", width=9),
            "tensors first.weight, first.bias, last.weight are not those of my_net.Net",
        ),
        (network("Net", head="q", depth=9), "unexpected keyword argument 'depth'"),
        (network("Odd"), "my_net.Odd gives scores [1, 2]; allowed: one of logits, q, mean of [1, 2]"),
    ],
)
def test_what_is_no_agent_is_one_line(of, says, mine):
    with pytest.raises((ConfigError, ValueError), match=".*") as error:
        table(mine[0], of)
    assert says in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_class_of_a_module_that_is_not_named_is_one_line_before_any_job(mine):
    assert "found 'other.Net'; allowed: recognised, or a class of a module" in refusal(
        mine[0], {**OWN, "network": {"use": "other.Net"}}, modules=["my_net.py"]
    )


def test_an_edited_class_makes_what_it_made_stale(mine):
    folder, _ = mine
    given = {**OWN, "network": network("Net", head="q")}, {"modules": ["my_net.py"], "checkpoints": GRAM}

    def digests() -> list[str]:
        study = planned(folder, given[0], **given[1])
        jobs = [("environments", "world"), ("training", "mine.seeds0-0"), ("checkpoints", "gram/mine.seeds0-0")]
        return [study.job(*job).digest() for job in jobs]

    before = digests()
    (folder / "my_net.py").write_text(NET + "\n# another\n")
    after = digests()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]
