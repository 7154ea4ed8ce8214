"""Steps by an angle: the search for a recommended recipe on held-out images, then the recipe beside batch norm."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from cwn_lite import C_CENTERED

from .recipe import Recipe
from .settings import BASELINE, CNN, CNN_QUARTER, DIGITS, HALF, OURS_CNN, OURS_RESNET, RESNET_18, RESNET_20

ANGULAR: dict[str, Any] = {"steps": "angular", "lr": 0.015, "weight_decay": 0.05, "decay_scale_bias": False}
OURS: dict[str, Any] = {**ANGULAR, "method": "ours", "c": C_CENTERED}
BN: dict[str, Any] = {**ANGULAR, "method": "bn", "coherence_decay": 0.0}
COMPARED: dict[str, dict[str, Any]] = {"ours": OURS, "bn": BN}
# What one would pick instead, without batch statistics; the raw tensor behind each weight takes the steps.
RIVALS: dict[str, dict[str, Any]] = {
    "gn": {**BN, "method": "gn"},
    "ws+gn": {**BN, "method": "ws+gn"},
    "ws-scaled": {**BN, "method": "ws", "ws_gain": C_CENTERED**0.5},
    "cwn": {**BN, "method": "cwn"},
    "plain": {**BN, "method": "plain"},
}

# What screens; residual branches start at one over the root of their number.
_HELD_OUT = {**DIGITS, "validation": 270}
SCREENS: dict[str, dict[str, Any]] = {
    "digits": {**CNN, **_HELD_OUT},
    "digits32": {"net": "resnet", "depth": 32, "residual_gamma": 15**-0.5, **_HELD_OUT},
    "cnn16": {**CNN_QUARTER, "train_images": 10_000, "validation": 5000, "epochs": 6},
    "resnet20": {**RESNET_20, "residual_gamma": 9**-0.5, "train_images": 10_000, "validation": 5000, "epochs": 6},
}
SCREENS["resnet20-half"] = {**SCREENS["resnet20"], **HALF}
# Where strengths of the pull, rates of AdamW, rates in between and batch norm with full branches were tried, too.
_TUNED = ("digits", "digits32", "cnn16")
RATES = (0.005, 0.015, 0.045)
# On this screen errors were still falling at the largest of them, for all methods.
_WIDER = {"resnet20-half": (*RATES, 0.1)}


def rates(screen: str) -> tuple[float, ...]:
    """Return the angles that all methods are given on a screen.

    Example:
        >>> rates("cnn16"), rates("resnet20-half")
        ((0.005, 0.015, 0.045), (0.005, 0.015, 0.045, 0.1))
    """
    return _WIDER.get(screen, RATES)


def search() -> Iterator[Recipe]:
    """Yield the screening runs: rates, strengths of the pull and rates of AdamW, judged on held-out images."""
    for screen, fields in SCREENS.items():
        for lr, method in product(rates(screen), COMPARED):
            yield Recipe.of(name=f"search-{screen}-{method}-lr{lr:g}", **{**fields, **COMPARED[method], "lr": lr})
        for lr, method in product(RATES[1:], COMPARED):  # the angle rises from zero over the first epoch
            changes = {"lr": lr, "warmup_epochs": 1}
            name = f"search-{screen}-{method}-lr{lr:g}-warmup"
            yield Recipe.of(name=name, **{**fields, **COMPARED[method], **changes})
        for lr, (rival, own) in product(rates(screen), rivals(fields["net"]).items()):
            yield Recipe.of(name=f"search-{screen}-{rival}-lr{lr:g}", **{**fields, **own, "lr": lr})
        if screen not in _TUNED:
            continue
        for lr, pull in product(RATES[1:], (0.0, 0.3, 3.0)):
            changes = {"lr": lr, "coherence_decay": pull}
            yield Recipe.of(name=f"search-{screen}-ours-lr{lr:g}-pull{pull:g}", **{**fields, **OURS, **changes})
        for lr, rest in product(RATES[1:], (0.07, 0.6)):
            yield Recipe.of(
                name=f"search-{screen}-ours-lr{lr:g}-rest{rest:g}", **{**fields, **OURS, "lr": lr, "rest": rest}
            )
        if fields["net"] == "resnet":  # what batch norm does with branches that start at 1
            yield Recipe.of(name=f"search-{screen}-bn-gamma1-lr0.015", **{**fields, **BN, "residual_gamma": 1.0})
        for lr in (0.03, 0.06, 0.1):
            for method in COMPARED:
                yield Recipe.of(name=f"search-{screen}-{method}-lr{lr:g}", **{**fields, **COMPARED[method], "lr": lr})


CLIP = 0.02  # largest gradient of a row over its length
SGD_RATES = (0.03, 0.1, 0.3, 1.0)
# Branches of NF-ResNets: what keeps the stream of a residual network where a method has no scale to start small.
NF: dict[str, Any] = {"residual": "nf", "residual_alpha": 0.2}
NO_SCALE = ("ws", "cwn", "plain")


def rivals(net: str) -> dict[str, dict[str, Any]]:
    """Return name -> settings with angular steps of what one would pick instead, on a kind of network."""
    return {name: _on(net, own) for name, own in RIVALS.items()}


def with_sgd(net: str) -> dict[str, dict[str, Any]]:
    """Return name -> settings with SGD: batch norm, CWO as printed and from the start of ours, and what competes.

    Scaled Weight Standardization with adaptive clipping on the branches of NF-ResNets is what these train with; so that
    clipping is not what is compared, ours has it, too.
    """
    printed = OURS_CNN if net == "cnn" else OURS_RESNET
    scaled = {"method": "ws", "ws_gain": C_CENTERED**0.5, "decay_scale_bias": False}
    found = {
        "bn-sgd": {**BASELINE, "method": "bn"},
        "ours-sgd": {**printed, "method": "ours", "c": C_CENTERED},
        "ours-agc": {**printed, "method": "ours", "c": C_CENTERED, "clip": CLIP},
        "ws-scaled-agc" if net == "cnn" else "nf-agc": {**scaled, "clip": CLIP, "weight_decay": 5e-4},
        "ws-scaled-sgd": {**scaled, "weight_decay": 5e-4},
        "printed-sgd": {**printed, "method": "ours", **({} if net == "cnn" else {"residual_gamma": 1.0})},
        **{f"{method}-sgd": {**BASELINE, "method": method} for method in ("gn", "ws+gn", "cwn", "plain")},
    }
    return {name: _on(net, own) for name, own in found.items()}


def _on(net: str, own: dict[str, Any]) -> dict[str, Any]:
    return {**own, **NF} if net == "resnet" and own["method"] in NO_SCALE else own


def search_with_sgd() -> Iterator[Recipe]:
    """Yield a decade and a half of SGD's rates, judged on the same held-out images."""
    for (screen, fields), lr in product(SCREENS.items(), SGD_RATES):
        for method, own in with_sgd(fields["net"]).items():
            yield Recipe.of(name=f"search-{screen}-{method}-lr{lr:g}", **{**fields, **own, "lr": lr})


# The same number of images and epochs as in the screens, but for the photographs, for ResNet-20 with all images of half
# the side, and for the paper's CNN in full, which wants a GPU; now with the test set.
FINALS: dict[str, dict[str, Any]] = {
    **{name: {**SCREENS[name], "validation": 0} for name in ("cnn16", "resnet20")},
    "resnet20-all": {**SCREENS["resnet20-half"], "train_images": None, "validation": 0},
    "resnet18": {**RESNET_18, "residual_gamma": 8**-0.5, "epochs": 5},
    "cnn": {**CNN, "epochs": 30},
}


def finals() -> Iterator[Recipe]:
    """Yield the recommended recipe and batch norm with the same steps, at the rate, a third and three times of it.

    Beside them the method as printed and batch norm, both with SGD and with branches that start at 1, which is what
    networks do that say nothing of it. The paper's noise is left out: in short runs it only holds back. On the
    paper's CNN, what one would pick instead takes the same steps at the same rate, which is not searched for it.
    """
    for name, fields in FINALS.items():
        printed = OURS_CNN if fields["net"] == "cnn" else OURS_RESNET
        plain = {**fields, "decay_scale_bias": False}
        if "residual_gamma" in fields:
            plain["residual_gamma"] = 1.0
        yield Recipe.of(name=f"angular-{name}-printed", method="ours", **{**plain, **printed})
        yield Recipe.of(name=f"angular-{name}-bn-sgd", method="bn", **{**plain, **BASELINE})
    for (name, fields), method in product(FINALS.items(), COMPARED):
        for lr in RATES:
            yield Recipe.of(name=f"angular-{name}-{method}-lr{lr:g}", **{**fields, **COMPARED[method], "lr": lr})
    for rival, own in RIVALS.items():
        yield Recipe.of(name=f"angular-cnn-{rival}-lr{RATES[1]:g}", **{**FINALS["cnn"], **own})
