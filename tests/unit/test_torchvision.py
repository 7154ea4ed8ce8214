"""Surgery, one training step and folding on torchvision's networks, as they come."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite.lab.vision import import_torchvision
from cwn_lite.rows import LINEAR_MAPS

NETWORKS = {
    # Number of scales that follow no linear map, so that `fold` must leave them: DenseNet is pre-activation.
    "resnet18": 0,
    "resnet50": 0,
    "wide_resnet50_2": 0,
    "vgg11_bn": 0,
    "densenet121": 62,
    "mobilenet_v2": 0,
    "mobilenet_v3_small": 0,
    "mobilenet_v3_large": 0,
    "efficientnet_b0": 0,
    "regnet_y_400mf": 0,
    "googlenet": 0,
}
BatchNorm = nn.modules.batchnorm._BatchNorm
# Branches start as strong as their stream, for a mistake to show.
pytestmark = pytest.mark.filterwarnings("ignore:without normalization")


def build(name: str) -> nn.Module:
    """Return the network for 10 classes. vgg11_bn gets small matrices in place of its 120 million numbers."""
    try:
        models = import_torchvision().models
    except ImportError:
        pytest.skip("torchvision is not installed")
    if name == "googlenet":
        return models.googlenet(num_classes=10, init_weights=False, aux_logits=True)
    if name != "vgg11_bn":
        return models.get_model(name, num_classes=10)
    with torch.device("meta"):
        model = models.vgg11_bn(num_classes=10)
        model.classifier[0], model.classifier[3] = nn.Linear(512 * 49, 16), nn.Linear(16, 16)
        model.classifier[6] = nn.Linear(16, 10)
    model.to_empty(device="cpu")
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


def outputs(model: nn.Module, x: Tensor) -> list[Tensor]:
    """All outputs; GoogLeNet has three in training mode."""
    y = model(x)
    return [y] if isinstance(y, Tensor) else [part for part in y if part is not None]


def furthest(actual: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest output."""
    return float((actual - expected).abs().max() / expected.abs().max())


@dataclass
class Case:
    name: str
    model: nn.Module
    norms: dict[str, nn.Module]
    affine: dict[str, tuple[Tensor, Tensor]]


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """A converted network with lively scales and biases, some of them zero as in a zero-initialized branch."""
    torch.manual_seed(0)
    model = build(request.param)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, BatchNorm)}
    for i, norm in enumerate(norms.values()):
        nn.init.uniform_(norm.weight, 0.5, 1.5) if i % 5 else nn.init.zeros_(norm.weight)
        nn.init.normal_(norm.bias, std=0.3)
    affine = {name: (m.weight.detach().clone(), m.bias.detach().clone()) for name, m in norms.items()}
    converted = cwn.replace_batchnorm(model, noise_std=0.2, schedule="linear")
    assert converted is model
    yield Case(request.param, model, norms, affine)


def test_every_batch_norm_is_a_scale_with_its_values(case: Case) -> None:
    assert case.norms and not any(isinstance(m, BatchNorm) for m in case.model.modules())
    for i, (name, norm) in enumerate(case.norms.items()):
        scale = case.model.get_submodule(name)
        assert isinstance(scale, cwn.ScaleBias)
        assert scale.weight is norm.weight and scale.bias is norm.bias
        assert torch.equal(scale.weight, case.affine[name][0]) and torch.equal(scale.bias, case.affine[name][1])
        assert scale.noise_std == pytest.approx(0.2 * (i + 1) / len(case.norms))


def test_the_report_has_a_line_with_its_reason_for_each_linear_map_and_norm(case: Case) -> None:
    maps = {name: m for name, m in case.model.named_modules() if isinstance(m, LINEAR_MAPS)}
    lines = {line.name: line for line in cwn.report(case.model)}
    assert lines.keys() == maps.keys() | case.norms.keys() and len(lines) == len(cwn.report(case.model))
    # Auxiliary classifiers count as well: they feed the output in training mode.
    heads = [name for name, m in maps.items() if isinstance(m, nn.Linear)]
    heads = [name for name in heads if name.startswith("aux") and name.endswith("fc2")] + heads[-1:]
    for name, module in maps.items():
        assert lines[name].kind == type(module).__name__
        if name in heads:
            expected = ("free", "taken for the classifier: it feeds the output and no scale follows")
        else:
            expected = ("constrained", f"fan-in {module.weight[0].numel()}")
        assert (lines[name].action, lines[name].reason) == expected
    for i, name in enumerate(case.norms):
        level = 0.2 * (i + 1) / len(case.norms)
        assert (lines[name].action, lines[name].reason) == ("replaced", f"ScaleBias, noise_std {level:g}")


def test_a_training_step_stays_on_the_set(case: Case) -> None:
    model = case.model.train()
    optimizer = torch.optim.SGD(cwn.param_groups(model, weight_decay=1e-3), lr=0.05)
    constraint = cwn.constrain(optimizer, model)
    assert len(constraint.names) == len(cwn.report(model).names("constrained"))
    first = next(p for name, p in model.named_parameters() if name == constraint.names[0])
    before = first.detach().clone()
    y = outputs(model, torch.randn(2, 3, 32, 32))
    assert len(y) == (3 if case.name == "googlenet" else 1) and all(part.isfinite().all() for part in y)
    sum(part.square().sum() for part in y).backward()
    assert all(p.grad is not None for p in model.parameters())
    optimizer.step()
    constraint.remove()
    optimizer.zero_grad()
    assert constraint.violation() < 2e-6
    assert not torch.equal(first, before)


@torch.no_grad()
def test_folding_keeps_the_outputs_and_leaves_no_scale_behind_a_linear_map(case: Case) -> None:
    model = case.model.eval()
    for module in model.modules():
        if isinstance(module, cwn.ScaleBias):  # the zero scales above would hide most of the network
            module.weight.uniform_(0.5, 1.5)
    folded = cwn.fold(model)
    left = [name for name, m in folded.named_modules() if isinstance(m, cwn.ScaleBias)]
    assert len(left) == NETWORKS[case.name] and cwn.report(folded).names("kept") == tuple(left)
    assert all("no linear map" in line.reason for line in cwn.report(folded) if line.action == "kept")
    assert len(cwn.report(folded).names("folded")) == len(case.norms) - len(left)
    x = torch.randn(2, 3, 32, 32)
    (expected,), (actual,) = outputs(model, x), outputs(folded, x)
    if case.name == "wide_resnet50_2":  # too large for a second look in float64, and built of resnet50's layers
        assert furthest(actual, expected) <= 4e-5
        return
    exact = copy.deepcopy(model).double()
    (truth,), (folded_truth,) = outputs(exact, x.double()), outputs(cwn.fold(exact), x.double())
    assert furthest(folded_truth, truth) <= 1e-12
    # The deep ones are off by nearly 1e-5 in float32 themselves; folding may round otherwise, and no worse.
    assert furthest(actual, truth) <= max(1e-5, 4 * furthest(expected, truth))
    assert truth.std() > 1e-6
