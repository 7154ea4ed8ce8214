"""Networks with the settings that go with them: the paper's for ours, the usual ones for the baselines."""

from __future__ import annotations

from typing import Any

# Section 4.1.1: the learning rate and weight decay of ours, and no decay of scale and bias.
OURS_CNN: dict[str, Any] = {"lr": 0.1, "weight_decay": 1e-3, "decay_scale_bias": False}
OURS_RESNET: dict[str, Any] = {"lr": 0.2, "weight_decay": 1e-3, "decay_scale_bias": False}
OURS_WRN: dict[str, Any] = {"lr": 0.2, "weight_decay": 5e-3, "decay_scale_bias": False}
# The paper prints no values for its baselines. These are the usual ones for CIFAR; torch's SGD decays all it holds.
BASELINE: dict[str, Any] = {"lr": 0.1, "weight_decay": 5e-4, "decay_scale_bias": True}

CNN: dict[str, Any] = {"net": "cnn", "depth": 9, "width": 64}
RESNET_110: dict[str, Any] = {"net": "resnet", "depth": 110, "width": 16}
WRN_28_10: dict[str, Any] = {"net": "wrn", "depth": 28, "width": 160}
# A quarter of the paper's CNN in width: what two CPU cores can train.
CNN_QUARTER: dict[str, Any] = {**CNN, "width": 16}
RESNET_20: dict[str, Any] = {"net": "resnet", "depth": 20, "width": 16}
# Images of half the side cost a fourth: two CPU cores can train a residual network with every method and rate.
HALF: dict[str, Any] = {"data": "cifar10-half", "augment": "crop2-flip"}
RESNET_18: dict[str, Any] = {"net": "imagenet-resnet", "depth": 18, "width": 64, "data": "imagenette64"}
DIGITS: dict[str, Any] = {"data": "digits", "augment": "none", "width": 16, "batch": 64, "epochs": 8}


def linear_rule(settings: dict[str, Any], batch: int, usual: int = 128) -> dict[str, Any]:
    """Return settings for another batch size: the learning rate goes with it in proportion (section 4.1.3).

    Example:
        >>> linear_rule(BASELINE, 16)["lr"]
        0.0125
    """
    return {**settings, "batch": batch, "lr": settings["lr"] * batch / usual}
