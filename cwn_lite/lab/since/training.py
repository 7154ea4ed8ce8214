"""One run: the same network, images, batches and steps of all but the rows, whatever the idea."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn

from ..data.dataset import Dataset
from ..measure import trained_weight
from ..nets.networks import CNN
from ..seeding import generator
from ..training.clip import clip_
from .directions import Direction
from .ideas import IDEAS, Idea


@dataclass(frozen=True)
class Setting:
    """What all ideas share.

    Attributes:
        depth: convolutions of the network.
        width: channels of its first stage.
        epochs: passes over the training images.
        batch: images per step.
        held_out: training images that are kept to judge by; 0 judges on the test set.
        rest: AdamW's rate for scales, biases and the classifier.
    """

    depth: int = 9
    width: int = 8
    epochs: int = 4
    batch: int = 64
    held_out: int = 0
    rest: float = 0.005


@dataclass(frozen=True)
class Trained:
    """What a run left.

    Attributes:
        error: error in % on the held-out or test images, 90 if the loss was lost.
        train_error: error in % over the batches of the last epoch.
        diverged: whether a loss was not finite.
        model: the network.
        turns: root mean square angle in radians by which rows turned, for each step.
    """

    error: float
    train_error: float
    diverged: bool
    model: nn.Module
    turns: list[float]


def layers(model: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions, whose rows ideas train."""
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def build(idea: Idea, setting: Setting, seed: int) -> CNN:
    """Build the network with the forward of an idea; rows start from the same draw for all.

    Args:
        idea: what it is for.
        setting: its size.
        seed: of the draw.

    Example:
        >>> model = build(IDEAS["cwo"], Setting(depth=3), 0)
        >>> rows = layers(model)[1].weight.flatten(1)
        >>> bool((rows.square().sum(1) - cwn.C_CENTERED).abs().max() < 1e-5)
        True
    """
    model = CNN(setting.depth, setting.width, in_channels=1, norm=idea.norm)
    draws = generator(seed, "init")
    with torch.no_grad():
        for layer in layers(model):
            rows = torch.randn(layer.weight.flatten(1).shape, generator=draws)
            layer.weight.copy_(cwn.project_rows(rows, idea.c, centralize=idea.centred).view_as(layer.weight))
        last = model[-1]
        assert isinstance(last, nn.Linear)
        last.weight.copy_(torch.randn(last.weight.shape, generator=draws) / math.sqrt(last.in_features))
        last.bias.zero_()
    for layer in layers(model):
        if idea.wrap is not None:
            idea.wrap(layer, idea.c)
    return model


def train(name: str, lr: float, data: Dataset, seed: int = 0, setting: Setting = Setting()) -> Trained:
    """Train once.

    Rows take the steps of the idea at a rate that falls to zero as a cosine; scales, biases, the classifier and what
    an idea trains besides take AdamW's.

    Args:
        name: key of ``IDEAS``.
        lr: rate of the rows at the first step.
        data: images with one channel.
        seed: of the first weights and of the batches.
        setting: what all ideas share.

    Example:
        >>> from cwn_lite.lab.data import load
        >>> tiny = Setting(depth=3, width=4, epochs=1)
        >>> train("cwo", 0.1, load("digits"), setting=tiny).diverged
        False
    """
    idea = IDEAS[name]
    model = build(idea, setting, seed)
    (x, y), judged = _images(data, setting.held_out)
    weights = [trained_weight(layer) for layer in layers(model)]
    directions: list[Direction] = [idea.direction() for _ in weights]
    held = {id(weight) for weight in weights}
    free = [p for p in model.parameters() if id(p) not in held]
    optimizer = torch.optim.AdamW(free, setting.rest, betas=(0.9, 0.99), weight_decay=0.0)
    clipped = list(model.parameters())[:-2]  # all but the classifier
    steps = setting.epochs * (len(y) // setting.batch)
    turns: list[float] = []
    wrong = seen = done = 0
    for epoch in range(setting.epochs):
        order = torch.randperm(len(y), generator=generator(seed, "epoch", epoch))
        wrong = seen = 0
        for first in range(0, len(y) - setting.batch + 1, setting.batch):
            chosen = order[first : first + setting.batch]
            logits = model(x[chosen])
            loss = F.cross_entropy(logits, y[chosen])
            if not bool(torch.isfinite(loss)):
                return Trained(90.0, 90.0, True, model, turns)
            wrong, seen = wrong + int((logits.argmax(1) != y[chosen]).sum()), seen + len(chosen)
            model.zero_grad()
            loss.backward()
            if idea.clip is not None:
                clip_(clipped, idea.clip)
            factor = (1 + math.cos(math.pi * done / steps)) / 2
            for group in optimizer.param_groups:
                group["lr"] = factor * setting.rest
            optimizer.step()
            turns.append(_step(idea, weights, directions, factor * lr))
            done += 1
    return Trained(_error(model, *judged), 100 * wrong / seen, False, model, turns)


@torch.no_grad()
def _step(idea: Idea, weights: list[Tensor], directions: list[Direction], lr: float) -> float:
    """Step all weights, and return how far their rows turned."""
    total, count = 0.0, 0
    for weight, direction in zip(weights, directions, strict=True):
        assert weight.grad is not None
        rows = weight.flatten(1)
        new = idea.move(rows, direction(rows, weight.grad.flatten(1)), lr)
        new = new if idea.back is None else idea.back(new)
        cosines = F.cosine_similarity(rows, new, dim=1).clamp(-1, 1)
        total, count = total + float(cosines.acos().square().sum()), count + len(rows)
        weight.copy_(new.view_as(weight))
    return math.sqrt(total / count)


@torch.no_grad()
def _error(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    wrong = int((model(x).argmax(1) != y).sum())
    model.train()
    return 100 * wrong / len(y)


def _images(data: Dataset, held_out: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return what to train on and what to judge by, in float32 with the training pixels at mean 0 and variance 1."""

    def ready(images: Tensor) -> Tensor:
        return (images.float() - data.mean.view(-1, 1, 1)) / data.std.view(-1, 1, 1)

    x, y = ready(data.train_images), data.train_labels
    if not held_out:
        return (x, y), (ready(data.test_images), data.test_labels)
    order = torch.randperm(len(y), generator=generator(0, "held out"))
    kept, judged = order[held_out:], order[:held_out]
    return (x[kept], y[kept]), (x[judged], y[judged])
