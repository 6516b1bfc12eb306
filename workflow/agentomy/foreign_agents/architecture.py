"""What is known of a foreign agent's network: enough to build it, as plain values that a description can hold."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agentomy.foreign_agents.spaces import Space

# without parameters of their own, so that their name says it all
ACTIVATIONS = (
    "ReLU",
    "Tanh",
    "ELU",
    "LeakyReLU",
    "GELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Mish",
    "Hardtanh",
    "Identity",
)
HEADS = ("logits", "q", "mean", "tanh")
CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # filters, width, stride of a NatureCNN

Head = Literal["logits", "q", "quantiles", "mean"]
Rule = Literal["orthogonal", "uniform", "zero"]


class Branch(BaseModel):
    """Linear layers with the activation after each, and a linear head: widths of the hidden ones, outputs of the head.

    features: it has a NatureCNN of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: list[int]
    outputs: int
    bias: bool = True
    features: bool = False


class Architecture(BaseModel):
    """A network, and how actions come of what it gives.

    family: the algorithm, as its library calls it. scale: pixels are divided by it. cnn: the width of what a NatureCNN
    gives, 0 without one; shared: widths of layers after it that policy and value share. head: what the policy's outputs
    are. quantiles: of each value. squash: how a mean becomes an action within its bounds: "tanh" and stretched, or
    "clip". spread: where the standard deviation comes from: a number for each action ("constant"), a layer, gSDE's
    matrix ("state"), CleanRL's layer within bounds ("tanh layer"). critics: how many, of state and action, which they
    take within ±1 or in the environment's units (in_units). clip: gSDE's bound of means, 0 for none. expln: gSDE's
    other positive function of log_std. initial, log_std: how the library draws it before it learns. custom: a user's
    class (`use`) and its arguments; of the others only spaces, scale, head and squash mean anything then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    observation: Space
    action: Space
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    activation: str
    cnn: int = 0
    shared: list[int] = []
    policy: Branch
    head: Head
    quantiles: int = 1
    squash: Literal["tanh", "clip", "none"] = "none"
    spread: Literal["none", "constant", "layer", "tanh layer", "state"] = "none"
    spread_width: int = 0  # columns of gSDE's matrix
    clip: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)
    expln: bool = False
    value: Branch | None = None
    critics: int = 0
    in_units: bool = False
    initial: Rule = "uniform"
    log_std: float = Field(default=0.0, ge=-1e3, le=1e3, allow_inf_nan=False)
    custom: dict[str, bool | int | float | str] | None = None

    @property
    def draws(self) -> bool:
        """Whether actions can be drawn from a distribution; of values and of ARS they are always the best ones."""
        return (self.head == "logits" and self.family != "ARS") or self.spread != "none"
