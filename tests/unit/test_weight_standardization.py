"""Weight Standardization (Eq. 15-17), the reparameterization that the method is compared with."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from oracle import feeds
from torch import Tensor, nn
from torch.nn.utils import parametrize

import cwn_lite as cwn

LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "conv1d": lambda: nn.Conv1d(3, 4, 5),
    "conv2d": lambda: nn.Conv2d(3, 4, (3, 2)),
    "conv3d": lambda: nn.Conv3d(2, 3, (3, 1, 2)),
    "grouped": lambda: nn.Conv2d(6, 4, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(3, 4, (3, 2), stride=2),
    "transposed grouped": lambda: nn.ConvTranspose1d(6, 4, 3, groups=2),
}
layers = pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)


def standardize(row: np.ndarray, gain: float | None, eps: float) -> np.ndarray:
    """Eq. 15-17 as printed, number by number."""
    n = len(row)
    mu = sum(row) / n
    sigma = math.sqrt(sum((w - mu) ** 2 for w in row) / n)
    return np.array([(w - mu) / (sigma + eps) * (1 if gain is None else gain / math.sqrt(n)) for w in row])


@layers
@pytest.mark.parametrize(("gain", "eps"), [(None, 0.0), (math.sqrt(2), 0.0), (None, 1e-5), (3.0, 0.1)])
def test_eq_15_to_17_for_each_output_of_every_layer_kind(build, gain: float | None, eps: float) -> None:
    layer = build().double()
    masks, original = feeds(layer), layer.weight.detach().clone()
    assert cwn.weight_standardization(layer, gain=gain, eps=eps) is layer
    assert layer.weight.shape == original.shape
    for mask in masks:
        row = layer.weight.detach()[mask].numpy()
        np.testing.assert_allclose(row, standardize(original[mask].numpy(), gain, eps), rtol=1e-12, atol=1e-13)


@layers
def test_rows_have_squared_norm_n_or_the_gain(build) -> None:
    """‖ŵ‖² = n for the paper's; with gain √2 the rows lie on the set of the constraint c = 2."""
    layer = build().double()
    masks = feeds(layer)
    start = copy.deepcopy(layer)
    cwn.weight_standardization(layer)
    for mask in masks:
        torch.testing.assert_close(layer.weight[mask].square().sum().item(), float(mask.sum()))
        assert abs(layer.weight[mask].sum().item()) < 1e-13
    layer = cwn.weight_standardization(start, gain=math.sqrt(2))
    for mask in masks:
        row = layer.parametrizations.weight.original[mask]
        torch.testing.assert_close(layer.weight[mask], cwn.project_rows(row, 2.0))


@pytest.mark.parametrize(("gain", "eps"), [(None, 0.0), (1.5, 1e-2)])
def test_gradient_is_that_of_the_plain_formula(gain: float | None, eps: float) -> None:
    layer = nn.Conv2d(3, 4, 3).double()
    w = layer.weight.detach().clone().requires_grad_()
    rows = w.flatten(1)
    centred = rows - rows.mean(1, keepdim=True)
    plain = centred / (centred.square().mean(1, keepdim=True).sqrt() + eps)
    plain = (plain if gain is None else plain * gain / math.sqrt(27)).view_as(w)
    cwn.weight_standardization(layer, gain=gain, eps=eps)
    cotangent = torch.randn_like(w)
    (expected,) = torch.autograd.grad(plain, w, cotangent)
    (actual,) = torch.autograd.grad(layer.weight, layer.parametrizations.weight.original, cotangent)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    # Eq. 18-19 with the intermediate kept apart: orthogonal to 1, and at eps = 0 to the row, smaller as σ grows.
    assert actual.sum((1, 2, 3)).abs().max() < 1e-13
    if not eps:
        assert (actual * w).sum((1, 2, 3)).abs().max() < 1e-12


def test_scaling_the_weight_changes_nothing_but_divides_the_gradient() -> None:
    """The mechanism of section 3.5: the output does not see the scale, the gradient goes with its inverse."""

    def run(scale: float) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        layer = nn.Linear(6, 3).double()
        with torch.no_grad():
            layer.weight.mul_(scale)
        cwn.weight_standardization(layer)
        y = layer(torch.ones(1, 6, dtype=torch.float64).cumsum(1))
        return y, torch.autograd.grad(y.square().sum(), layer.parametrizations.weight.original)[0]

    (y, gradient), (scaled_y, scaled_gradient) = run(1.0), run(100.0)
    torch.testing.assert_close(scaled_y, y)
    torch.testing.assert_close(scaled_gradient * 100, gradient)


def test_a_constant_row_with_eps_is_zero_with_a_finite_gradient() -> None:
    """Such a row may arise while training; NaN in one row would spoil the network."""
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[0] = 0.5
    cwn.weight_standardization(layer, eps=1e-5)
    assert torch.equal(layer.weight[0], torch.zeros(4))
    layer(torch.randn(3, 4)).square().sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_nothing_else_of_the_model_changes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    before = copy.deepcopy(model.state_dict())
    flags = [p.requires_grad for p in model.parameters()]
    cwn.weight_standardization(model[0])
    after = model.state_dict()
    assert torch.equal(after.pop("0.parametrizations.weight.original"), before.pop("0.weight"))
    assert after.keys() == before.keys() and all(torch.equal(after[key], before[key]) for key in after)
    assert [p.requires_grad for p in model.parameters()] == flags
    parametrize.remove_parametrizations(model[0], "weight", leave_parametrized=False)
    assert type(model[0]) is nn.Conv2d and list(dict(model[0].named_parameters())) == ["bias", "weight"]


def test_it_trains_with_any_optimizer_and_survives_copies() -> None:
    """Not constrained by `constrain`, which reports it; the optimizer moves the weight behind."""
    model = nn.Sequential(cwn.weight_standardization(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    constraint = cwn.constrain(optimizer, model)
    assert constraint.names == ("2.weight",)
    assert constraint.skipped["0.weight"] == "its weight is computed by another parametrization"
    x, y = torch.randn(16, 5), torch.randint(3, (16,))
    before = model[0].weight.detach().clone()
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] and not torch.equal(model[0].weight, before)
    torch.testing.assert_close(model[0].weight.square().sum(1), torch.full((4,), 5.0))
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), model(x))
    with torch.no_grad():
        twin[0].parametrizations.weight.original.neg_()
    assert not torch.equal(twin(x), model(x))
    other = nn.Sequential(cwn.weight_standardization(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


def test_settings_are_shown() -> None:
    layer = cwn.weight_standardization(nn.Linear(4, 2), gain=2.0, eps=1e-5)
    assert "WeightStandardization(gain=2.0, eps=1e-05)" in repr(layer)
