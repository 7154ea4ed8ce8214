"""Every method against CWO with the same kind of steps, each at the rate that held-out images gave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .angular import COMPARED, SCREENS, SGD_RATES, rates, rivals, with_sgd
from .recipe import Recipe


def arms(net: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return kind of steps -> name of an arm -> its settings, on a kind of network.

    Args:
        net: ``cnn`` or ``resnet``.
    """
    return {"sgd": with_sgd(net), "angular": {**COMPARED, **rivals(net)}}


def tried(screen: str, arm: str) -> dict[float, str]:
    """Return rate -> name of the recipe that tried it on held-out images: the same rates for all that take such steps.

    Args:
        screen: one of ``SCREENS``.
        arm: one of the names in `arms`.

    Raises:
        KeyError: no such screen or arm.

    Example:
        >>> tried("cnn16", "bn")[0.015]
        'search-cnn16-bn-lr0.015'
    """
    steps = {name: kind for kind, known in arms(SCREENS[screen]["net"]).items() for name in known}[arm]
    return {lr: f"search-{screen}-{arm}-lr{lr:g}" for lr in (SGD_RATES if steps == "sgd" else rates(screen))}


# Screen -> arm -> the rate with the smallest mean error on held-out images among those `tried`; a test holds it.
CHOSEN: dict[str, dict[str, float]] = {
    "digits": {
        "bn-sgd": 0.3,
        "ours-sgd": 0.03,
        "ours-agc": 0.3,
        "ws-scaled-agc": 0.3,
        "ws-scaled-sgd": 0.03,
        "printed-sgd": 0.1,
        "gn-sgd": 0.03,
        "ws+gn-sgd": 0.1,
        "cwn-sgd": 0.1,
        "plain-sgd": 0.03,
        "ours": 0.045,
        "bn": 0.015,
        "gn": 0.005,
        "ws+gn": 0.015,
        "ws-scaled": 0.015,
        "cwn": 0.015,
        "plain": 0.015,
    },
    "digits32": {
        "bn-sgd": 0.1,
        "ours-sgd": 0.1,
        "ours-agc": 0.1,
        "nf-agc": 0.3,
        "ws-scaled-sgd": 0.1,
        "printed-sgd": 0.03,
        "gn-sgd": 0.3,
        "ws+gn-sgd": 0.3,
        "cwn-sgd": 1.0,
        "plain-sgd": 0.1,
        "ours": 0.045,
        "bn": 0.015,
        "gn": 0.015,
        "ws+gn": 0.015,
        "ws-scaled": 0.015,
        "cwn": 0.045,
        "plain": 0.015,
    },
    "cnn16": {
        "bn-sgd": 0.1,
        "ours-sgd": 0.1,
        "ours-agc": 0.3,
        "ws-scaled-agc": 0.3,
        "ws-scaled-sgd": 0.03,
        "printed-sgd": 0.1,
        "gn-sgd": 0.1,
        "ws+gn-sgd": 0.1,
        "cwn-sgd": 0.1,
        "plain-sgd": 0.03,
        "ours": 0.015,
        "bn": 0.045,
        "gn": 0.015,
        "ws+gn": 0.045,
        "ws-scaled": 0.015,
        "cwn": 0.015,
        "plain": 0.015,
    },
    "resnet20-half": {
        "bn-sgd": 0.3,
        "ours-sgd": 0.1,
        "ours-agc": 0.3,
        "nf-agc": 0.3,
        "ws-scaled-sgd": 0.3,
        "printed-sgd": 0.03,
        "gn-sgd": 0.3,
        "ws+gn-sgd": 0.3,
        "cwn-sgd": 1.0,
        "plain-sgd": 0.3,
        "ours": 0.045,
        "bn": 0.045,
        "gn": 0.045,
        "ws+gn": 0.045,
        "ws-scaled": 0.045,
        "cwn": 0.045,
        "plain": 0.045,
    },
}


def versus() -> Iterator[Recipe]:
    """Yield each arm at its chosen rate, on all images of its screen, judged on the test set."""
    for screen, chosen in CHOSEN.items():
        fields = {**SCREENS[screen], "validation": 0}
        known = {name: own for group in arms(fields["net"]).values() for name, own in group.items()}
        for arm, lr in chosen.items():
            yield Recipe.of(name=f"versus-{screen}-{arm}", **{**fields, **known[arm], "lr": lr})
