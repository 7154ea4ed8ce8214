"""Surgery, training, fusing, folding and export on networks of many families, from torchvision and timm."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
import torch
from architectures import TIMM, TORCHVISION, Architecture, build, classifiers, outputs
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from cwn_lite.rows import LINEAR_MAPS, fan_in

pytestmark = [
    pytest.mark.slow,  # all together, and most of them with their first test
    pytest.mark.filterwarnings("ignore:without normalization"),  # residual networks, whose branches start at 1
]
# Architecture -> one of its scales that stays, and the reason to the letter. This is all that is not supported.
WHY_KEPT = {
    # Batch norms on a stream, and those behind a concatenation, a split or a pooling.
    "resnetv2_18": ("stages.0.blocks.1.norm1.scale", "it follows add(), no linear map"),
    "densenet121": ("features.denseblock1.denselayer2.norm1.scale", "it follows cat_1(), no linear map"),
    "dpn48b": ("features.conv2_2.c1x1_a.bn.scale", "it follows cat(), no linear map"),
    "mixnet_s": ("blocks.1.0.bn1.scale", "it follows cat(), no linear map"),
    "inception_next_atto": ("stages.0.blocks.0.norm", "it follows cat(), no linear map"),
    "lambda_resnet26t": ("stages.2.1.self_attn.norm_q", "it follows getitem_4(), no linear map"),
    "starnet_s050": ("norm", "it follows add_5(), no linear map"),
    # A branch that is a batch norm alone.
    "repvgg_a0": ("stages.0.1.identity.scale", "it follows ReLU stages.0.0.act, no linear map"),
    "fastvit_t8": ("stem.2.identity", "it follows GELU stem.1.act, no linear map"),
    # A Linear on three axes: its outputs are on the last one, and the scale acts after a flattening.
    "levit_128s": ("stages.0.blocks.0.attn.qkv.bn", "it follows flatten_1(), no linear map"),
    # The convolution's output is used without the scale, too.
    "test_coatnet": ("stages.0.blocks.0.pre_norm.scale", "stem.conv2 also feeds stages.0.blocks.0.shortcut.pool"),
    # A convolution that pads as TensorFlow does.
    "tf_efficientnet_lite0": ("bn1.scale", "conv_stem is a Conv2dSame, which has a forward of its own"),
    # Subclasses of a convolution, with its forward: folded, but not fused.
    "mc3_18": (
        "layer1.0.conv1.1",
        "layer1.0.conv1.0 is a Conv3DSimple, a subclass, which would lose what it adds",
    ),
}
BARE = {"lambda_resnet26t"}  # a sum of two linear maps inside of an attention
NOT_FUSED = {"mc3_18": {"own_forward": 16}}  # where folding can do more than fusing
# Where the outcome is also compared with one that was tried on the input.
TRIED = {"mobilenet_v3_small", "googlenet", "mc3_18", "test_resnet", "lcnet_035", "levit_128s", "starnet_s050"}
# Exporting takes longest: some of each kind.
EXPORTED = {
    "shufflenet_v2_x0_5",
    "googlenet",
    "deeplabv3_mobilenet_v3_large",
    "mc3_18",
    "skresnet18",
    "resnetv2_18",
    "mobilenetv3_small_050",
    "tf_efficientnet_lite0",
    "repvgg_a0",
    "lambda_resnet26t",
    "hgnetv2_b0",
    "levit_128s",
    "test_coatnet",
    "mobilevit_xxs",
}
BatchNorm = nn.modules.batchnorm._BatchNorm


@dataclass
class Case:
    known: Architecture
    model: nn.Module
    norms: dict[str, nn.Module]
    x: Tensor


@pytest.fixture(scope="module", params=[*TORCHVISION, *TIMM], ids=str)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """A converted network whose scales and biases all matter, with branches that do not double their stream."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # this is made before the fixture that does so for a test
    torch.manual_seed(0)
    model = build(request.param)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, BatchNorm)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="without normalization")  # the marks do not reach a fixture
        with pytest.warns(UserWarning, match="could not be traced") if request.param.guessed else nullcontext():
            cwn.replace_batchnorm(model, noise_std=0.1)
    for module in model.modules():
        if isinstance(module, cwn.ScaleBias):
            nn.init.uniform_(module.weight, 0.4, 0.9)
            nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, LINEAR_MAPS) and module.bias is not None:
            nn.init.normal_(module.bias, std=0.1)  # many start at zero, where a mistake would not show
    yield Case(request.param, model, norms, torch.randn(request.param.size))
    torch.set_num_threads(threads)


def distance(actual: list[Tensor], expected: list[Tensor]) -> float:
    """Largest difference in any of the tensors, relative to its largest number."""
    pairs = zip(actual, expected, strict=True)
    return max(float(((a - b).abs().max() / b.abs().max()).detach()) for a, b in pairs)


def with_batch_norms(case: Case) -> nn.Module:
    """The network with its batch norms back, whose statistics are such that they normalize nothing."""
    model = copy.deepcopy(case.model)
    for name, norm in case.norms.items():
        scale = next(m for m in model.get_submodule(name).modules() if isinstance(m, cwn.ScaleBias))
        back = copy.deepcopy(norm).double()
        back.weight, back.bias = scale.weight, scale.bias
        nn.init.zeros_(back.running_mean)
        nn.init.constant_(back.running_var, 1 - back.eps)
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, back)
    return model.double().eval()


def loss_of(y: list[Tensor]) -> Tensor:
    """Cross-entropy, also of each pixel."""
    losses = [F.cross_entropy(part, torch.zeros_like(part[:, 0], dtype=torch.long)) for part in y]
    return torch.stack(losses).sum()


def with_gradients(model: nn.Module, x: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Outputs and gradients in training mode, always with the same noise."""
    torch.manual_seed(1)
    model.train().zero_grad()
    y = outputs(model(x))
    loss_of(y).backward()
    return y, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def reasons(model: nn.Module, action: str) -> dict[str, str]:
    """The codes of the scales of ``model`` that went one way in ``fuse`` or ``fold``."""
    return {line.name: line.code for line in cwn.report(model) if line.kind == "ScaleBias" and line.action == action}


def test_every_batch_norm_is_replaced_and_the_classifiers_are_the_real_ones(case: Case) -> None:
    assert len(case.norms) == case.known.norms
    assert not any(isinstance(m, BatchNorm) for m in case.model.modules())
    lines = {line.name: line for line in cwn.report(case.model) if line.code != "unknown_layer"}
    assert all(lines[name].action == "replaced" for name in case.norms)
    free = {name for name, line in lines.items() if line.code == "classifier"}
    assert free == classifiers(case.known, case.model)
    for name, module in case.model.named_modules():
        if isinstance(module, LINEAR_MAPS) and name not in free:
            assert lines[name].action == "constrained" or (lines[name].code, fan_in(module)) == ("fan_in", 1), name


def test_three_steps_stay_on_the_set(case: Case) -> None:
    model = copy.deepcopy(case.model).train()
    optimizer = torch.optim.SGD(cwn.param_groups(model, weight_decay=1e-3), lr=1e-3, momentum=0.9)
    constraint = cwn.constrain(optimizer, model)
    assert set(constraint.names) == {f"{name}.weight" for name in cwn.report(model).names("constrained")}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(loss_of(outputs(model(case.x))))
        losses[-1].backward()
        optimizer.step()
    assert torch.stack(losses).isfinite().all()
    assert constraint.violation() < 2e-6
    after = dict(model.named_parameters())
    assert all(not torch.equal(after[name], before[name]) for name in constraint.names)


def test_the_recommended_start_and_steps_make_the_loss_fall(case: Case) -> None:
    """From the start that training has, not the one that brings mistakes of surgery to light."""
    model = copy.deepcopy(case.model).train()
    for module in model.modules():
        if isinstance(module, cwn.ScaleBias):
            module.reset_parameters()
    cwn.set_noise(model, 0.0)
    expected = "no scale" if case.known.name in BARE else "could not be traced" if case.known.guessed else ""
    with pytest.warns(UserWarning, match=expected) if expected else nullcontext():
        names = cwn.scale_branches(model)
    assert set(cwn.report(model).names("started")) == set(names)
    # Where a branch has no scale, as the warning says, the recommended angle is too large: the loss rises.
    angle = {"lr": 3e-4} if case.known.name in BARE else {}
    optimizer = cwn.AngularMuon(cwn.angular_groups(model, **angle))
    constraint = cwn.constrain(optimizer, model, c=cwn.C_CENTERED)
    with torch.no_grad():  # what it believes least: of any one class some are sure by chance, and no loss is to fall
        goals = [part.argmin(1) for part in outputs(model(case.x))]
    losses = []
    torch.manual_seed(0)  # of dropout
    for _ in range(6):  # few: a step orthogonalizes every weight
        optimizer.zero_grad()
        losses.append(sum(F.cross_entropy(*pair) for pair in zip(outputs(model(case.x)), goals, strict=True)))
        losses[-1].backward()
        optimizer.step()
    course = torch.stack(losses).detach()
    assert course.isfinite().all()
    assert course[3:].mean() < 0.7 * course[0], course
    assert constraint.violation() < 2e-6


def test_fusing_changes_neither_outputs_nor_gradients(case: Case) -> None:
    model, x = copy.deepcopy(case.model).double(), case.x.double()
    fused = cwn.fuse(copy.deepcopy(model))
    kept = NOT_FUSED.get(case.known.name, case.known.kept)
    assert Counter(reasons(fused, "kept").values()) == kept
    assert len(reasons(fused, "fused")) == case.known.norms - sum(kept.values())
    assert bool(kept) == (case.known.name in WHY_KEPT)
    if kept:
        name, why = WHY_KEPT[case.known.name]
        assert [line.reason for line in cwn.report(fused) if line.name == name and line.kind == "ScaleBias"] == [why]
    if case.known.name in TRIED:
        tried = cwn.fuse(copy.deepcopy(model), example_inputs=x)
        assert cwn.report(tried).layers == cwn.report(fused).layers
    (y, expected), (z, actual) = with_gradients(model, x), with_gradients(fused, x)
    assert distance(z, y) <= 1e-8
    assert actual.keys() == expected.keys()
    # A gradient that is nothing but rounding, as that of a bias before a softmax, has no relative error.
    least = 1e-8 * max(float(g.abs().max()) for g in expected.values())
    for name, gradient in expected.items():
        assert (actual[name] - gradient).abs().max() <= 1e-8 * max(float(gradient.abs().max()), least), name
    with torch.no_grad():
        assert distance(outputs(fused.eval()(x)), outputs(model.eval()(x))) <= 1e-8


@torch.no_grad()
def test_folding_and_exporting_change_no_output(case: Case) -> None:
    model, x = copy.deepcopy(case.model).double().eval(), case.x.double()
    folded = cwn.fold(model)
    assert Counter(reasons(folded, "kept").values()) == case.known.kept
    assert len(reasons(folded, "folded")) == case.known.norms - sum(case.known.kept.values())
    assert sum(isinstance(m, cwn.ScaleBias) for m in folded.modules()) == sum(case.known.kept.values())
    if case.known.name in TRIED:
        assert cwn.report(cwn.fold(model, example_inputs=x)).layers == cwn.report(folded).layers
    y = outputs(model(x))
    assert distance(y, outputs(with_batch_norms(case)(x))) <= 1e-8
    assert distance(outputs(folded(x)), y) <= 1e-8
    if case.known.name not in EXPORTED:
        return
    program = torch.export.export(folded, (x,), strict=False)
    assert distance(outputs(program.module()(x)), y) <= 1e-8


def test_there_are_enough_and_the_tables_name_them() -> None:
    names = [known.name for known in (*TORCHVISION, *TIMM)]
    assert len(set(names)) == len(names) >= 48
    assert set(names) >= {*EXPORTED, *TRIED, *WHY_KEPT, *NOT_FUSED}
