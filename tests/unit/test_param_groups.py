"""`param_groups`: which parameters decay, decided by module; each trainable parameter is in one group, once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import cwn_lite as cwn


def names(model: nn.Module, weight_decay: float = 1e-3) -> tuple[set[str], set[str]]:
    """Names of the parameters with and without decay."""
    groups = cwn.param_groups(model, weight_decay)
    assert [group["weight_decay"] for group in groups] == [weight_decay, 0.0]
    assert [set(group) for group in groups] == [{"params", "weight_decay"}] * 2
    held = [id(p) for group in groups for p in group["params"]]
    trainable = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    assert sorted(held) == sorted(trainable), "each trainable parameter once"
    decayed, free = ({trainable[id(p)] for p in group["params"]} for group in groups)
    return decayed, free


def test_weights_decay_scales_and_biases_do_not() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), cwn.ScaleBias(4), nn.Linear(4, 5), nn.Linear(5, 2, bias=False))
    assert names(model) == ({"0.weight", "2.weight", "3.weight"}, {"0.bias", "1.weight", "1.bias", "2.bias"})


def test_norms_of_every_kind_are_free() -> None:
    """Also where their weights are matrices, as those of a LayerNorm over two axes."""
    norms = [
        nn.BatchNorm2d(4),
        nn.GroupNorm(2, 4),
        nn.LayerNorm([4, 4]),
        nn.InstanceNorm1d(4, affine=True),
        nn.RMSNorm(4),
    ]
    decayed, free = names(nn.Sequential(*norms))
    assert not decayed and len(free) == 9


def test_other_parameters_decay_unless_their_name_says_bias() -> None:
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(5, 4),
            "attention": nn.MultiheadAttention(4, 2, add_bias_kv=True),
            "recurrent": nn.GRU(4, 4),
            "activation": nn.PReLU(4),
        }
    )
    decayed, free = names(model)
    assert decayed == {
        "embedding.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "activation.weight",
    }
    assert free == {
        "attention.in_proj_bias",
        "attention.out_proj.bias",
        "attention.bias_k",
        "attention.bias_v",
        "recurrent.bias_ih_l0",
        "recurrent.bias_hh_l0",
    }


def test_a_tied_or_frozen_parameter_is_not_counted_twice_or_at_all() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5), nn.Linear(5, 2))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    assert names(model) == ({"0.weight"}, {"1.bias", "2.bias"})


def test_the_groups_of_a_converted_model_train() -> None:
    """As the README does it: scale and bias feel no decay, weights on the set feel it as a factor on the rate only."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    cwn.replace_batchnorm(model)
    assert names(model) == ({"0.weight", "3.weight"}, {"0.bias", "1.weight", "1.bias", "3.bias"})
    optimizer = torch.optim.SGD(cwn.param_groups(model, weight_decay=0.5), lr=0.1)
    constraint = cwn.constrain(optimizer, model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert constraint.violation() < 1e-6
    for name, p in model.named_parameters():
        factor = 0.95 if name == "3.weight" else 1.0  # the classifier is free and shrinks by 1 − αλ
        torch.testing.assert_close(p.detach(), factor * before[name], rtol=1e-6, atol=1e-7)


def test_no_decay_is_a_decay_too() -> None:
    assert names(nn.Linear(2, 2), 0.0) == ({"weight"}, {"bias"})
    with pytest.raises(ValueError, match=r"weight_decay must not be negative, got -0\.1"):
        cwn.param_groups(nn.Linear(2, 2), -0.1)
