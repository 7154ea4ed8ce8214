"""Architectures from torchvision and timm, small ones: what is expected of each, and how it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from torch import Tensor, nn

from cwn_lite.lab.vision import import_torchvision

CLASSES = 5
# Why a scale stays: it is on a stream, or behind a concatenation, a split, an activation or a pooling.
STREAM = "no_linear_map"


@dataclass(frozen=True)
class Architecture:
    """What to build, and what the library is to make of it.

    Attributes:
        name: in ``torchvision.models`` or in timm.
        norms: number of its batch norms, all of which are to be replaced.
        kept: code of a reason -> number of scales that neither ``fuse`` nor ``fold`` moves.
        heads: names of its classifiers; ``None`` is what timm's ``get_classifier`` returns.
        size: of the input.
        options: for the function that builds it.
        guessed: its forward cannot be traced as a whole, so a warning says that its classifier is a guess.
    """

    name: str
    norms: int
    kept: Mapping[str, int]
    heads: frozenset[str] | None
    size: tuple[int, ...] = (2, 3, 32, 32)
    options: Mapping[str, Any] = field(default_factory=dict)
    guessed: bool = False

    def __str__(self) -> str:
        return f"{'timm' if self.heads is None else 'torchvision'}:{self.name}"


def vision(name: str, norms: int, heads: str, size: tuple[int, ...] = (2, 3, 32, 32), **options: Any) -> Architecture:
    """One of torchvision's; its classifiers are separated by spaces."""
    return Architecture(name, norms, {}, frozenset(heads.split()), size, options)


def image(name: str, norms: int, kept: Mapping[str, int] | int = 0, side: int = 32, **options: Any) -> Architecture:
    """One of timm's; where ``kept`` is a number, the reason is a stream."""
    reasons = {STREAM: kept} if isinstance(kept, int) and kept else kept or {}
    return Architecture(name, norms, reasons, None, (2, 3, side, side), options)


TORCHVISION = [
    vision("resnet50", 53, "fc", groups=32, width_per_group=1),  # a narrow ResNeXt
    vision("shufflenet_v2_x0_5", 56, "fc"),
    vision("mnasnet0_5", 52, "classifier.1"),
    vision("mobilenet_v3_small", 34, "classifier.3"),
    vision("regnet_x_400mf", 71, "fc"),
    vision("inception_v3", 94, "fc", (2, 3, 75, 75), aux_logits=False, init_weights=False),
    vision("googlenet", 59, "aux1.fc2 aux2.fc2 fc", aux_logits=True, init_weights=False),
    vision("lraspp_mobilenet_v3_large", 47, "classifier.low_classifier classifier.high_classifier"),
    vision("deeplabv3_mobilenet_v3_large", 54, "classifier.4 aux_classifier.4", (2, 3, 32, 32), aux_loss=True),
    vision("mc3_18", 20, "fc", (2, 3, 4, 24, 24)),
]
# Narrower than their names say, where timm offers it: the same layers, with a tenth of the arithmetic or less.
NARROW = {"channels": (16, 32, 64, 128)}
HALF = {"width_factor": 0.5}
TIMM = [
    image("test_resnet", 15),
    image("resnet10t", 15, **NARROW),
    image("seresnet18", 21, **NARROW),
    image("ecaresnext26t_32x4d", 30, **NARROW),
    image("skresnet18", 37, **NARROW),
    image("resnest14d", 22, **NARROW),
    image("res2next50", 30, layers=(1, 1, 2, 1), channels=(32, 64, 128, 256)),
    image("resnetv2_18", 17, 9, **NARROW),
    image("legacy_seresnet18", 20),
    image("mobilenetv1_100", 27),
    image("mobilenetv2_035", 52),
    image("mobilenetv3_small_050", 34),
    image("mobilenetv4_conv_small_035", 46),
    image("lcnet_035", 27),
    image("mnasnet_small", 46),
    image("test_efficientnet", 13),
    image("tf_efficientnet_lite0", 49, {"own_forward": 5}),
    image("mixnet_s", 49, 34),
    image("ghostnet_050", 80),
    image("repvgg_a0", 61, 17, **HALF),
    image("seresnext26ts", 31, **HALF),
    image("lambda_resnet26t", 37, 9, **HALF),
    image("regnety_002", 44),
    image("dla46x_c", 48),
    image("hrnet_w18_small", 91),
    image("hgnetv2_b0", 42),
    image("cs3darknet_focus_s", 31),
    image("darknet17", 16),
    image("dpn48b", 54, 21, k_r=32),
    image("densenet121", 21, 12, growth_rate=8, block_config=(2, 2, 2, 2)),
    image("lcnetv2_small", 37),
    image("rexnet_100", 62),
    image("fastvit_t8", 70, 24),
    image("fasternet_t0", 17),
    image("starnet_s050", 18, 1),
    image("levit_128s", 52, 48, 64, img_size=64, embed_dim=(64, 96, 128)),
    image("inception_next_atto", 16, 15),
    image("test_coatnet", 7, {STREAM: 1, "other_uses": 1}, 160),
    image("ese_vovnet19b_slim_dw", 22),
    replace(image("mobilevit_xxs", 32), guessed=True),
]


def build(case: Architecture) -> nn.Module:
    """Return the network for 5 classes, with random values; skip the test where its library is not installed."""
    if case.heads is None:
        import_library()
        timm = pytest.importorskip("timm", reason="timm is not installed")
        return timm.create_model(case.name, num_classes=CLASSES, **case.options)
    models = import_library().models
    backbone = {"weights_backbone": None} if "aux_loss" in case.options or "lraspp" in case.name else {}
    return models.get_model(case.name, weights=None, num_classes=CLASSES, **backbone, **case.options)


def import_library() -> Any:
    """Return torchvision. timm imports it, too, and where its operators are missing, this one has to be first."""
    try:
        return import_torchvision()
    except ImportError:
        pytest.skip("torchvision is not installed")


def classifiers(case: Architecture, model: nn.Module) -> frozenset[str]:
    """Return the names of the layers that are known to be classifiers."""
    if case.heads is not None:
        return case.heads
    found = model.get_classifier()
    heads = set(found.modules()) if isinstance(found, nn.Module) else {m for head in found for m in head.modules()}
    return frozenset(name for name, m in model.named_modules() if m in heads and isinstance(m, nn.Linear | nn.Conv2d))


def outputs(value: Any) -> list[Tensor]:
    """Return the tensors in an output: auxiliary classifiers give several, in a tuple or a dict."""
    if isinstance(value, Tensor):
        return [value]
    return list(value.values()) if isinstance(value, dict) else [part for part in value if part is not None]
