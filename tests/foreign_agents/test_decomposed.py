"""Imported agents are decomposed as toy models are: what is planted is found, and is not in the untrained twins."""

import contextlib
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from agentomy import kinds, names, networks
from agentomy.foreign_agents import spaces
from agentomy.foreign_agents.opening import opened, recognised
from agentomy.lenses.behaviour.subject import Foreign, Own
from agentomy.lenses.subjects import answering, of_observations
from agentomy.networks.foreign.stack import Agents
from agentomy.networks.gradients import Gradients
from agentomy.networks.q_network import QNetwork
from agentomy.networks.readings import DISTRIBUTIONS
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.foreign_agents.conftest import MADE, new_model
from tests.foreign_agents.test_custom import OWN, mine, network  # noqa: F401
from tests.foreign_agents.test_import import MINE, WORLD, parameters, planned, refusal
from tests.foreign_agents.test_play import table
from tests.foreign_agents.worlds import CHOICE, VECTOR, World, drawn
from tests.lenses.l3d_tables import drawn as random_weights
from tests.lenses.l3d_tables import subject_table
from tests.pipeline import runners

TWINS = 9
L3D = {"use": "agents.l3d.L3D", "epochs": 30, "count": 2, "rank": 1, "keep": 0.15, "batch": 32, "snapshots": {}}


def stack_of(name: str, path: Path) -> Agents:
    _, _, observation, action, _ = MADE[name]
    saved_agent = recognised(opened(path), spaces.from_gymnasium(observation), spaces.from_gymnasium(action))
    stack = Agents(1, architecture=saved_agent.architecture.model_dump())
    return stack.load({name: np.asarray(weight)[None] for name, weight in saved_agent.tensors.items()}).eval()


def gradients_of(subject, seen: np.ndarray) -> tuple[Gradients, str]:
    description, reading, weights, inputs = answering(subject, seen)
    agent = subject_table(description, weights, inputs, reading)
    return Gradients(agent, [0], "kl" if reading in DISTRIBUTIONS else "mse", None, "cpu"), reading


@pytest.mark.parametrize("name", ["ppo", "ppo choices", "ppo one-hot", "dqn", "qr-dqn", "td3", "sac gsde", "dqn cnn"])
def test_an_answer_is_what_the_agent_acts_by(name, saved):
    subject = Foreign(stack_of(name, saved(name)[1]))
    seen = drawn(MADE[name][2], 5)
    gradients, reading = gradients_of(subject, seen)
    with torch.no_grad():
        given = subject.read(seen)[0]
    if reading == "foreign_logits":
        sizes = subject.stack.of.action.sizes
        parts = [part.log_softmax(dim=1) for part in given["logits"].split(sizes, dim=1)]
        right = torch.cat(parts, dim=1) - np.log(len(parts))
    else:
        right = given["q" if "q" in given else "mean"]
    torch.testing.assert_close(gradients.outputs[0], right, atol=1e-5, rtol=1e-5)
    assert not [name for name in gradients.weights if name.startswith(("value.", "target.", "policy.log_std"))]


def test_switches_are_several_choices(saved):
    subject = Foreign(stack_of("ppo switches", saved("ppo switches")[1]))
    seen = drawn(MADE["ppo switches"][2], 5)
    chances = gradients_of(subject, seen)[0].outputs[0].exp().reshape(5, 3, 2) * 3
    np.testing.assert_allclose(chances.sum(dim=2), 1, rtol=1e-5)
    with torch.no_grad():
        right = subject.read(seen)[0]["logits"].sigmoid()
    np.testing.assert_allclose(chances[:, :, 0], right, rtol=1e-4)


def test_gradients_are_those_of_the_librarys_own_network(saved):
    model, path = saved("ppo")
    seen = drawn(VECTOR, 6)
    gradients, _ = gradients_of(Foreign(stack_of("ppo", path)), seen)
    rows, references = np.array([[0, 3]]), np.array([[5, 1]])
    by_tensor = gradients(rows, references)
    for place, (row, reference) in enumerate(zip(rows[0], references[0], strict=True)):
        model.policy.zero_grad()
        ours, theirs = (model.policy.get_distribution(torch.tensor(seen[[i]])).distribution for i in (row, reference))
        held = torch.distributions.Categorical(logits=theirs.logits.detach())
        torch.distributions.kl_divergence(held, ours).sum().backward()
        head, first = model.policy.action_net, model.policy.mlp_extractor.policy_net[0]
        torch.testing.assert_close(by_tensor["policy.head.weight"][0, place], head.weight.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(by_tensor["policy.body.0.weight"][0, place], first.weight.grad, atol=1e-6, rtol=1e-4)


def test_values_of_the_pipelines_own_agents_have_gradients_too():
    description = {"use": networks.use(QNetwork), "channels": 2, "actions": 3}
    stack = networks.build(description, 1).load(random_weights(description, 1, spread=0.1)).eval()
    seen = np.random.default_rng(0).random((4, 10, 10, 2)) < 0.3
    gradients, reading = gradients_of(Own(stack, description, "q"), seen)
    assert reading == "values"
    gradient = gradients(np.array([[0, 1]]), np.array([[2, 3]]))["output.weight"][0, 0]
    stack.zero_grad()
    given = stack(torch.tensor(seen)[None].float())[0]
    (given[0] - given[2].detach()).square().mean().backward()
    torch.testing.assert_close(gradient, stack.output.weight.grad[0], atol=1e-6, rtol=1e-4)


# ---- planted ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decomposed(tmp_path_factory):
    """A DQN of two circuits: units 0 to 3 of both layers serve entry 0 and action 0, units 4 to 7 entry 1 and action 1.

    Each is silent until its entry is above 1. Returns (study, folder) when all jobs are done.
    """
    folder = tmp_path_factory.mktemp("circuits")
    model = new_model("dqn")  # 5 → 16 → 12 → 4
    first, second, head = (model.policy.q_net.q_net[i] for i in (0, 2, 4))
    with torch.no_grad():
        for layer in (first, second, head):
            layer.weight.zero_()
            layer.bias.zero_()
        for circuit, units in enumerate((slice(0, 4), slice(4, 8))):
            first.weight[units, circuit], first.bias[units] = 1, -1
            second.weight[units, units] = 0.5
            head.weight[circuit, units] = 0.5
    model.num_timesteps = 5
    model.save(folder / "5.zip")
    gymnasium.register("Vectors-v0", lambda: World(VECTOR, CHOICE))
    body = {**L3D, "tensors": ["policy.body"], "divergence": "mse"}
    both, subject = ["mine-l3d", "twins-l3d"], {"use": "lenses.subjects.of_observations", "of": ["mine"], "count": 256}
    study = planned(
        folder,
        {**MINE, "files": "{update}.zip"},
        environments={"world": {**WORLD, "id": "Vectors-v0", "episodes": 30}},
        training={
            "mine": {**MINE, "files": "{update}.zip"},
            "mine-l3d": {**body, "learns_from": "subject", "seeds": 1},
            "twins-l3d": {**body, "learns_from": "twins", "seeds": TWINS},
        },
        checkpoints={
            "subject": subject,
            "twins": {**subject, "twins": TWINS},
            "subnetworks": {"use": "lenses.subnetworks.extract.subnetworks", "of": both},
            "impacts": {"use": "lenses.subnetworks.extract.impacts", "of": both, "references": 1},
            "moved": {"use": "lenses.subnetworks.extract.moved", "of": both, "deltas": [-0.1, 0.1], "count": 256},
        },
        metrics={
            "losses": {"use": "lenses.subnetworks.measure.losses", "from": ["impacts"]},
            "steered": {"use": "lenses.subnetworks.moves.steered", "from": ["moved", "impacts"], "runs": both},
            "steering": {"use": "lenses.subnetworks.moves.steering", "from": ["steered"]},
            "ranks": {
                "use": "lenses.subnetworks.moves.subnetwork_ranks",
                "from": ["losses", "steering"],
                "twins": {"mine-l3d": "twins-l3d"},
            },
        },
        figures={
            "figure": {
                "use": "lenses.subnetworks.draw_moves.beside_twins",
                "from": ["losses", "steering"],
                "run": "mine-l3d",
                "twins": "twins-l3d",
                "caption": "c",
            }
        },
    )
    parameters(study, folder)
    with contextlib.chdir(folder):
        subjects = [name for name in study.names("checkpoints") if name.startswith(("subject/", "twins/"))]
        later = [name for name in study.names("checkpoints") if name not in subjects]
        done = [("checkpoints", subjects), ("training", ["mine-l3d.seeds0-0", f"twins-l3d.seeds0-{TWINS - 1}"])]
        done += [("checkpoints", later), *((stage, study.names(stage)) for stage in ("metrics", "figures"))]
        for stage, jobs in done:
            for name in jobs:
                runners.run(study.job(stage, name))
    del gymnasium.registry["Vectors-v0"]
    return study, folder


def purity(study, folder: Path, name: str) -> dict[int, np.ndarray]:
    """Seed → of each learned subnetwork the share of its squared norm in both circuits that is in one of them."""
    rows = pd.read_parquet(folder / study.job("checkpoints", f"subnetworks/{name}").outputs[0])
    rows = rows[(rows["condition"] == "learned") & (rows["subnetwork"] >= 0)]
    within: dict[int, dict[int, np.ndarray]] = {}
    for row in rows.itertuples():
        units = np.reshape(row.weights, (16 if row.tensor.startswith("policy.body.0") else 12, -1))
        sums = np.array([np.square(units[:4]).sum(), np.square(units[4:8]).sum()])
        of_seed = within.setdefault(row.seed, {})
        of_seed[row.subnetwork] = of_seed.get(row.subnetwork, 0) + sums
    return {
        seed: np.array([norms.max() / norms.sum() for norms in by_subnetwork.values()])
        for seed, by_subnetwork in within.items()
    }


def test_two_planted_circuits_are_two_subnetworks_and_those_of_no_twin(decomposed):
    (agent,) = purity(*decomposed, "mine-l3d.seeds0-0").values()
    twins = purity(*decomposed, f"twins-l3d.seeds0-{TWINS - 1}")
    assert agent.min() > 0.99
    assert len(twins) == TWINS
    assert max(shares.min() for shares in twins.values()) < 0.95


def test_ranks_say_that_the_planted_agent_is_unlike_its_twins(decomposed):
    study, folder = decomposed
    ranks = pd.read_parquet(folder / study.job("metrics", "ranks").outputs[0]).set_index("quantity")
    assert set(ranks["twins"]) == {TWINS}
    assert ranks.loc["loss", "above"] == 0
    assert ranks.loc["own over rest", "above"] == 1
    assert ranks.loc["own over rest", "p"] == pytest.approx(2 / (TWINS + 1))


def test_the_figure_is_drawn(decomposed):
    study, folder = decomposed
    assert all((folder / output).stat().st_size for output in study.job("figures", "figure").outputs)


# ---- what a run may be -----------------------------------------------------------------------------------------------


def learning(twins: int, seeds: int) -> dict:
    subject = {"use": "lenses.subjects.of_observations", "of": ["mine"], "count": 60, "twins": twins}
    run = {**L3D, "learns_from": "subject", "divergence": "mse", "epochs": 1, "seeds": seeds}
    return {"training": {"mine": MINE, "l3d": run}, "checkpoints": {"subject": subject}}


def test_a_run_learns_from_as_many_twins_as_there_are(trained):
    assert "of the seeds 0 to 0" in refusal(trained, MINE, **learning(0, 2))
    assert "of the seeds 0 to 2" in refusal(trained, MINE, **learning(3, 4))
    assert planned(trained, MINE, **learning(3, 3)).job("training", "l3d.seeds0-2").inputs


def test_agents_that_see_several_frames_are_refused_before_any_job(trained):
    run = {**MINE, "frames": 4}
    sections = learning(0, 1)
    assert "sees 4 observations" in refusal(trained, run, **{**sections, "training": {"mine": run}})


@pytest.mark.parametrize(("of", "refused"), [("Plain", ""), ("Net", "norm.running_mean")])
def test_a_class_of_ones_own_is_decomposed_unless_it_holds_statistics(of, refused, mine, tmp_path):  # noqa: F811
    folder, _ = mine
    if of == "Plain":
        with (folder / "my_net.py").open("a") as file:
            file.write("\n\nclass Plain(Net):\n    def __init__(self, obs, actions):\n        super().__init__(obs, ")
            file.write("actions)\n        self.norm, self.unused = nn.Identity(), nn.Linear(3, 3)\n")
        scope: dict = {}
        exec((folder / "my_net.py").read_text(), scope)
        for number in range(1, 5):
            torch.save(scope["Plain"](4, 2).state_dict(), folder / f"{number}.pt")
    run, sections = {**OWN, "network": network(of, head="q")}, learning(2, 2)
    sections["training"]["mine"] = run
    study = planned(folder, run, modules=["my_net.py"], **sections)
    parameters(study, tmp_path)
    with contextlib.chdir(tmp_path):
        if refused:
            with pytest.raises(ValueError, match=refused):
                runners.run(study.job("checkpoints", "subject/mine.seeds0-0"))
            return
        runners.run(study.job("checkpoints", "subject/mine.seeds0-0"))
        sys.modules.pop("my_net")
        names.LOADED.discard("my_net")
        job = study.job("training", "l3d.seeds0-1")
        runners.run(job)
        network_ = Table(kinds.common.PARAMETERS, [Path(job.outputs[0])]).description.network
    assert set(network_["shapes"]) == {"first.weight", "first.bias", "last.weight", "last.bias"}


def test_twins_that_are_all_alike_are_refused(tmp_path):
    gymnasium.register("Vectors-v0", lambda: World(VECTOR, CHOICE))
    try:
        model = new_model("ars choice")
        model.num_timesteps = 5
        model.save(tmp_path / "5.zip")
        world = {**WORLD, "id": "Vectors-v0"}
        weights = parameters(planned(tmp_path, {**MINE, "files": "5.zip"}, environments={"world": world}), tmp_path)
        given = {
            "run": "mine",
            "streams": Streams("t", "mine", 0),
            "device": "cpu",
            "progress": Progress("t", every=9e9),
        }
        episodes = table("Vectors-v0", 2)
        assert len(pa.concat_tables([*of_observations(weights, episodes, count=9, twins=1, **given)])) == 1
        with pytest.raises(ValueError, match="all alike; allowed: twins: 1"):
            [*of_observations(weights, episodes, count=9, twins=2, **given)]
    finally:
        del gymnasium.registry["Vectors-v0"]
