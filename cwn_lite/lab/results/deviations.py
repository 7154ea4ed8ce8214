"""What a number rests on that the paper does not say, or says otherwise: to stand beside the number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data import SHAPES
from ..recipes import Recipe

# Sections 4.1.1-4.1.3: what the paper prints. The learning rates and decays are those of its method.
_WIDTHS = {("cnn", 9): 64, ("resnet", 110): 16, ("wrn", 28): 160}
_OURS = {"cnn": (0.1, 1e-3), "resnet": (0.2, 1e-3), "wrn": (0.2, 5e-3)}
_SCHEDULES = {"cnn": "constant", "resnet": "linear", "wrn": "linear"}


def deviations(recipe: Mapping[str, Any], data: str) -> list[str]:
    """Return in words where a recipe leaves the paper's CIFAR settings, then where it fills a gap in them.

    Args:
        recipe: its fields, as stored in a result.
        data: display name of the images.

    Example:
        >>> from dataclasses import asdict
        >>> from cwn_lite.lab.recipes import get
        >>> deviations(asdict(get("cnn-bn-e30")), "CIFAR-10")
        ['30 epochs, not 200', 'lr 0.1 and decay 0.0005 of all parameters: not printed']
    """
    r = Recipe(**recipe)
    return _changes(r, data) + _gaps(r)


def _changes(r: Recipe, data: str) -> list[str]:
    width = _WIDTHS.get((r.net, r.depth))
    title = SHAPES[r.data].title
    found = [
        (width is None, f"a network of {r.depth} layers and width {r.width}"),
        (width is not None and r.width != width, f"width {r.width}, not {width}"),
        (r.epochs != 200, f"{r.epochs} epoch{'s'[: r.epochs - 1]}, not 200"),
        (r.train_images is not None, f"{r.train_images} training images"),
        (r.validation > 0, f"tested on {r.validation} training images that are held out"),
        (data != title, f"images: {data}"),
        (r.augment == "none", "no augmentation"),
        (r.policy == "autoaugment", "AutoAugment, not Fast AutoAugment"),
        (r.batch not in ((4, 16, 128) if r.net == "wrn" and r.policy == "fastaa" else (128,)), f"batch {r.batch}"),
        (r.momentum != 0.9, f"momentum {r.momentum:g}"),
        (r.init_scale != 1, f"first weights times {r.init_scale:.2g}"),
        (r.warmup_epochs > 0, f"{r.warmup_epochs} epochs of warm-up"),
    ]
    if r.steps == "angular":
        turn = f"steps of AngularMuon: {r.lr:.3g} rad, AdamW at {r.rest:g} of it, pull {r.coherence_decay:g}"
        found.append((True, turn))
    if r.method == "ours":
        lr, decay = _OURS.get(r.net, (0.1, 1e-3))
        found += [
            (
                r.steps == "sgd" and (r.lr, r.weight_decay) != (lr * r.batch / 128, decay),
                f"lr {r.lr:.3g} and decay {r.weight_decay:g}",
            ),
            (r.c != 2, f"c = {r.c:.3g}, not 2"),
            (not r.centralize, "rows not centred"),
            (not r.spherize, "rows not on the sphere"),
            (r.decay_scale_bias, "decay of scale and bias, too"),
            (r.sigma > 0 and r.schedule != _SCHEDULES.get(r.net), f"{r.schedule} noise"),
            (r.sigma == 0, "no noise"),
        ]
    return [text for holds, text in found if holds]


def _gaps(r: Recipe) -> list[str]:
    ours = r.method == "ours"
    noisy = ours and r.sigma > 0
    decayed = "all parameters" if r.decay_scale_bias else "weights only"
    branches = r.net != "cnn" and r.method not in ("plain", "ws")
    found = [
        (noisy and r.net != "wrn", f"σ = {r.sigma:g}"),
        (noisy, f"noise per {'sample' if r.noise_per_sample else 'step'}"),
        (not ours and r.steps == "sgd", f"lr {r.lr:.3g} and decay {r.weight_decay:g} of {decayed}"),
        (branches and r.residual == "sum", f"γ of branches starts at {r.residual_gamma:.2g}"),
        (r.residual == "nf", f"branches scaled as in NF-ResNet, α = {r.residual_alpha:g}"),
        (r.ws_gain is not None and "ws" in r.method, f"rows of norm {r.ws_gain or 0:.3g}"),
        (r.groups != 16 and "gn" in r.method, f"{r.groups} groups, not 16"),
        (r.cutout > 0, f"Cutout of {r.cutout} pixels"),
        (ours and r.classifier != "free", f"classifier {r.classifier}"),
    ]
    return [f"{text}: not printed" for holds, text in found if holds]
