"""The paper's own CIFAR settings: Tables 1 and 2, and a search of learning rate and decay that the paper lacks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from .recipe import METHODS, Recipe
from .settings import BASELINE, CNN, DIGITS, OURS_CNN, OURS_RESNET, OURS_WRN, RESNET_110, WRN_28_10, linear_rule

FIVE = ("ours", "bn", "gn", "ws+bn", "ws+gn")
"""The methods of Table 1."""

TUNED_LR = (0.03, 0.1, 0.3, 1.0)
TUNED_DECAY = (5e-4, 1e-3, 5e-3)

# The paper does not print the sigma of the CNN and of ResNet-110. For the CNN we take the smallest level of Table 4:
# twice that holds a narrow network back. A WideResNet's is printed.
_NETWORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cnn": (CNN, {**OURS_CNN, "sigma": 0.1, "schedule": "constant"}),
    "resnet110": (RESNET_110, {**OURS_RESNET, "sigma": 1.0, "schedule": "linear"}),
    # In a pre-activation network a branch cannot start at 0: 1 / sqrt(12 blocks) for ours, the usual 1 behind a norm.
    "wrn28x10": (
        {**WRN_28_10, "residual_gamma": 1.0},
        {**OURS_WRN, "sigma": 1.0, "schedule": "linear", "residual_gamma": 12**-0.5},
    ),
}
_DATA: dict[str, dict[str, Any]] = {"": {"data": "cifar10"}, "-c100": {"data": "cifar100"}}
# The paper couples Fast AutoAugment with Cutout and does not say how large; 16 is Cutout's for CIFAR-10.
_AUGMENT: dict[str, dict[str, Any]] = {"": {}, "-fastaa": {"policy": "fastaa", "cutout": 16}}


def cells_of_table_1() -> dict[tuple[str, str, str, str], Recipe]:
    """Return (data, augmentation, network, method) as ``results/paper/table1.json`` has them -> recipe."""
    networks = {"cnn": "cnn", "resnet110": "resnet-110", "wrn28x10": "wideresnet-28-10"}
    return {
        (_DATA[data]["data"], augment.strip("-") or "standard", networks[net], method): _recipe(
            net, method, f"{data}{augment}-e200", **_DATA[data], **_AUGMENT[augment]
        )
        for net, data, augment, method in product(_NETWORKS, _DATA, _AUGMENT, FIVE)
    }


def table_1() -> Iterator[Recipe]:
    """Yield Table 1, each network also with a short schedule, and the CNN with all methods and with AutoAugment."""
    for net in _NETWORKS:
        for method, epochs in product(METHODS if net == "cnn" else FIVE, (30, 200)):
            yield _recipe(net, method, f"-e{epochs}", epochs=epochs)
    yield from cells_of_table_1().values()
    for method in FIVE:
        yield _recipe("cnn", method, "-autoaugment-e200", policy="autoaugment", cutout=16)


def table_2() -> Iterator[Recipe]:
    """Yield Table 2: the batch sizes that Table 1 does not have; and the same for the CNN, with group norm."""
    for data, batch, method in product(_DATA, (4, 16), ("ours", "bn")):
        name = f"{data}-fastaa-b{batch}-e200"
        yield _recipe("wrn28x10", method, name, "batch-", batch=batch, **_DATA[data], **_AUGMENT["-fastaa"])
    for batch, method in product((4, 16), ("ours", "bn", "gn")):
        yield _recipe("cnn", method, f"-b{batch}-e30", "batch-", batch=batch, epochs=30)


def tuning() -> Iterator[Recipe]:
    """Yield equal searches for ours and batch norm, judged on training images that are held out: twelve trials each."""
    common: dict[str, Any] = {"decay_scale_bias": False}
    for name, end, fields in (
        ("cnn", "-e30", {**CNN, "validation": 5000, "epochs": 30}),
        ("digits", "", {**DIGITS, "depth": 6, "validation": 270}),
    ):
        for lr, decay, method in product(TUNED_LR, TUNED_DECAY, ("ours", "bn")):
            trial = f"tune-{name}-{method}-lr{lr:g}-wd{decay:g}{end}"
            yield Recipe.of(name=trial, method=method, lr=lr, weight_decay=decay, **fields, **common)


def tuned() -> Iterator[Recipe]:
    """Yield what the search on digits found best in the mean over five seeds, on all training images."""
    for method, decay in (("ours", 5e-4), ("bn", 5e-3)):
        settings: dict[str, Any] = {"lr": 0.1, "weight_decay": decay, "decay_scale_bias": False}
        yield Recipe.of(name=f"tuned-digits-{method}", method=method, **DIGITS, depth=6, **settings)


def _recipe(net: str, method: str, suffix: str, prefix: str = "", batch: int = 128, **changes: Any) -> Recipe:
    network, ours = _NETWORKS[net]
    settings = linear_rule(ours if method == "ours" else BASELINE, batch)
    return Recipe.of(name=f"{prefix}{net}-{method}{suffix}", method=method, **{**network, **settings, **changes})
