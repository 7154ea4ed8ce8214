"""Depthwise rows keep their mean, where only those that mix channels are to be centred."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from refusals import refused, snapshot
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite.rows import layout, to_rows

# Layer -> whether its rows mix channels.
LAYERS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "first on grey images": (lambda: nn.Conv2d(1, 8, 3), True),  # it sees all channels that there are
    "dense": (lambda: nn.Conv2d(8, 8, 3, padding=1), True),
    "depthwise": (lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8), False),
    "depthwise, two outputs per channel": (lambda: nn.Conv2d(8, 16, 3, padding=1, groups=8), False),
    "grouped": (lambda: nn.Conv2d(16, 8, 3, padding=1, groups=8), True),
    "transposed depthwise": (lambda: nn.ConvTranspose2d(8, 8, 3, padding=1, groups=8), False),
    "transposed": (lambda: nn.ConvTranspose2d(8, 8, 3, padding=1), True),
    "pointwise": (lambda: nn.Conv2d(8, 8, 1), True),
}
MIXES = {str(3 * i): mixes for i, (_, mixes) in enumerate(LAYERS.values())}


def net() -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for make, _ in LAYERS.values():
        layer: Any = make()
        layers += [layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def angular(model: nn.Module) -> torch.optim.Optimizer:
    return cwn.AngularMuon(cwn.angular_groups(model, 0.05))


def rows(model: nn.Module, name: str) -> Tensor:
    layer = model.get_submodule(name)
    assert isinstance(layer.weight, Tensor)
    return to_rows(layer.weight.detach(), **layout(layer)).clone()


@pytest.mark.parametrize("make", [sgd, angular])
def test_all_rows_have_their_norm_and_those_that_mix_have_zero_mean(
    make: Callable[[nn.Module], torch.optim.Optimizer],
) -> None:
    model = cwn.replace_batchnorm(net(), c=3.0, centralize="mixing")
    optimizer = make(model)
    constraint = cwn.constrain(optimizer, model)  # was told
    before = {name: rows(model, name) for name in MIXES}
    for _ in range(5):
        loss = nn.functional.cross_entropy(model(torch.randn(6, 1, 12, 12)), torch.arange(6) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert constraint.centralize == "mixing" and constraint.violation() < 1e-5
    for name, mixes in MIXES.items():
        now = rows(model, name)
        torch.testing.assert_close(now.square().sum(1), torch.full((len(now),), 3.0))
        assert (float(now.sum(1).abs().max()) < 1e-5) == mixes, name
        # Means of the others are not only kept from the start: they learn.
        assert mixes or float((now.sum(1) - before[name].sum(1)).abs().max()) > 1e-3, name


def test_the_distance_counts_means_where_they_are_constrained() -> None:
    model = cwn.replace_batchnorm(net(), centralize="mixing")
    constraint = cwn.constrain(sgd(model), model, spherize=False)
    for name, mixes in MIXES.items():
        with torch.no_grad():
            model.get_submodule(name).weight.add_(0.1)
        assert (constraint.violation() > 0.01) == mixes, name
        constraint.project()
        assert constraint.violation() < 1e-6


def test_groups_of_parameters_say_which_rows_keep_zero_mean() -> None:
    model = cwn.replace_batchnorm(net(), centralize="mixing")
    centred = {id(p): g["centralize"] for g in cwn.angular_groups(model) if g["turn"] for p in g["params"]}
    assert {name: centred[id(model.get_submodule(name).weight)] for name in MIXES} == MIXES
    strict = [g["centralize"] for g in cwn.angular_groups(model, centralize=True) if g["turn"]]
    assert strict and all(strict)


def test_the_report_names_the_rows_that_keep_their_mean() -> None:
    model = cwn.replace_batchnorm(net(), centralize="mixing")
    lines = {line.name: line.reason for line in cwn.report(model) if line.action == "constrained"}
    assert {name: "its mean is kept" not in reason for name, reason in lines.items()} == MIXES
    assert "depthwise: its mean is kept" in str(cwn.report(model))
    for said in (True, False):
        assert "its mean is kept" not in str(cwn.report(cwn.replace_batchnorm(net(), centralize=said)))


def test_as_printed_every_row_is_centred() -> None:
    model = cwn.replace_batchnorm(net())
    assert cwn.constrain(sgd(model), model).centralize is True
    assert all(float(rows(model, name).sum(1).abs().max()) < 1e-5 for name in MIXES)


def test_a_centred_depthwise_row_is_blind_to_a_flat_channel() -> None:
    flat = torch.randn(2, 8, 1, 1).expand(2, 8, 5, 5)
    for said, blind in ((True, True), ("mixing", False)):
        torch.manual_seed(0)
        layer = nn.Conv2d(8, 8, 3, groups=8, bias=False)
        model = nn.Sequential(layer, nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(72, 2))
        cwn.replace_batchnorm(model, centralize=said)  # type: ignore[arg-type]
        assert (float(layer(flat).detach().abs().max()) < 1e-5) == blind


@pytest.mark.parametrize("said", ["mixing", False])
def test_rows_that_keep_their_mean_start_with_what_they_want_behind_a_relu(said: Any) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(512, 512, 3, groups=512, bias=False)
    layers = [nn.Conv2d(3, 512, 1), nn.BatchNorm2d(512), nn.ReLU(), layer, nn.BatchNorm2d(512), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(512, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    cwn.replace_batchnorm(model, c=cwn.C_CENTERED, centralize=said)
    assert "4" in cwn.scale_branches(model)
    start = math.sqrt(2 / cwn.C_CENTERED)
    torch.testing.assert_close(model[4].weight.detach(), torch.full((512,), start))
    assert "behind rows that keep their mean: starts at 0.826" in str(cwn.report(model))
    y = model[3:5](torch.randn(4, 512, 9, 9).relu())
    assert float(y.detach().square().mean()) == pytest.approx(1, rel=0.1)


def test_at_the_papers_constant_nothing_is_to_be_started() -> None:
    model = cwn.replace_batchnorm(net(), centralize="mixing")
    assert cwn.scale_branches(model) == ()


def test_parts_that_were_told_different_things_must_be_told_again() -> None:
    parts = [cwn.replace_batchnorm(net()[:2], centralize=said, classifier=()) for said in (True, "mixing")]
    model = nn.Sequential(*parts)
    optimizer = sgd(model)
    before = snapshot(model, optimizer)
    with refused(ValueError, "centralize was set to True and 'mixing' for different layers of this model"):
        cwn.constrain(optimizer, model, classifier=())
    assert snapshot(model, optimizer) == before


@pytest.mark.parametrize("said", ["depthwise", 1, "", ["mixing"]])
def test_other_words_are_refused_and_nothing_changes(said: Any) -> None:
    model = net()
    before = snapshot(model)
    for call in (cwn.replace_batchnorm, cwn.angular_groups, lambda m, **said: cwn.constrain(sgd(m), m, **said)):
        with refused(TypeError, "centralize must be True, False or 'mixing', got", repr(said)):
            call(model, centralize=said)
    assert snapshot(model) == before


@pytest.mark.parametrize("centralize", ["mixing", False])
def test_depthwise_rows_of_equal_numbers_or_of_two_are_feasible_with_their_mean(centralize: Any) -> None:
    model = nn.Sequential(nn.Conv1d(4, 4, 2, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    nn.init.constant_(model.get_parameter("0.weight"), 0.5)
    optimizer = sgd(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a row of two with its mean is on a circle, and can turn
        cwn.angular_groups(model, 0.05, centralize=centralize)
        constraint = cwn.constrain(optimizer, model, centralize=centralize)
    assert constraint.violation() < 1e-6
    before = rows(model, "0")
    torch.testing.assert_close(before, torch.ones(4, 2))  # the direction is kept, the norm is the root of two
    model(torch.randn(5, 4, 3)).square().sum().backward()
    optimizer.step()
    assert constraint.violation() < 1e-6 and not torch.equal(rows(model, "0"), before)


def test_rows_of_zero_mean_alone_may_be_zero() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.zeros_(model.get_parameter("0.weight"))
    assert cwn.constrain(sgd(model), model, spherize=False).violation() == 0  # of all rows of zero mean the nearest


@pytest.mark.parametrize("centralize", ["mixing", False, True])
def test_depthwise_rows_without_a_direction_are_refused(centralize: Any) -> None:
    model = nn.Sequential(nn.Conv1d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))
    nn.init.zeros_(model.get_parameter("0.weight"))
    which = r"equal numbers \(zero, for example\)" if centralize is True else "zeros"
    for call in (
        lambda: cwn.constrain(sgd(model), model, centralize=centralize),
        lambda: cwn.angular_groups(model, 0.05, centralize=centralize),
        lambda: cwn.replace_batchnorm(nn.Sequential(model[0], nn.BatchNorm1d(4), nn.ReLU()), centralize=centralize),
    ):
        with pytest.raises(ValueError, match=rf"0\.weight has 4 rows of {which}, .* exclude '0'"):
            call()
