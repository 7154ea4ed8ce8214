"""A stack of linear layers on the handwritten digits: small enough to watch each row at each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

import cwn_lite as cwn

from ..data import Dataset, load
from ..measure import trained_weight

KINDS = ("ws-scaled", "ws+gn", "ours")
"""Scaled Weight Standardization, the same before a group norm, and free rows for `constrain`."""


def stack(
    kind: str, *, depth: int = 2, width: int = 48, scale: float = 1.0, gain: float = 2**0.5, seed: int = 0
) -> tuple[nn.Sequential, list[Tensor]]:
    """Return linear layers with ReLUs and a free classifier, and the tensors behind their rows.

    Args:
        kind: one of `KINDS`; rows of ``ours`` are free until the caller constrains them.
        depth: linear layers before the classifier.
        width: units of each, a multiple of 8 (the groups of the group norm).
        scale: factor on He's first weights.
        gain: norm of the standardized rows.
        seed: of the first weights.

    Raises:
        ValueError: there is no such kind.

    Example:
        >>> model, rows = stack("ws-scaled", width=8)
        >>> [tuple(w.shape) for w in rows], round(model[0].weight[0].norm().item(), 3)
        ([(8, 64), (8, 8)], 1.414)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    torch.manual_seed(seed)
    modules: list[nn.Module] = []
    rows: list[Tensor] = []
    for i in range(depth):
        layer = nn.Linear(width if i else 64, width)
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        with torch.no_grad():
            layer.weight.mul_(scale)
        if kind != "ours":
            cwn.weight_standardization(layer, gain=gain)
        rows.append(trained_weight(layer))
        modules += [layer, *([nn.GroupNorm(8, width)] if kind == "ws+gn" else []), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(width, 10)), rows


def sgd(
    model: nn.Module,
    rows: list[Tensor],
    lr: float,
    weight_decay: float,
    *,
    rest_lr: float | None = None,
    momentum: float = 0.0,
) -> torch.optim.SGD:
    """Return SGD in which only the rows have weight decay, and the rest its own learning rate if there is one.

    Args:
        model: of `stack`.
        rows: of `stack`; the first group.
        lr: of the rows, and of the rest unless ``rest_lr`` says otherwise.
        weight_decay: of the rows.
        rest_lr: of biases, group norms and classifier.
        momentum: of all.

    Example:
        >>> model, rows = stack("ours", depth=1, width=8)
        >>> [group["weight_decay"] for group in sgd(model, rows, 0.1, 0.01).param_groups]
        [0.01, 0]
    """
    rest = [p for p in model.parameters() if all(p is not row for row in rows)]
    groups: list[dict[str, Any]] = [{"params": rows, "lr": lr, "weight_decay": weight_decay}, {"params": rest}]
    return torch.optim.SGD(groups, lr=lr if rest_lr is None else rest_lr, momentum=momentum)


def digit_pixels() -> tuple[Tensor, Tensor]:
    """Return the digits of the training set, ``(images, 64)`` in the default dtype with mean 0 and variance 1.

    Returns:
        Images and labels.

    Example:
        >>> images, labels = digit_pixels()
        >>> images.shape == (len(labels), 64), bool(images.mean().abs() < 1e-5)
        (True, True)
    """
    digits = load("digits")
    assert isinstance(digits, Dataset)
    images = digits.train_images.flatten(1).to(torch.get_default_dtype())
    return (images - images.mean()) / images.std(), digits.train_labels


def batches(steps: int, *, size: int = 32, seed: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield that many random batches of `digit_pixels`.

    Args:
        steps: how many.
        size: images in a batch.
        seed: of the draws.

    Example:
        >>> [tuple(x.shape) for x, _ in batches(2, size=5)]
        [(5, 64), (5, 64)]
    """
    images, labels = digit_pixels()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        index = torch.randint(len(images), (size,), generator=generator)
        yield images[index], labels[index]


def set_gradients(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Set the gradients of one batch.

    Args:
        model: of `stack`.
        x: images.
        y: labels.

    Returns:
        The cross-entropy of the batch.

    Example:
        >>> model, rows = stack("ours", depth=1, width=8)
        >>> loss = set_gradients(model, *next(batches(1)))
        >>> loss > 0, rows[0].grad.shape == rows[0].shape
        (True, True)
    """
    loss = nn.functional.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    return float(loss.detach())
