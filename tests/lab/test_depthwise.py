"""Recipes of a network with depthwise convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cwn_lite import AngularMuon, Constraint
from cwn_lite.lab import recipes
from cwn_lite.lab.nets.methods import build
from cwn_lite.lab.results.deviations import deviations
from cwn_lite.lab.training.schedule import set_rates


def depthwise_sums(model: nn.Module) -> torch.Tensor:
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(convs) == 17
    return torch.cat([conv.weight.detach().flatten(1).sum(1) for conv in convs]).abs()


@pytest.mark.parametrize(("name", "centred"), [("ours", False), ("centred", True)])
def test_ours_starts_as_a_user_starts_it(name: str, centred: bool) -> None:
    model, optimizer, constraint = build(recipes.get(f"mobilenetv2-{name}-angular"))
    assert isinstance(optimizer, AngularMuon) and isinstance(constraint, Constraint)
    assert constraint.violation() < 1e-5 and len(constraint.names) == 52
    assert (float(depthwise_sums(model).max()) < 1e-5) == centred
    depth = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    for group in optimizer.param_groups:
        if group["turn"]:
            assert group["centralize"] == (centred or id(group["params"][0]) not in depth)
    starts = {float(m.weight.detach()[0]) for m in model.modules() if "ScaleBias" in type(m).__name__}
    assert len(starts) == (3 if centred else 4)  # 1, bottlenecks, those that end a branch, and behind depthwise rows


def test_batch_norm_takes_the_same_steps_without_centring() -> None:
    _, optimizer, constraint = build(recipes.get("mobilenetv2-bn-angular"))
    turning = [group for group in optimizer.param_groups if group["turn"]]
    assert constraint is None and len({id(p) for group in turning for p in group["params"]}) == 52
    assert not any(group["centralize"] or group["coherence_decay"] for group in turning)
    assert {group["lr"] for group in turning} == {0.015}


@pytest.mark.parametrize(
    "name", ["mobilenetv2-ours-angular", "shipped-mnasnet1_0-bn-angular", "angular-cnn16-ours-lr0.015"]
)
def test_what_does_not_turn_gets_its_share_of_the_rate(name: str) -> None:
    optimizer = build(recipes.get(name)).optimizer
    set_rates(optimizer, 0.01)
    rates = {group["turn"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {True: 0.01, False: pytest.approx(0.002)}


@pytest.mark.parametrize("share", [3.0, 0.0])
def test_depthwise_rows_turn_on_their_own_or_are_free(share: float) -> None:
    model, optimizer, constraint = build(recipes.get(f"search-mobilenetv2-ours-depthwise{share:g}"))
    rows = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    set_rates(optimizer, 0.01)
    found = {(g["turn"], round(g["lr"], 6)) for g in optimizer.param_groups for p in g["params"] if id(p) in rows}
    assert found == {(True, 0.03) if share else (False, 0.002)}
    assert constraint is not None and len(constraint.names) == (52 if share else 35)


def test_what_differs_from_the_paper_is_said() -> None:
    said = deviations(recipes.get("mobilenetv2-ours-angular").values(), "Imagenette")
    assert "torchvision's mobilenet_v2" in said and "depthwise rows not centred" in said
    assert "depthwise rows not centred" not in deviations(recipes.get("mobilenetv2-centred-angular").values(), "x")


def test_rows_that_mix_are_named_only_where_rows_are_centred() -> None:
    with pytest.raises(ValueError, match="mixing=True says which rows are centred"):
        recipes.get("mobilenetv2-ours-angular").but(centralize=False)


def test_older_runs_started_without_making_up_for_gates() -> None:
    def scales(name: str) -> dict[str, float]:
        model = build(recipes.get(f"search-efficientnet_b0-ours-{name}")).model
        parameters = model.named_parameters()
        return {key: float(p.detach()[0]) for key, p in parameters if key.endswith("1.weight") and p.ndim == 1}

    with_gates, without = scales("gates"), scales("depthwise1")
    ratios = [with_gates[key] / without[key] for key in without]
    assert sorted(set(ratios)) == [1.0, 2.0] and ratios.count(2.0) == 16


def test_networks_as_shipped_have_batch_norms_to_replace() -> None:
    with pytest.raises(ValueError, match="net='torchvision' has batch norms; choose 'bn' or 'ours'"):
        recipes.get("shipped-resnet50-bn").but(method="gn")
    norms = [m for m in build(recipes.get("shipped-mnasnet1_0-bn")).model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 52 and {(norm.momentum, norm.eps) for norm in norms} == {(0.1, 1e-5)}


def test_what_only_networks_as_shipped_have_is_refused_elsewhere() -> None:
    """Rather than stated in a result and left out of the training."""
    with pytest.raises(ValueError, match="gates=True is for networks as they are shipped"):
        recipes.get("cnn-ours-e200").but(gates=True)
    with pytest.raises(ValueError, match=r"depthwise=0\.3 is for networks as they are shipped"):
        recipes.get("angular-cnn16-ours-lr0.015").but(depthwise=0.3)
