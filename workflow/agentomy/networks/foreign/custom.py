"""A network of a user's own class, from a module of the study (`modules:`), as an agent among the others."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from agentomy import names
from agentomy.foreign_agents.architecture import ACTIVATIONS, Architecture, Branch
from agentomy.foreign_agents.files import Place, refused
from agentomy.foreign_agents.recognised import BUFFER, Recognised
from agentomy.foreign_agents.spaces import Space
from agentomy.networks.foreign.agent import Agent

HEADS = ("logits", "q", "mean")  # one of which a network gives, by which it acts
CLASS = "use"  # the key of a network's description that names its class; the others are its arguments


class Custom(Agent):
    """`net(observations)` gives tensors by name, "logits", "q" or "mean" [B, A] among them, or just that one.

    Observations are float32 [B, *shape], one-hot where they are choices. Tensors have the names of the class.
    """

    def __init__(self, architecture: Architecture):
        nn.Module.__init__(self)
        self.of = architecture
        arguments = dict(architecture.custom)
        self.net = names.outside(arguments.pop(CLASS))(**arguments)
        self.set_bounds()
        self.eval()

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    def outputs(self, observations: Tensor | np.ndarray) -> dict[str, Tensor]:
        output = self.net(self.prepared(observations))
        return dict(output) if isinstance(output, Mapping) else {self.of.head: output}

    def tensors(self) -> dict[str, Tensor]:
        """Weights by the class's own names; those that no gradient reaches are buffers."""
        learnt = {name for name, _ in self.net.named_parameters()}
        state = self.net.state_dict()
        return {name if name in learnt else f"{BUFFER}{name}": tensor for name, tensor in state.items()}

    def load(self, tensors: Mapping[str, np.ndarray]) -> "Custom":
        present = self.net.state_dict()
        given = {name.removeprefix(BUFFER): torch.as_tensor(np.array(array)) for name, array in tensors.items()}
        self.net.load_state_dict(
            {name: tensor.reshape(present[name].shape).to(present[name].dtype) for name, tensor in given.items()}
        )
        return self

    def hidden(self, observations: Tensor | np.ndarray) -> dict[str, Tensor]:
        """The output of each module that is an activation of torch; a functional activation is not seen."""
        outputs: dict[str, Tensor] = {}
        hooks = [
            module.register_forward_hook(lambda _, inputs, output, name=name: outputs.__setitem__(name, output))
            for name, module in self.net.named_modules()
            if type(module).__name__ in ACTIVATIONS
        ]
        try:
            with torch.no_grad():
                self.outputs(observations)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    def twin(self, seed: int) -> "Custom":
        """A new instance of the class, with the weights that it draws from this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed & (2**63 - 1))
            return Custom(self.of).to(self.device)


def custom(
    network: Mapping,
    state: Mapping[str, np.ndarray],
    observation: Space,
    action: Space,
    file: Place,
    updates: int | None,
) -> Recognised:
    """The agent that a user's class makes of a state dict; one line if its tensors are not the class's."""
    arguments = {name: value for name, value in network.items() if name not in ("head", "scale")}
    head = network.get("head")
    if head is not None and head not in HEADS:
        raise refused(file, "network.head", f"found {head}; allowed: {', '.join(HEADS)}")
    of = Architecture(
        family=str(network[CLASS]),
        observation=observation,
        action=action,
        scale=network.get("scale", 1.0),
        activation="Identity",
        policy=Branch(hidden=[], outputs=action.entries),
        head=head or "logits",
        squash="clip" if action.sort == "box" else "none",
        custom=arguments,
    )
    try:
        agent = Custom(of)
    except (TypeError, ValueError) as error:
        raise refused(file, "network", f"{network[CLASS]}: {error}") from None
    expected = {name: tuple(tensor.shape) for name, tensor in agent.net.state_dict().items()}
    wrong = [name for name in {**expected, **state} if name not in state or expected.get(name) != state[name].shape]
    if wrong:
        problem = f"tensors {', '.join(wrong[:4])} are not those of {network[CLASS]}"
        raise refused(file, "network", f"{problem}; allowed: its state dict")
    agent.load(state)
    with torch.no_grad():
        given = agent.outputs(np.zeros((1, *observation.shape), np.float32))
    heads = [name for name in HEADS if name in given]
    if not heads or given[heads[0]].shape != (1, action.entries):
        shapes = ", ".join(f"{name} {[*output.shape]}" for name, output in given.items())
        problem = f"{network[CLASS]} gives {shapes}; allowed: one of {', '.join(HEADS)} of [1, {action.entries}]"
        raise refused(file, "network", problem)
    tensors = {name: tensor.numpy().astype(np.float32) for name, tensor in agent.tensors().items()}
    originals = {name: name.removeprefix(BUFFER) for name in tensors}
    return Recognised(of.model_copy(update={"head": heads[0]}), tensors, originals, updates=updates)
