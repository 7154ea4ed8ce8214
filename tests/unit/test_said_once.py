"""The layers and the constraint are said once; what a call is not told is what was said before."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from refusals import net, refused, snapshot
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite.selection import select


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def squares(model: nn.Module, name: str = "0") -> Tensor:
    return model.get_submodule(name).weight.detach().flatten(1).square().sum(1)


def test_c_holds_for_constrain_and_for_every_step() -> None:
    model = cwn.replace_batchnorm(net(), c=cwn.C_CENTERED)
    optimizer = sgd(model)
    constraint = cwn.constrain(optimizer, model)
    model(torch.randn(4, 2, 6, 6)).square().sum().backward()
    optimizer.step()
    assert constraint.c == cwn.C_CENTERED and constraint.violation() < 1e-5
    torch.testing.assert_close(squares(model), torch.full((4,), cwn.C_CENTERED))


@pytest.mark.parametrize("wrap", [lambda m: m, copy.deepcopy, lambda m: nn.Sequential(m)])
def test_the_other_settings_hold_too_also_in_a_copy_and_in_a_wrapper(wrap: Any) -> None:
    model = wrap(cwn.replace_batchnorm(net(), centralize=False, exclude=("2",)))
    constraint = cwn.constrain(sgd(model), model)
    assert (constraint.centralize, constraint.spherize, constraint.c) == (False, True, 2.0)
    assert [name.removeprefix("0.") for name in constraint.names][-1] in ("0.weight", "weight")
    assert sorted(constraint.codes.values()) == ["classifier", "excluded"]


def test_what_is_said_anew_holds() -> None:
    model = cwn.replace_batchnorm(net(), c=3.0, centralize=False, exclude=("2",))
    constraint = cwn.constrain(sgd(model), model, c=2.5, exclude=())
    assert constraint.names == ("0.weight", "2.weight")
    assert (constraint.c, constraint.centralize) == (2.5, False)
    again = cwn.constrain(sgd(model), model)
    assert (again.c, again.names) == (2.5, constraint.names)


def test_neither_constraint_holds_too() -> None:
    model = cwn.replace_batchnorm(net(), centralize=False, spherize=False)
    with refused(ValueError, "centralize and spherize are both False"):
        cwn.constrain(sgd(model), model)
    assert cwn.constrain(sgd(model), model, spherize=True).violation() < 1e-6


def test_parts_that_were_told_different_things_must_be_told_again() -> None:
    parts = [cwn.replace_batchnorm(net()[:2], c=c, classifier=()) for c in (2.0, 3.0)]
    model = nn.Sequential(parts[0], nn.Sequential(nn.Conv2d(4, 2, 1), parts[1]))
    optimizer = sgd(model)
    before = snapshot(model, optimizer)
    with refused(ValueError, "c was set to 2 and 3 for different layers of this model; pass c"):
        cwn.constrain(optimizer, model)
    assert snapshot(model, optimizer) == before
    assert cwn.constrain(optimizer, model, c=2.0).violation() < 1e-6


def test_a_layer_that_was_frozen_since_is_not_constrained() -> None:
    model = cwn.replace_batchnorm(net())
    model[2].weight.requires_grad_(False)
    constraint = cwn.constrain(sgd(model), model)
    assert constraint.names == ("0.weight",) and constraint.codes["2.weight"] == "frozen"


def test_a_head_added_later_is_the_classifier_beside_the_old_one() -> None:
    model = cwn.replace_batchnorm(net())
    whole = nn.Sequential(model, nn.ReLU(), nn.Linear(3, 2))
    constraint = cwn.constrain(sgd(whole), whole)
    assert constraint.names == ("0.0.weight", "0.2.weight")
    assert constraint.codes == {"0.4.weight": "classifier", "2.weight": "classifier"}


class Headed(nn.Module):
    """A head that is registered first, and a squeeze-and-excitation layer registered last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.conv, self.norm, self.last = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)
        self.squeeze, self.excite = nn.Linear(4, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).relu()
        gate = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        x = self.last(x * gate[:, :, None, None]).relu()
        return self.head(x.mean((2, 3)))


def test_the_classifier_is_where_the_output_is() -> None:
    chosen = select(Headed())
    assert list(chosen.modules) == ["conv.weight", "last.weight", "squeeze.weight", "excite.weight"]
    assert chosen.codes == {"head.weight": "classifier"}


def test_convolution_heads_and_several_heads_are_classifiers() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(6, 6))
            self.boxes, self.classes = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 5, 1)
            self.neck = nn.Conv2d(8, 8, 1)

        def forward(self, x: Tensor) -> dict[str, Any]:
            x = self.neck(self.body(x)).relu()
            return {
                "boxes": self.boxes(x).exp(),
                "classes": [nn.functional.interpolate(self.classes(x), scale_factor=2)],
            }

    chosen = select(Detector())
    assert list(chosen.modules) == ["body.0.weight", "body.3.weight", "neck.weight"]
    assert chosen.codes == {"boxes.weight": "classifier", "classes.weight": "classifier"}


def test_a_scale_behind_the_last_map_means_that_there_is_no_classifier() -> None:
    for norm in (nn.BatchNorm1d(4), cwn.ScaleBias(4), nn.LayerNorm(4), nn.RMSNorm(4)):
        assert list(select(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), norm)).modules) == [
            "0.weight",
            "2.weight",
        ]
    autoencoder = nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Unflatten(1, (2, 1)), nn.ConvTranspose1d(2, 1, 6))
    assert select(autoencoder).codes == {"3.weight": "classifier"}


def test_classifier_and_include_override_what_is_found() -> None:
    model = Headed()
    assert select(model, classifier=("excite",)).codes == {"excite.weight": "classifier"}
    assert "named as a classifier by the caller" in select(model, classifier=(model.last,)).skipped["last.weight"]
    assert select(model, classifier=()).codes == {} == select(model, include=("head",)).codes
    assert len(select(model, include=("*",)).modules) == 5
    assert select(model, exclude=("conv",), include=("head",)).codes == {"conv.weight": "excluded"}


@pytest.mark.parametrize("function", ["replace_batchnorm", "constrain"])
def test_arguments_that_cannot_be_meant(function: str) -> None:
    model = Headed()
    optimizer = sgd(model)

    def call(**arguments: Any) -> None:
        if function == "constrain":
            cwn.constrain(optimizer, model, **arguments)
        else:
            cwn.replace_batchnorm(model, **arguments)

    before = snapshot(model, optimizer)
    with refused(ValueError, "conv is named by both exclude and include"):
        call(exclude=("conv",), include=("*conv*",))
    for argument in ("exclude", "include", "classifier"):
        with refused(ValueError, f"{argument} names 'had', which matches no module", "did you mean 'head'?"):
            call(**{argument: ("had",)})
        with refused(TypeError, f"{argument} must be a sequence of names", f"{argument}=('head',)"):
            call(**{argument: "head"})
        with refused(TypeError, f"{argument} must hold names or modules, got int 3"):
            call(**{argument: (3,)})
    model.embedding = nn.Embedding(3, 4)
    with refused(ValueError, "include names embedding, a Embedding", "register_linear_map(Embedding)"):
        call(include=("embedding",))
    del model.embedding
    assert snapshot(model, optimizer) == before


def test_two_optimizers_in_one_call() -> None:
    model = cwn.replace_batchnorm(net())
    matrices, rest = [model[0].weight], [p for p in model.parameters() if p is not model[0].weight]
    first, second = torch.optim.SGD(matrices, lr=0.1), torch.optim.AdamW(rest, lr=0.1)
    constraint = cwn.constrain([first, second], model)
    assert constraint.names == ("0.weight", "2.weight")
    model(torch.randn(4, 2, 6, 6)).square().sum().backward()
    for optimizer, mine, other in ((first, "0", "2"), (second, "2", "0")):
        untouched = model.get_submodule(other).weight.detach().clone()
        optimizer.step()
        torch.testing.assert_close(squares(model, mine), torch.full((4,), 2.0))
        assert torch.equal(model.get_submodule(other).weight, untouched), "each projects what it moved"
    assert constraint.violation() < 1e-5
    constraint.remove()
    second.step()
    assert constraint.violation() > 1e-3
    assert type(first.defaults) is type(second.defaults) is dict


def test_several_optimizers_that_cannot_be_meant() -> None:
    model = net()
    first, second = torch.optim.SGD([model[0].weight], lr=0.1), torch.optim.SGD(model[2:].parameters(), lr=0.1)
    before = snapshot(model, first), snapshot(model, second)
    with refused(ValueError, "optimizer does not hold 2.weight", "pass all optimizers of the model in one list"):
        cwn.constrain(first, model)
    with refused(ValueError, "0.weight held by two of the optimizers"):
        cwn.constrain([first, second, torch.optim.SGD([model[0].weight], lr=1.0)], model)
    with refused(ValueError, "optimizer names one optimizer twice"):
        cwn.constrain([first, first], model)
    with refused(ValueError, "optimizer is an empty list"):
        cwn.constrain([], model)
    assert (snapshot(model, first), snapshot(model, second)) == before


def test_reason_codes_stand_beside_the_words() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Linear(4, 4), nn.Linear(4, 4), nn.Embedding(3, 3), nn.Linear(4, 2))
    model[1].weight.requires_grad_(False)
    codes = select(model, exclude=("0",)).codes
    assert codes == {
        "0.weight": "excluded",
        "1.weight": "frozen",
        "3.weight": "unknown_layer",
        "4.weight": "classifier",
    }
    assert select(model).codes["0.weight"] == "fan_in"
    constraint = cwn.constrain(sgd(model), model)
    assert constraint.codes.keys() == constraint.skipped.keys()
    assert {line.name: line.code for line in cwn.report(model)}["1"] == "frozen"
