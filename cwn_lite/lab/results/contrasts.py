"""CWO beside each rival: pairs of recorded recipes that differ in the method, each with what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..recipes import get, points
from ..recipes.versus import CHOSEN
from .compare import Comparison, compare
from .store import Result

FORMS = {
    "printed": "CWO as printed, without noise",
    "centred": "CWO with $c^\\star$ and SGD",
    "clipped": "CWO with $c^\\star$, SGD and clipped gradients",
    "recommended": "CWO recommended",
}
"""Form of CWO -> its title. All but the last take steps of SGD, the last turns rows by an angle; its rivals, too."""

RIVALS = {
    "bn": "batch norm",
    "gn": "group norm",
    "ws+gn": "WS + GN",
    "ws+bn": "WS + BN",
    "cwn": "CWN",
    "ws-scaled": "scaled WS",
    "agc": "scaled WS, clipped",
    "wn": "weight norm",
    "ws": "WS",
    "plain": "plain",
}
"""Rival -> its title."""

REPARAMETERIZED = ("cwn", "ws-scaled", "agc")
"""Rivals whose rows obey the same constraint, or its norm and mean up to a gain, by a map inside the network."""

UNCLIPPED = ("bn", "gn", "ws+gn")
"""Rivals with a normalization of activations: CWO with clipped gradients meets them, although they clip none."""

_CIFAR = "CIFAR-10, JPEG quality 75"
SETTINGS = {
    "digits": "6-layer CNN, digits",
    "digits32": "ResNet-32, digits",
    "cnn16": f"9-layer CNN at a quarter of its width, {_CIFAR}, 10,000 images, 6 epochs",
    "cnn16-e4": f"9-layer CNN at a quarter of its width, {_CIFAR}, 4 epochs",
    "resnet20": f"ResNet-20, {_CIFAR}, 10,000 images, 6 epochs",
    "resnet20-half": f"ResNet-20 at half the side, {_CIFAR}, 10,000 images, 6 epochs",
    "resnet20-all": f"ResNet-20 on all images, at half the side, {_CIFAR}, 6 epochs",
    "resnet18": "torchvision's ResNet-18 for 5 epochs, Imagenette at 64 pixels",
    "cnn": f"9-layer CNN, {_CIFAR}, 30 epochs",
    "points": "DGCNN at a quarter of its width, generated shapes",
    "imagenette": "torchvision's ResNet-18 for 3 epochs, Imagenette at 64 pixels",
}
"""Setting -> network, data and length, in words."""


@dataclass(frozen=True)
class Contrast:
    """Two recipes that differ in the method alone (and in the rate, where each was given its own).

    Attributes:
        form: form of CWO, a key of ``FORMS``.
        rival: a key of ``RIVALS``.
        setting: a key of ``SETTINGS``.
        first: recipe of CWO.
        second: recipe of the rival.
        searched: whether each has the rate of a search with equal effort.
    """

    form: str
    rival: str
    setting: str
    first: str
    second: str
    searched: bool = False


def contrasts() -> Iterator[Contrast]:
    """Yield all of them, whether they were run or not.

    Example:
        >>> next(c for c in contrasts() if c.rival == "gn" and c.setting == "points").second
        'points-chosen-gn'
    """
    for rival in ("bn", "gn", "ws", "ws+gn", "ws+bn", "wn", "cwn", "plain"):
        yield Contrast("printed", rival, "cnn16-e4", "cnn16-ours-nonoise-e4", f"cnn16-{rival}-e4")
    for screen, chosen in CHOSEN.items():
        for arm in chosen:
            rival = arm.removesuffix("-sgd")
            if rival in ("ours", "ours-agc", "printed"):
                continue
            forms = {"recommended": "ours"}
            if arm.endswith("-agc"):  # with clipping on both sides
                rival, forms = "agc", {"clipped": "ours-agc"}
            elif arm != rival:
                forms = {"printed": "printed-sgd", "centred": "ours-sgd"}
                forms |= {"clipped": "ours-agc"} if rival in UNCLIPPED else {}
            for form, own in forms.items():
                yield Contrast(form, rival, screen, f"versus-{screen}-{own}", f"versus-{screen}-{arm}", searched=True)
    for rival in ("bn", "gn", "ws+gn", "ws+bn", "plain"):
        if rival in points.CHOSEN:
            own, other = (points.at_chosen_rate(method) for method in ("ours", rival))
            yield Contrast("printed", rival, "points", own, other, searched=True)
        else:
            yield Contrast("printed", rival, "points", "points-ours-nonoise", f"points-{rival}")
        yield Contrast("printed", rival, "imagenette", "imagenette-resnet18-ours", f"imagenette-resnet18-{rival}")
    for rival in ("bn", "gn"):
        own, other = (points.at_chosen_rate(f"{method}-angular") for method in ("ours", rival))
        yield Contrast("recommended", rival, "points", own, other, searched=True)
        own, other = (f"imagenette-resnet18-{method}-angular" for method in ("ours", rival))
        yield Contrast("recommended", rival, "imagenette", own, other)
    unsearched = sorted({"cnn16", "resnet20"} - CHOSEN.keys())  # a set alone has no order
    for setting in ("resnet18", "resnet20-all", "cnn", *unsearched):
        own, other = (f"angular-{setting}-{method}-lr0.015" for method in ("ours", "bn"))
        yield Contrast("recommended", "bn", setting, own, other)


def by_recipe(found: Iterable[Result]) -> dict[str, list[Result]]:
    """Return hash of a recipe -> its results."""
    runs: dict[str, list[Result]] = {}
    for result in found:
        runs.setdefault(result.recipe_sha, []).append(result)
    return runs


def compared(
    runs: Mapping[str, Sequence[Result]],
    forms: Iterable[str],
    rivals: Iterable[str],
    settings: Iterable[str] = tuple(SETTINGS),
) -> dict[Contrast, Comparison]:
    """Compare forms of CWO with rivals wherever both were run, with intervals that hold together.

    Args:
        runs: as :func:`by_recipe` has them.
        forms: keys of ``FORMS``.
        rivals: keys of ``RIVALS``.
        settings: keys of ``SETTINGS``; only those of one claim share its level.

    Raises:
        LabError: runs that do not belong together.
    """
    wanted = [c for c in contrasts() if c.form in forms and c.rival in rivals and c.setting in settings]
    pairs = {c: (runs.get(get(c.first).sha, []), runs.get(get(c.second).sha, [])) for c in wanted}
    there = {c: (a, b) for c, (a, b) in pairs.items() if a and b}
    titles = {f"{c.setting} {c.form} {c.rival}": c for c in there}
    found = compare({title: there[c] for title, c in titles.items()})
    return {titles[c.setting]: replace(c, searched=titles[c.setting].searched) for c in found}
