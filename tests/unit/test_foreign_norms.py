"""Batch norms as others write them: replaced with all that they did, or refused by a sentence, with nothing changed."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from foreign import BatchNormAct, Report
from refusals import net, refused, snapshot
from torch import Tensor, nn
from torch.nn.utils import prune

import cwn_lite as cwn

X = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def with_act(act: nn.Module, drop: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), BatchNormAct(4, act, drop), nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.parametrize("drop", [None, nn.Dropout(0.5)])
@pytest.mark.parametrize("act", [nn.ReLU(inplace=True), nn.SiLU(), nn.Identity()])
def test_a_batch_norm_with_an_activation_keeps_it(act: nn.Module, drop: nn.Module | None) -> None:
    model = with_act(act, drop)
    norm = model[1]
    nn.init.normal_(norm.bias)
    cwn.replace_batchnorm(model, noise_std=0.3)
    assert [name for name, _ in model[1].named_children()] == ["scale", "drop", "act"]
    assert model[1].scale.weight is norm.weight and model[1].scale.noise_std == 0.3 and model[1].act is norm.act
    model.eval()
    middle = model[0](X) * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(model[:2](X), copy.deepcopy(act)(middle))
    (line,) = [line for line in cwn.report(model) if line.action == "replaced"]
    assert (line.name, line.kind, line.reason) == ("1", "BatchNormAct", "ScaleBias, noise_std 0.3, then drop and act")
    folded = cwn.fold(model)
    assert cwn.report(folded).names("folded") == ("1.scale",)
    torch.testing.assert_close(folded(X), model(X))


class Odd(BatchNormAct):
    """Has an activation, and does more."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class OnlyInTraining(BatchNormAct):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2 if self.training else 1)


@pytest.mark.parametrize("kind", [Odd, OnlyInTraining])
def test_one_that_does_more_is_refused_counted_and_named(kind: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), kind(4, nn.ReLU()), nn.Conv2d(4, 4, 1), kind(4, nn.ReLU()))
    before = snapshot(model)
    with refused(ValueError, f"model has 2 batch norms (2 {kind.__name__}; 1, 3) and none can be replaced"):
        cwn.replace_batchnorm(model)
    assert snapshot(model) == before


def test_the_refusal_of_a_model_without_batch_norm_names_the_norms_that_it_has() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.LayerNorm(4))
    with refused(ValueError, "no batch norm to replace: Sequential; it has 1 GroupNorm, 2 LayerNorm"):
        cwn.replace_batchnorm(model)

    class GroupNormAct(nn.GroupNorm):
        """As in timm, with its activation inside."""

        def __init__(self) -> None:
            super().__init__(2, 4)
            self.act = nn.ReLU()

    with refused(ValueError, "no batch norm to replace: Sequential; it has 1 GroupNormAct"):
        cwn.replace_batchnorm(nn.Sequential(nn.Conv2d(2, 4, 3), GroupNormAct()))


class FrozenBatchNorm2d(nn.Module):
    """As in torchvision's detectors: four buffers, nothing to train."""

    def __init__(self, n: int) -> None:
        super().__init__()
        for name in ("weight", "running_var"):
            self.register_buffer(name, torch.ones(n))
        for name in ("bias", "running_mean"):
            self.register_buffer(name, torch.zeros(n))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def test_a_frozen_batch_norm_is_in_the_report() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), FrozenBatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    (line,) = [line for line in cwn.report(cwn.replace_batchnorm(model)) if line.action == "kept"]
    assert (line.name, line.kind, line.code) == ("1", "FrozenBatchNorm2d", "frozen_norm")


def test_hooks_of_a_batch_norm_move_along_and_can_be_removed() -> None:
    model = net()
    seen: list[Any] = []
    handles = [
        model[1].register_forward_hook(lambda module, args, out: out.clamp(-0.1, 0.1)),
        model[1].register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True),
        model[1].register_full_backward_hook(lambda module, grad_in, grad_out: seen.append("backward")),
    ]
    cwn.replace_batchnorm(model)
    assert model[:2](X).abs().max() <= 0.1 and seen == [{}]
    model(X).sum().backward()
    assert seen == [{}, {}, "backward"]
    (line,) = [line for line in cwn.report(model) if line.action == "replaced"]
    assert line.reason == "ScaleBias, noise_std 0; its hooks moved along"
    (line,) = [line for line in cwn.report(cwn.fuse(model)) if line.kind == "ScaleBias"]
    assert (line.action, line.code) == ("kept", "hooked")
    for handle in handles:
        handle.remove()
    model(X)
    assert len(seen) == 3 and model[:2](X).abs().max() > 0.1
    assert cwn.report(cwn.fuse(model)).names("fused") == ("1",)


def test_hooks_on_state_dicts_are_not_dropped_unsaid() -> None:
    model = net()
    model[1].register_state_dict_post_hook(lambda *args: None)
    (line,) = [line for line in cwn.report(cwn.replace_batchnorm(model)) if line.action == "replaced"]
    assert line.reason.endswith("its hooks on state dicts dropped")


def test_a_patched_batch_norm_is_kept_and_said() -> None:
    model = nn.Sequential(*net()[:2], nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    original = model[1].forward
    model[1].forward = lambda x: original(x).relu()
    with pytest.warns(UserWarning, match=r"1 batch norm \(1 BatchNorm2d; 1\) kept"):
        cwn.replace_batchnorm(model)
    assert type(model[1]) is nn.BatchNorm2d and type(model[3]) is cwn.ScaleBias


@pytest.mark.parametrize("own", ["weight", "bias"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda norm, own: prune.l1_unstructured(norm, own, 0.5),
        lambda norm, own: torch.nn.utils.parametrize.register_parametrization(norm, own, nn.Tanh()),
    ],
)
def test_pruned_and_parametrized_batch_norms_are_refused(damage: Any, own: str) -> None:
    model = net()
    damage(model[1], own)
    before = snapshot(model)
    with refused(ValueError, f"1.{own} is pruned or parametrized", "prune.remove"):
        cwn.replace_batchnorm(model)
    assert snapshot(model) == before


def test_a_scale_is_on_the_device_of_the_layers_around_it() -> None:
    for norm in (nn.BatchNorm2d(4, affine=False, track_running_stats=False), nn.BatchNorm2d(4)):
        model = nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.Conv2d(4, 4, 1)).double()
        with torch.device("meta"):  # a default device that is none of the model's
            cwn.replace_batchnorm(model)
        assert (model[1].weight.device.type, model[1].weight.dtype) == ("cpu", torch.float64)
        assert model(X.double()).isfinite().all()


def test_models_without_values_and_models_of_inference_mode_are_refused() -> None:
    with torch.device("meta"):
        without = net()
    with torch.inference_mode():
        inference = net()
    for model, parts in ((without, ("0.weight is on the meta device", "to_empty")), (inference, ("inference mode",))):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        kinds = [type(module) for module in model]
        with refused(ValueError, *parts):
            cwn.replace_batchnorm(model)
        with refused(ValueError, *parts):
            cwn.constrain(optimizer, model)
        assert [type(module) for module in model] == kinds and not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("name", ["running_mean", "running_var", "num_batches_tracked", "eps", "momentum", "affine"])
def test_code_that_reads_statistics_gets_a_sentence(name: str) -> None:
    model = cwn.replace_batchnorm(net())
    with refused(AttributeError, f"ScaleBias has no {name}: it keeps no batch statistics", "replace_batchnorm"):
        getattr(model[1], name)
    assert not hasattr(model[1], name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        model[1].nonsense  # noqa: B018  # asking is the test


def test_names_of_the_users_own_are_left_alone() -> None:
    model = Report(net())
    cwn.replace_batchnorm(model)
    cwn.fuse(model)
    assert model.report() == "mine" and isinstance(model.scale, nn.Identity) and model.bond == 7
    assert cwn.report(model).names("fused") == ("body.1",)
    folded = cwn.fold(model.eval())
    assert folded.report() == "mine"
    torch.testing.assert_close(folded(X), model(X))


def test_old_style_weight_norm_is_no_crash() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), cwn.ScaleBias(4), nn.Conv2d(4, 4, 1), cwn.ScaleBias(4))
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model[0])
    model(X)  # from now on its weight is the result of a computation, which torch refuses to copy
    folded = cwn.fold(model.eval(), example_inputs=X)
    assert cwn.report(folded).names("folded") == ("3",)
    torch.testing.assert_close(folded(X), model(X))
    report = cwn.report(cwn.fuse(model))
    assert report.names("fused") == ("3",) and "0 has a forward pre-hook" in str(report)


def test_a_kept_scale_can_be_scripted() -> None:
    model = nn.Sequential(nn.ReLU(), cwn.ScaleBias(2, noise_std=0.5), nn.Conv2d(2, 4, 3), cwn.ScaleBias(4)).eval()
    nn.init.normal_(model[1].bias)
    folded = cwn.fold(model)
    with pytest.warns(DeprecationWarning):
        scripted = torch.jit.script(folded)
    torch.testing.assert_close(scripted(X), folded(X))
    scripted.train()
    assert not torch.equal(scripted(X), scripted(X))


WITHOUT = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "cwn_lite":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import torch
model = torch.load(sys.argv[1], weights_only=False)
print(float(model(torch.ones(1, 2, 6, 6)).detach().sum()))
"""


def test_a_folded_model_loads_where_the_library_is_not_installed(tmp_path: Any) -> None:
    model = cwn.replace_batchnorm(net(), noise_std=0.1)
    cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model)
    folded = cwn.fold(cwn.fuse(model).eval())
    torch.save(folded, tmp_path / "folded.pt")
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "folded.pt")], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == pytest.approx(float(folded(torch.ones(1, 2, 6, 6)).detach().sum()), rel=1e-4)
    assert cwn.report(torch.load(tmp_path / "folded.pt", weights_only=False)).names("folded") == ("1",)
