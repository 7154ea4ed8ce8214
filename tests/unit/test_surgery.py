"""`replace_batchnorm` on networks made for one question each; torchvision's are in `test_torchvision`."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import cwn_lite as cwn


def has_norm(model: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def lines(model: nn.Module) -> list[tuple[str, str, str, str]]:
    return [(line.name, line.kind, line.action, line.reason) for line in cwn.report(model)]


def trained(norm: nn.Module) -> nn.Module:
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0)
        norm.bias.normal_()
    return norm


def convolutions_1d() -> nn.Sequential:
    first, second = nn.Conv1d(2, 6, 3), nn.Conv1d(6, 4, 3, groups=2)
    return nn.Sequential(first, nn.BatchNorm1d(6), second, nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(16, 2))


def convolutions_3d() -> nn.Sequential:
    first, second = nn.Conv3d(1, 4, 2), nn.Conv3d(4, 2, 2)
    return nn.Sequential(first, nn.BatchNorm3d(4), second, nn.BatchNorm3d(2), nn.Flatten(), nn.Linear(16, 2))


def transposed() -> nn.Sequential:
    first, second = nn.ConvTranspose2d(3, 4, 3, stride=2), nn.ConvTranspose2d(4, 6, 3, groups=2)
    return nn.Sequential(first, nn.BatchNorm2d(4), second, nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(726, 2))


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 7), nn.BatchNorm1d(7), nn.Linear(7, 2))


NETS = {
    "1d": (convolutions_1d, (5, 2, 8)),
    "3d": (convolutions_3d, (5, 1, 4, 4, 4)),
    "transposed": (transposed, (5, 3, 4, 4)),
    "linear": (linear, (5, 5)),
}


@pytest.mark.parametrize("case", NETS)
def test_nets_of_every_dimension_train_on_the_set(case: str) -> None:
    build, shape = NETS[case]
    model = build()
    norms = [trained(model[1]), trained(model[3])]
    classifier = model[-1].weight.detach().clone()
    assert cwn.replace_batchnorm(model, noise_std=0.1, c=3.0) is model
    assert not has_norm(model)
    assert cwn.report(model).names("constrained") == ("0", "2") and cwn.report(model).names("replaced") == ("1", "3")
    assert all(model[i].weight is n.weight and model[i].bias is n.bias for i, n in zip((1, 3), norms, strict=True))
    assert torch.equal(model[-1].weight, classifier)

    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(cwn.param_groups(model, 1e-3), lr=0.1, momentum=0.9)
    constraint = cwn.constrain(optimizer, model, c=3.0)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=1e-6, msg=f"{key} was feasible already")
    model(torch.randn(shape)).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    optimizer.step()
    assert constraint.violation() < 2e-6
    assert not torch.equal(model[0].weight, before["0.weight"])


def test_the_report_has_a_line_for_each_linear_map_and_each_norm() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 8, 1, groups=8), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 3)),
        nn.Flatten(),
        parametrizations.weight_norm(nn.Linear(16, 8)),
        nn.BatchNorm1d(8),
        nn.Linear(8, 6),
        nn.Linear(6, 5),
    )
    net[7].weight.requires_grad_(False)
    cwn.replace_batchnorm(net, noise_std=0.4, schedule="linear", exclude=("3.2",))
    assert lines(net) == [
        ("0", "Conv2d", "constrained", "fan-in 27"),
        ("1", "BatchNorm2d", "replaced", "ScaleBias, noise_std 0.2"),
        ("3.0", "Conv2d", "free", "fan-in 1: no row of zero mean and fixed norm exists"),
        ("3.1", "GroupNorm", "kept", "not a batch norm"),
        ("3.2", "Conv2d", "free", "excluded by the caller"),
        ("5", "ParametrizedLinear", "free", "its weight is computed by another parametrization"),
        ("6", "BatchNorm1d", "replaced", "ScaleBias, noise_std 0.4"),
        ("7", "Linear", "free", "frozen (requires_grad is False)"),
        ("8", "Linear", "free", "taken for the classifier: it feeds the output and no scale follows"),
    ]
    assert len(cwn.report(net)) == 9 and cwn.report(net).names("kept") == ("3.1",)
    assert str(cwn.report(net)).splitlines()[3] == "3.1  GroupNorm           kept         not a batch norm"


UNTRACED = "the last Linear, taken for the classifier, since the forward could not be traced; classifier= names another"


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.embedding = nn.Embedding(11, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.BatchNorm1d(8)
        self.rms = nn.RMSNorm(8)
        self.head = nn.Linear(8, 11)


def test_weights_of_other_modules_are_reported_as_free() -> None:
    net = cwn.replace_batchnorm(Reader())
    other = "not the weight of a Linear or convolution"
    assert lines(net) == [
        ("", "Reader", "free", f"token: {other}"),
        ("embedding", "Embedding", "free", f"weight: {other}"),
        ("attention", "MultiheadAttention", "free", f"in_proj_weight: {other}"),
        ("attention.out_proj", "NonDynamicallyQuantizableLinear", "constrained", "fan-in 8"),
        ("norm", "BatchNorm1d", "replaced", "ScaleBias, noise_std 0"),
        ("rms", "RMSNorm", "kept", "not a batch norm"),
        ("head", "Linear", "free", UNTRACED),
    ]


def test_scale_and_bias_are_the_very_parameters_with_their_values() -> None:
    """A zero-initialized residual branch stays zero, a frozen scale frozen, an optimizer built before stays right."""
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    nn.init.zeros_(net[1].weight)
    trained(net[3])
    net[3].bias.requires_grad_(False)
    before = [net[1].weight, net[1].bias, net[3].weight, net[3].bias]
    values = [p.detach().clone() for p in before]
    cwn.replace_batchnorm(net)
    after = [net[1].weight, net[1].bias, net[3].weight, net[3].bias]
    assert all(a is b and torch.equal(a, v) for a, b, v in zip(after, before, values, strict=True))
    assert not net[3].bias.requires_grad
    assert torch.equal(net[:2](torch.randn(3, 2, 5, 5)), torch.zeros(3, 4, 3, 3))


def test_a_norm_without_parameters_or_without_bias_becomes_a_full_scale_and_bias() -> None:
    norms = [nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, affine=False, track_running_stats=False)]
    with contextlib.suppress(TypeError):  # an option of newer torch
        norms.append(nn.BatchNorm2d(4, bias=False))
    for norm in norms:
        net = nn.Sequential(nn.Conv2d(2, 4, 3), norm).double()
        cwn.replace_batchnorm(net)
        x = torch.randn(2, 4, 3, 3, dtype=torch.float64)
        assert torch.equal(net[1](x), x)
        assert isinstance(net[1].weight, nn.Parameter) and isinstance(net[1].bias, nn.Parameter)
    assert net[1].weight.dtype == net[1].bias.dtype == torch.float64


def test_a_norm_shared_by_two_places_becomes_one_shared_scale() -> None:
    """Also where both places are in one container, under two names."""
    norm = nn.BatchNorm1d(4)
    inner = nn.Sequential(nn.Linear(4, 4), norm)
    net = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 4), norm, inner, nn.Linear(4, 2))
    cwn.replace_batchnorm(net, noise_std=0.6, schedule="linear")
    assert not has_norm(net)
    assert isinstance(net[1], cwn.ScaleBias) and net[1] is net[3] is net[4][1]
    assert cwn.report(net).names("replaced") == ("1",) and net[1].noise_std == 0.6


class NormAct(nn.BatchNorm2d):
    """A subclass with an activation in its forward: replacing it would lose that."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class PlainSubclass(nn.BatchNorm2d):
    """A subclass that computes batch norm and nothing else."""


def test_a_subclass_with_its_own_forward_is_kept_and_reported() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), NormAct(4), nn.Conv2d(4, 4, 3), PlainSubclass(4), nn.SyncBatchNorm(4))
    with pytest.warns(UserWarning, match=r"1 batch norm \(1 NormAct; 1\) kept; cwn_lite.report"):
        cwn.replace_batchnorm(net)
    assert [type(m).__name__ for m in net] == ["Conv2d", "NormAct", "Conv2d", "ScaleBias", "ScaleBias"]
    assert lines(net)[1] == ("1", "NormAct", "kept", "a subclass with a forward of its own; replace it by hand")
    with pytest.raises(ValueError, match=r"has 1 batch norm \(1 NormAct; 1\) and none can be replaced: a subclass"):
        cwn.replace_batchnorm(nn.Sequential(nn.Conv2d(2, 4, 3), NormAct(4)))


def test_discarded_statistics_are_reported() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    for _ in range(3):
        net[:2](torch.randn(5, 2, 4, 4))
    cwn.replace_batchnorm(net)
    assert [line.reason for line in cwn.report(net) if line.action == "replaced"] == [
        "ScaleBias, noise_std 0; running statistics of 3 batches discarded",
        "ScaleBias, noise_std 0",
    ]


def test_a_model_that_is_a_batch_norm() -> None:
    norm = trained(nn.BatchNorm1d(4)).eval()
    made = cwn.replace_batchnorm(norm, noise_std=0.5, per_sample=True)
    assert isinstance(made, cwn.ScaleBias) and made.weight is norm.weight
    assert made.noise_std == 0.5 and made.per_sample and not made.training
    assert lines(made) == [("", "BatchNorm1d", "replaced", "ScaleBias, noise_std 0.5")]


def test_mode_and_placement_of_the_norm_are_kept() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4).eval()).bfloat16()
    cwn.replace_batchnorm(net)
    assert net[1].training and not net[3].training
    assert net[1].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(("centralize", "spherize"), [(True, False), (False, True), (False, False)])
def test_the_ablations(centralize: bool, spherize: bool) -> None:
    """Table 3: either constraint alone, and neither, with scale and bias all the same."""
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    rows = net[0].weight.detach().clone().flatten(1)
    expected = cwn.project_rows(rows, 2.0, centralize=centralize, spherize=spherize)
    cwn.replace_batchnorm(net, centralize=centralize, spherize=spherize)
    torch.testing.assert_close(net[0].weight.detach().flatten(1), expected)
    assert not has_norm(net)
    if centralize or spherize:
        assert cwn.report(net).names("constrained") == ("0", "2")
    else:
        assert torch.equal(net[0].weight.flatten(1), rows)
        assert lines(net)[0] == ("0", "Conv2d", "free", "neither constraint is asked for")


class Split(nn.BatchNorm2d):
    """Half of a batch has statistics of its own, as timm's SplitBatchNorm2d."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.aux = nn.ModuleList([nn.BatchNorm2d(features)])

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2)
        return torch.cat([super().forward(first), self.aux[0](second)])


def test_a_batch_norm_inside_one_that_is_kept_is_kept() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Split(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    with pytest.warns(UserWarning, match="2 batch norms .* kept"):
        cwn.replace_batchnorm(net)
    assert type(net[1].aux[0]) is nn.BatchNorm2d and isinstance(net[4], cwn.ScaleBias)
    assert ("1.aux.0", "BatchNorm2d", "kept", "part of 1, which is kept") in lines(net)
