"""Langevin dynamics does what its formulas promise: metrics, noise, invariances, and the exact posterior (NLD)."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from agentomy import networks
from agentomy.networks.langevin import METRICS, Langevin, linear_layers
from agentomy.networks.q_network import PLACES, QNetwork
from agentomy.networks.stacked import MLP
from tests.networks.samplers import (  # noqa: F401  double_precision is a fixture of every test
    CLASSES,
    INPUTS,
    ROWS,
    back,
    data,
    double_precision,
    drawn,
    sampler,
)

FISHERS = ["dop", "qdop"]


def of_samples(net: MLP, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of single samples, the plain way: name → [rows, *shape]."""
    weights = {name: parameter.detach()[0] for name, parameter in net.named_parameters()}

    def loss(weights, x, label):
        for number in range(1, len(net.layers) + 1):
            x = weights[f"layer{number}.weight"] @ x + weights[f"layer{number}.bias"]
            x = torch.relu(x) if number < len(net.layers) else x
        return cross_entropy(x.unsqueeze(0), label.unsqueeze(0))

    return vmap(grad(loss), in_dims=(None, 0, 0))(weights, inputs, labels)


# ---- metrics ---------------------------------------------------------------------------------------------------------


def test_the_outer_product_metric_is_the_mean_over_single_samples_gradients():
    net, (inputs, labels) = drawn([INPUTS, 4, CLASSES]), data()
    plain = of_samples(net, inputs, labels)
    optimiser = sampler(net, "qdop", rate=1.0)
    back(net, inputs, labels, optimiser)
    optimiser.step()
    for number, layer in enumerate(net.layers, start=1):
        state = optimiser.state[layer.weight]
        weight, bias = plain[f"layer{number}.weight"], plain[f"layer{number}.bias"]
        torch.testing.assert_close(state["weights"][0], weight.square().mean(0) + 1e-3)
        torch.testing.assert_close(state["biases"][0], bias.square().mean(0) + 1e-3)
        torch.testing.assert_close(state["mixed"][0], (weight * bias.unsqueeze(2)).mean(0))


def test_rmsprop_is_not_dop_it_squares_the_mean_and_not_the_samples():
    net, (inputs, labels) = drawn([INPUTS, CLASSES]), data()
    plain = of_samples(net, inputs, labels)["layer1.weight"]
    metrics = {}
    for metric in ("rmsprop", "dop"):
        optimiser = sampler(net, metric, rate=1.0, epsilon=0.0, step=0.0)
        back(net, inputs, labels, optimiser)
        optimiser.step()
        metrics[metric] = optimiser.state[net.layers[0].weight]["weights"][0]
    torch.testing.assert_close(metrics["rmsprop"], plain.mean(0).square())
    torch.testing.assert_close(metrics["dop"], plain.square().mean(0))
    assert (metrics["dop"] > 2 * metrics["rmsprop"]).any()


def test_the_metric_starts_at_one_and_forgets_with_the_root_of_time():
    net, (inputs, labels) = drawn([INPUTS, CLASSES]), data()
    optimiser = sampler(net, "dop", step=0.0)
    weight, expected, rate = net.layers[0].weight, torch.ones(1, CLASSES, INPUTS), 0.5
    news = of_samples(net, inputs, labels)["layer1.weight"].square().mean(0) + 1e-3
    for step in range(5):
        assert rate == pytest.approx((4 + step) ** -0.5)
        back(net, inputs, labels, optimiser)
        optimiser.step()
        expected = (1 - rate) * expected + rate * news
        torch.testing.assert_close(optimiser.state[weight]["weights"], expected)
        rate = (1 / rate**2 + 1) ** -0.5


def test_a_convolution_counts_its_places_as_samples_of_the_batch():
    net = QNetwork(1, channels=2, actions=3).draw([networks.generator(0)])
    observations = torch.rand(1, 4, 10, 10, 2) < 0.3
    optimiser = sampler(net, "dop", batch=4, rate=1.0, epsilon=1e-12, step=0.0)
    patches = net.convolution.patches(observations)
    seen = net.convolution(patches).detach().requires_grad_()
    hidden = net.output(torch.relu(net.hidden(torch.relu(seen).view(1, 4, -1))))
    (delta,) = torch.autograd.grad(hidden.square().sum(), seen)  # of single samples
    expected = torch.einsum("bpf,bpi->fi", *(values.view(4, PLACES**2, -1).square() for values in (delta, patches))) / 4
    optimiser.zero_grad()
    (net(observations).square().sum() / 4).backward()
    optimiser.step()
    torch.testing.assert_close(optimiser.state[net.convolution.weight]["weights"][0], expected)


# ---- the step --------------------------------------------------------------------------------------------------------


def matrices(optimiser: Langevin, layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """M⁻¹ and the root of it that makes the noise, of one unit of one layer, bias last: [inputs + 1, inputs + 1]."""
    inputs = layer.weight.shape[2]
    state = {
        name: tensor[:1, :1] if tensor.dim() > 1 else tensor for name, tensor in optimiser.state[layer.weight].items()
    }
    columns = []
    for drift, noise in ((1.0, 0.0), (0.0, 1.0)):
        for one in torch.eye(inputs + 1):
            pairs = [(one[:-1].clone().view(1, 1, -1), one[-1:].clone().view(1, 1)) for _ in range(2)]
            moved = optimiser.metric.move(state, *pairs, drift, noise)
            columns.append(torch.cat([tensor.flatten() for tensor in moved]))
    both = torch.stack(columns, dim=1)
    return both[:, : inputs + 1], both[:, inputs + 1 :]


@pytest.mark.parametrize("metric", METRICS)
def test_the_covariance_of_the_noise_is_the_inverse_metric(metric):
    net, (inputs, labels) = drawn([INPUTS, CLASSES]), data()
    optimiser = sampler(net, metric)
    for _ in range(3):
        back(net, inputs, labels, optimiser)
        optimiser.step()
    inverse, root = matrices(optimiser, net.layers[0])
    torch.testing.assert_close(root @ root.T, inverse, rtol=1e-10, atol=1e-12)


def test_the_quasi_diagonal_metric_keeps_the_diagonal_and_the_bias_column():
    net, (inputs, labels) = drawn([INPUTS, CLASSES]), data()
    optimiser = sampler(net, "qdop")
    back(net, inputs, labels, optimiser)
    optimiser.step()
    state = {name: tensor[0, 0] for name, tensor in optimiser.state[net.layers[0].weight].items() if tensor.dim() > 1}
    inverse, _ = matrices(optimiser, net.layers[0])
    expected = torch.outer(state["mixed"], state["mixed"]) / state["biases"]
    expected.fill_diagonal_(0).add_(torch.diag(state["weights"]))
    expected = torch.cat([expected, state["mixed"].unsqueeze(0)])
    expected = torch.cat([expected, torch.cat([state["mixed"], state["biases"].view(1)]).unsqueeze(1)], dim=1)
    torch.testing.assert_close(torch.linalg.inv(inverse), expected, rtol=1e-9, atol=1e-10)


def test_a_step_is_drift_and_noise_of_the_prescribed_sizes():
    net, (inputs, labels) = drawn([INPUTS, CLASSES], seeds=2), data()
    before = net.layers[0].weight.detach().clone()
    optimiser = sampler(net, "euclidean", step=0.02, size=500, prior="1/fan-in", temperature=0.3)
    back(net, inputs, labels, optimiser)
    gradient = net.layers[0].weight.grad.clone()
    optimiser.step()
    for seed in range(2):
        normal = torch.empty(CLASSES, INPUTS).normal_(generator=networks.generator(100 + seed))
        drift = gradient[seed] + before[seed] * INPUTS / 500  # the prior's variance is 1/5
        expected = before[seed] - 0.02 * drift + (2 * 0.02 * 0.3 / 500) ** 0.5 * normal
        torch.testing.assert_close(net.layers[0].weight.detach()[seed], expected)


def test_a_cold_sampler_without_prior_and_metric_is_gradient_descent():
    nets, (inputs, labels) = [drawn([INPUTS, 4, CLASSES]) for _ in range(2)], data()
    ours = sampler(nets[0], "euclidean", step=0.1, temperature=0.0)
    plain = torch.optim.SGD(nets[1].parameters(), lr=0.1)
    for _ in range(5):
        for net, optimiser in zip(nets, (ours, plain), strict=True):
            back(net, inputs, labels, optimiser)
            optimiser.step()
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_pass_on_other_inputs_before_the_gradient_changes_nothing():
    """Whoever looks at other data between the pass and `backward` learns the same metric, with or without gradients."""
    metrics, (inputs, labels) = [], data()
    for looks in (False, True):
        net = drawn([INPUTS, 4, CLASSES])
        optimiser = sampler(net, "qdop")
        logits = net(inputs.unsqueeze(0))[0]
        if looks:
            net(data(9)[0].unsqueeze(0))
            with torch.no_grad():
                net(data(8)[0].unsqueeze(0))
        cross_entropy(logits, labels).backward()
        optimiser.step()
        metrics.append(
            net.arrays() | {f"{n} {k}": v for n, s in enumerate(optimiser.state.values()) for k, v in s.items()}
        )
    for name, value in metrics[0].items():
        np.testing.assert_array_equal(value, metrics[1][name])


def test_a_closure_is_called_and_its_loss_returned():
    (one, other), (inputs, labels) = [drawn([INPUTS, CLASSES]) for _ in range(2)], data()
    optimisers = [sampler(net, "dop") for net in (one, other)]
    for _ in range(3):
        back(one, inputs, labels, optimisers[0])
        assert optimisers[0].step() is None

        def closure() -> torch.Tensor:
            optimisers[1].zero_grad()
            loss = cross_entropy(other(inputs.unsqueeze(0))[0], labels)
            loss.backward()
            return loss

        expected = cross_entropy(other(inputs.unsqueeze(0))[0], labels).item()
        assert optimisers[1].step(closure).item() == pytest.approx(expected)
    for mine, plain in zip(other.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(mine, plain)


def test_steps_without_exactly_one_gradient_are_refused_and_move_nothing():
    net, (inputs, labels) = drawn([INPUTS, 4, CLASSES]), data()
    optimiser, before = sampler(net, "dop"), net.arrays()
    with pytest.raises(ValueError, match="found 0 passes with a gradient since the last step; allowed: 1"):
        optimiser.step()
    back(net, inputs, labels, optimiser)
    cross_entropy(net(inputs.unsqueeze(0))[0], labels).backward()  # on top of the other
    with pytest.raises(ValueError, match="found 2 passes with a gradient"):
        optimiser.step()
    back(net, inputs[:7], labels[:7], optimiser)
    with pytest.raises(ValueError, match=f"found 7 rows; allowed: {ROWS}, the batch"):
        optimiser.step()
    for name, array in net.arrays().items():
        np.testing.assert_array_equal(array, before[name])
    back(net, inputs[:7], labels[:7], optimiser)  # a gradient that is thrown away counts for nothing
    back(net, inputs, labels, optimiser)
    optimiser.step()


def test_a_convolution_of_another_batch_is_refused():
    net = QNetwork(1, channels=2, actions=3).draw([networks.generator(0)])
    optimiser = sampler(net, "dop", batch=4)
    net(torch.zeros(1, 3, 10, 10, 2)).square().sum().backward()
    with pytest.raises(ValueError, match=r"found \d+ rows; allowed: 4, the batch"):
        optimiser.step()


@pytest.mark.parametrize("given", [{"metric": "sgd"}, {"metric": "dop", "prior": "2"}])
def test_an_unknown_metric_or_prior_is_refused_in_one_line(given):
    with pytest.raises(ValueError, match="found '(sgd|2)'; allowed: '") as error:
        sampler(drawn([INPUTS, CLASSES]), **given)
    assert "\n" not in str(error.value)


# ---- claim 6 ---------------------------------------------------------------------------------------------------------


def trajectory(metric: str, change: str) -> torch.Tensor:
    """Logits along 30 steps [steps, rows, classes], of inputs as they are, three times as large, or moved by 1.5."""
    net = drawn([INPUTS, CLASSES])
    options = {"step": 0.01 if metric in FISHERS else 0.1, "epsilon": 0.0, "rate": 1.0}
    optimiser = sampler(net, metric, **options)
    factor, offset = {"none": (1.0, 0.0), "scaled": (3.0, 0.0), "moved": (1.0, 1.5)}[change]
    layer, probe = net.layers[0], data(99)[0] * factor + offset
    layer.bias.data -= offset * layer.weight.data.sum(dim=2)
    layer.weight.data /= factor
    outputs = []
    for step in range(30):
        inputs, labels = data(step)
        back(net, inputs * factor + offset, labels, optimiser)
        optimiser.step()
        outputs.append(net(probe.unsqueeze(0)).detach()[0])
    return torch.stack(outputs)


@pytest.mark.parametrize(("metric", "change"), [("dop", "scaled"), ("qdop", "scaled"), ("qdop", "moved")])
def test_what_the_formulas_promise_to_change_nothing_changes_nothing(metric, change):
    assert (trajectory(metric, change) - trajectory(metric, "none")).abs().max() < 1e-10


@pytest.mark.parametrize(
    ("metric", "change"),
    [("dop", "moved"), ("euclidean", "scaled"), ("euclidean", "moved"), ("rmsprop", "moved"), ("rmsprop", "scaled")],
)
def test_other_metrics_feel_the_units_of_the_inputs(metric, change):
    assert (trajectory(metric, change) - trajectory(metric, "none")).abs().max() > 1e-2


# ---- claim 7 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_small_steps_sample_the_exact_posterior_of_a_linear_gaussian_model(metric):
    chains, rows, inputs = 4_000, 30, 2
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, inputs, generator=generator) * torch.tensor([1.0, 2.0]) + torch.tensor([0.5, 0.0])
    y = x @ torch.tensor([1.0, -0.5]) + 0.3 + torch.randn(rows, generator=generator)
    design = torch.cat([x, torch.ones(rows, 1)], dim=1)
    precision = design.T @ design + torch.diag(torch.tensor([2.0, 2.0, 1.0]))  # variances 1/fan-in = 1/2, bias 1
    exact = torch.linalg.inv(precision)
    mean = exact @ design.T @ y
    net = MLP(chains, [inputs, 1])
    for weights, start in zip(net.parameters(), (mean[:-1], mean[-1:]), strict=True):
        weights.data[:] = start
    optimiser = sampler(net, metric, size=rows, batch=rows, prior="1/fan-in", rate=1.0)
    optimiser.normal = lambda like: torch.randn(like.shape, generator=generator)  # a stream for each takes long
    slowest = 0.0
    for number in range(400):
        optimiser.zero_grad()
        ((net(x.expand(chains, rows, inputs))[:, :, 0] - y).square().sum() / (2 * rows)).backward()
        if number == 0:  # a first step of 0 learns the metric, which then stays
            optimiser.param_groups[0]["lr"] = 0.0
        elif number == 1:
            inverse = matrices(optimiser, net.layers[0])[0]
            rates = torch.linalg.eigvals(inverse @ precision).real / rows
            optimiser.param_groups[0]["lr"] = 0.1 / rates.max().item()
            slowest = 0.1 * rates.min().item() / rates.max().item()
            optimiser.param_groups[0]["rate"] = 0.0
        optimiser.step()
    assert (1 - slowest) ** (2 * 398) < 0.01  # long enough for the slowest direction
    samples = torch.cat([net.layers[0].weight[:, 0], net.layers[0].bias], dim=1).detach()
    torch.testing.assert_close(samples.mean(0), mean, rtol=0, atol=4 * float(exact.diagonal().max() / chains) ** 0.5)
    covariance = torch.cov(samples.T)
    scale = exact.diagonal().sqrt()
    # a step of a tenth of 1/λ widens by at most 1 / (1 - 0.05); 4,000 chains tell to 3.5 standard errors of 2.2 %
    assert ((covariance - exact).abs() / torch.outer(scale, scale)).max() < 0.06 + 0.078


def test_a_network_with_parameters_outside_its_linear_layers_is_refused():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.scale = MLP(1, [2, 2]), nn.Parameter(torch.ones(1))

    with pytest.raises(ValueError, match="parameter 'scale' belongs to no linear layer"):
        linear_layers(Other())


@pytest.mark.parametrize("metric", METRICS)
def test_a_stack_moves_as_its_networks_do_alone(metric):
    inputs, labels = data()
    together = drawn([INPUTS, 4, CLASSES], seeds=2)
    alone = drawn([INPUTS, 4, CLASSES], seeds=2)
    single = MLP(1, [INPUTS, 4, CLASSES])
    single.load({name: array[1:] for name, array in alone.arrays().items()})
    optimisers = [
        sampler(together, metric),
        Langevin(
            single,
            [networks.generator(101)],
            **{"metric": metric, "step": 0.01, "size": 1000, "batch": ROWS, "epsilon": 1e-3, "prior": "none"},
        ),
    ]
    for net in (together,):
        net.load(alone.arrays())
    for _ in range(5):
        for net, optimiser in zip((together, single), optimisers, strict=True):
            back(net, inputs, labels, optimiser)
            optimiser.step()
    for one, other in zip(together.parameters(), single.parameters(), strict=True):
        np.testing.assert_allclose(one.detach()[1:], other.detach(), rtol=1e-9)
