"""What a number rests on that the paper does not say, or says otherwise: to stand beside the number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data.kinds import title
from ..recipes import Recipe
from ..recipes.nets import CNN, DGCNN, ImageNetResNet, MobileNetV2, ResNet, Torchvision
from ..recipes.parts import (
    CWO,
    SGD,
    Angular,
    GroupNorm,
    Images,
    Photographs,
    Points,
    Standardization,
)

# Sections 4.1.1-4.1.3, 4.2.1 and 4.3.1: what the paper prints. The learning rates and decays are those of its method.
_WIDTHS = {("cnn", 9): 64, ("resnet", 110): 16, ("wrn", 28): 160, ("imagenet-resnet", 50): 64}
_OURS = {"cnn": (0.1, 1e-3), "resnet": (0.2, 1e-3), "wrn": (0.2, 5e-3), "dgcnn": (0.1, 1e-4)}
_SCHEDULES = {"cnn": "constant", "resnet": "linear", "wrn": "linear"}

# Whether something is so, and what to say then.
Words = tuple[bool, str]


def deviations(recipe: Mapping[str, Any], data: str) -> list[str]:
    """Return in words where a recipe leaves the paper's settings, then where it fills a gap in them.

    Args:
        recipe: its fields, as stored in a result.
        data: display name of the images or clouds.

    Example:
        >>> from cwn_lite.lab.recipes import get
        >>> deviations(get("cnn-bn-e30").values(), "CIFAR-10")
        ['30 epochs, not 200', 'lr 0.1 and decay 0.0005 of all parameters: not printed']
    """
    r = Recipe.of(**recipe)
    changed = [*_net(r), *_data(r, data), *_training(r), *_method(r)]
    return [text for holds, text in changed if holds] + [f"{text}: not printed" for holds, text in _gaps(r) if holds]


def _net(r: Recipe) -> list[Words]:
    if isinstance(r.net, DGCNN):
        return [(r.net.width != 64, f"width {r.net.width}, not 64"), (r.net.k != 20, f"{r.net.k} neighbours, not 20")]
    if isinstance(r.net, MobileNetV2):
        return [(True, "torchvision's mobilenet_v2")]
    if isinstance(r.net, Torchvision):
        return [(True, f"torchvision's {r.net.architecture}")]
    width = _WIDTHS.get((r.net.kind, r.net.depth))
    dropout = r.net.stage_dropout if isinstance(r.net, CNN) else 0.0
    return [
        (dropout > 0, f"dropout of {dropout:g} behind each stage"),
        (width is None, f"a network of {r.net.depth} layers and width {r.net.width}"),
        (width is not None and r.net.width != width, f"width {r.net.width}, not {width}"),
    ]


def _data(r: Recipe, name: str) -> list[Words]:
    images, other = r.data, name != title(r.data.kind)
    if isinstance(images, Photographs):
        return [
            (images.side != 224, f"{images.side} pixels, not 224"),
            (images.validation > 0, f"tested on {images.validation} training images that are held out"),
            (other, f"images: {name}"),
            (images.augment == "none", "no augmentation"),
        ]
    if isinstance(images, Points):
        return [
            (images.points != 1024, f"{images.points} points, not 1024"),
            (images.validation > 0, f"tested on {images.validation} training clouds that are held out"),
            (other, f"clouds: {name}"),
            (images.augment == "none", "no augmentation"),
        ]
    return [
        (images.train_images is not None, f"{images.train_images} training images"),
        (images.validation > 0, f"tested on {images.validation} training images that are held out"),
        (other, f"images: {name}"),
        (images.augment == "none", "no augmentation"),
        (images.augment == "crop2-flip", "crops that move an image by 2 pixels, not 4"),
        (images.policy == "autoaugment", "AutoAugment, not Fast AutoAugment"),
    ]


def _training(r: Recipe) -> list[Words]:
    t, photographs = r.training, isinstance(r.data, Photographs)
    # Of point clouds the paper says only that all is as in DGCNN's paper, of ImageNet not how many epochs.
    epochs = {Points: 250, Photographs: t.epochs}.get(type(r.data), 200)
    batches: tuple[int, ...] = {Points: (32,), Photographs: (256,)}.get(type(r.data), (128,))
    if isinstance(r.data, Images) and r.net.kind == "wrn" and r.data.policy == "fastaa":
        batches = (4, 16, 128)
    stairs = f"a tenth of the rate after every {t.drop_every} epochs"
    found = [
        (t.epochs != epochs, f"{t.epochs} epoch{'s'[: t.epochs - 1]}, not {epochs}"),
        (t.batch not in batches, f"batch {t.batch}"),
        (t.momentum != 0.9, f"momentum {t.momentum:g}"),
        (t.init_scale != 1, f"first weights times {t.init_scale:.2g}"),
        (t.warmup_epochs > 0, f"{t.warmup_epochs} epochs of warm-up"),
        (t.clip > 0, f"adaptive clipping at {t.clip:g}"),
        (t.label_smoothing > 0, f"labels smoothed by {t.label_smoothing:g}"),
        (t.accumulate > 1, f"gradients of {t.accumulate} pieces of a batch"),
        (not photographs and t.drop_every is not None, f"{stairs}, no cosine"),
        (photographs and t.drop_every is None, "a cosine, not a tenth of the rate at 30, 60 and 90 epochs"),
        (photographs and t.drop_every not in (None, 30), f"{stairs}, not 30"),
    ]
    if isinstance(t, Angular):
        turn = f"steps of AngularMuon: {t.lr:.3g} rad, AdamW at {t.rest:g} of it, pull {t.coherence_decay:g}"
        found.append((True, turn))
        free = "AdamW for depthwise rows, which are not constrained"
        found.append((t.depthwise != 1, f"depthwise rows at {t.depthwise:g} of the angle" if t.depthwise else free))
        found.append((t.coherence_decay_every > 1, f"pull of {t.coherence_decay_every} steps at once"))
        found.append((t.orthogonalize_every > 1, f"orthogonalized anew every {t.orthogonalize_every} steps"))
    return found


def _method(r: Recipe) -> list[Words]:
    method, t = r.method, r.training
    if not isinstance(method, CWO):
        return []
    lr, decay = _OURS.get(r.net.kind, (0.1, 1e-3))
    usual = _SCHEDULES.get(r.net.kind, method.schedule)
    found = [
        (method.c != 2, f"c = {method.c:.3g}, not 2"),
        (not method.centralize, "rows not centred"),
        (method.mixing, "depthwise rows not centred"),
        (method.gates, "scales behind gates start twice as large"),
        (not method.spherize, "rows not on the sphere"),
        (method.sigma > 0 and method.schedule != usual, f"{method.schedule} noise"),
        (method.noise_rises, "noise that rises over the epochs"),
        (method.sigma == 0 and not isinstance(r.data, Photographs), "no noise"),
    ]
    if isinstance(t, SGD) and isinstance(r.data, Photographs):
        found.insert(0, (t.lr != 0.1 * t.batch / 256, f"lr {t.lr:.3g}"))
    elif isinstance(t, SGD):
        printed = (lr * t.batch / (32 if isinstance(r.data, Points) else 128), decay)
        found.insert(0, ((t.lr, t.weight_decay) != printed, f"lr {t.lr:.3g} and decay {t.weight_decay:g}"))
        found.insert(4, (t.decay_scale_bias, "decay of scale and bias, too"))
    return found


def _gaps(r: Recipe) -> list[Words]:
    found: list[Words] = []
    method, net, t = r.method, r.net, r.training
    if isinstance(r.data, Photographs):
        found.append((True, f"{t.epochs} epochs"))
        found.append((isinstance(method, CWO) and isinstance(t, SGD), f"decay {t.weight_decay:g}"))
        found.append((isinstance(method, CWO) and method.sigma == 0, "no noise"))
    if isinstance(method, CWO) and method.sigma > 0:
        found += [
            (net.kind not in ("wrn", "dgcnn"), f"σ = {method.sigma:g}"),
            (True, f"noise per {'sample' if method.noise_per_sample else 'step'}"),
        ]
    if isinstance(t, SGD) and not isinstance(method, CWO):
        decayed = "all parameters" if t.decay_scale_bias else "weights only"
        found.append((True, f"lr {t.lr:.3g} and decay {t.weight_decay:g} of {decayed}"))
    nf = isinstance(net, ResNet) and net.residual == "nf"
    if isinstance(net, ResNet | ImageNetResNet):
        scaled = method.kind not in ("plain", "ws") and not nf
        scaled |= method.kind == "plain" and isinstance(net, ImageNetResNet)
        found.append((scaled, f"γ of branches starts at {net.residual_gamma:.2g}"))
    if isinstance(net, ResNet):
        found.append((nf, f"branches scaled as in NF-ResNet, α = {net.residual_alpha:g}"))
    if isinstance(method, Standardization):
        found.append((method.ws_gain is not None, f"rows of norm {method.ws_gain or 0:.3g}"))
    if isinstance(method, GroupNorm):
        found.append((method.groups != 16, f"{method.groups} groups, not 16"))
    if isinstance(r.data, Images):
        found.append((r.data.cutout > 0, f"Cutout of {r.data.cutout} pixels"))
    if isinstance(method, CWO):
        found.append((method.classifier != "free", f"classifier {method.classifier}"))
    return found
