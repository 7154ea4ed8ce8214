"""What a run is made of: a frozen record in four parts, its flat form in result files, and its hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .nets import CNN, DGCNN, ImageNetResNet, MobileNetV2, ResNet, Torchvision
from .parts import (
    CWO,
    SGD,
    Angular,
    GroupedStandardization,
    GroupNorm,
    Images,
    Method,
    Photographs,
    Points,
    Standardization,
    Training,
)
from .record import Record

DATA: dict[str, type[Images | Photographs | Points]] = {
    **dict.fromkeys(("cifar10", "cifar100", "cifar10-half", "digits", "imagenette64"), Images),
    **dict.fromkeys(("imagenet", "imagenette"), Photographs),
    **dict.fromkeys(("shapes", "modelnet40"), Points),
}
NETS: dict[str, type[CNN | ResNet | ImageNetResNet | MobileNetV2 | Torchvision | DGCNN]] = {
    "cnn": CNN,
    "resnet": ResNet,
    "wrn": ResNet,
    "imagenet-resnet": ImageNetResNet,
    "mobilenetv2": MobileNetV2,
    "torchvision": Torchvision,
    "dgcnn": DGCNN,
}
METHODS: dict[str, type[Method]] = {
    "ours": CWO,
    "bn": Method,
    "gn": GroupNorm,
    "ws": Standardization,
    "ws+bn": Standardization,
    "ws+gn": GroupedStandardization,
    "plain": Method,
    "wn": Method,
    "cwn": Method,
}
STEPS: dict[str, type[Training]] = {"sgd": SGD, "angular": Angular}
# Part of a recipe -> what the flat form calls its kind, and which kinds there are.
_PARTS: dict[str, tuple[str, Mapping[str, type[Record]]]] = {
    "data": ("data", DATA),
    "net": ("net", NETS),
    "method": ("method", METHODS),
    "training": ("steps", STEPS),
}
_USUAL = {"data": "cifar10", "net": "cnn", "steps": "sgd"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the result of a run but its seed.

    Defaults are the paper's where it prints them (section 4.1.1).

    Args:
        name: what people call it; not part of the hash. Letters, digits and ``.+_-``: it names a folder.
        data: what it is trained on.
        net: which network.
        method: how weights or activations are normalized.
        training: by which steps, how long.

    Raises:
        ValueError: a value outside its range, or parts that do not go together; the text names the field.

    Example:
        >>> recipe = Recipe.of(name="a", method="bn", epochs=3)
        >>> recipe.training.epochs, recipe.sha == Recipe.of(name="b", method="bn", epochs=3).sha
        (3, True)
    """

    name: str
    data: Images | Photographs | Points
    net: CNN | ResNet | ImageNetResNet | MobileNetV2 | Torchvision | DGCNN
    method: Method
    training: Training

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise ValueError(f"name={self.name!r}: letters, digits and .+_-, since it names a folder")
        if isinstance(self.data, Points) != isinstance(self.net, DGCNN):
            wanted = "net='dgcnn'" if isinstance(self.data, Points) else "a network for images"
            raise ValueError(f"net={self.net.kind!r}: data={self.data.kind!r} needs {wanted}")
        if isinstance(self.data, Photographs) and not isinstance(self.net, ImageNetResNet):
            raise ValueError(f"net={self.net.kind!r}: data={self.data.kind!r} needs net='imagenet-resnet'")
        if not isinstance(self.net, MobileNetV2 | Torchvision):
            for part, field, neutral in ((self.method, "gates", False), (self.training, "depthwise", 1.0)):
                if (value := getattr(part, field, neutral)) != neutral:
                    wanted = "net='torchvision' or 'mobilenetv2'"
                    raise ValueError(f"{field}={value!r} is for networks as they are shipped: choose {wanted}")
        if isinstance(self.net, Torchvision) and self.method.kind not in ("ours", "bn"):
            raise ValueError(f"method={self.method.kind!r}: net='torchvision' has batch norms; choose 'bn' or 'ours'")

    @classmethod
    def of(cls, *, name: str, method: str, **values: Any) -> Recipe:
        """Make a recipe from flat values: the kinds of its parts and their fields, as result files have them.

        Args:
            name: of the recipe.
            method: kind of the method.
            values: ``data`` (``cifar10``), ``net`` (``cnn``) and ``steps`` (``sgd``) are the kinds of the other parts,
                all others their fields. A field of another kind may state what results state that do not have it.

        Raises:
            ValueError: as the class; no such kind; or a field that this recipe does not have.
        """
        kinds = {**_USUAL, "method": method, **{key: values.pop(key) for key in _USUAL if key in values}}
        parts: dict[str, Any] = {}
        left, implied = dict(values), dict(_NEUTRAL)
        for part, (key, records) in _PARTS.items():
            kind = kinds[key]
            if kind not in records:
                raise ValueError(f"{key}={kind!r}: choose one of {', '.join(records)}")
            record = records[kind]
            own = {field.name for field in dataclasses.fields(record)} - {"kind"}
            parts[part] = record(kind=kind, **{name: left.pop(name) for name in own & left.keys()})
            implied |= record.IMPLIED
        for field, value in left.items():
            if field not in implied or value != implied[field]:
                raise ValueError(f"{field}={value!r}{_belongs(field, kinds)}")
        return cls(name=name, **parts)

    def but(self, **changes: Any) -> Recipe:
        """Return this recipe with other values, flat as for :meth:`of`; a part of another kind keeps what both have.

        Example:
            >>> Recipe.of(name="a", method="ours", sigma=0.2).but(method="bn", lr=0.3).training.lr
            0.3
        """
        values: dict[str, Any] = {"name": self.name}
        for part, (key, records) in _PARTS.items():
            record = getattr(self, part)
            values[key] = changes.get(key, record.kind)
            known = {field.name for field in dataclasses.fields(records.get(values[key], type(record)))}
            values |= {name: value for name, value in _fields(record).items() if name in known}
        return Recipe.of(**{**values, **changes})

    def values(self) -> dict[str, Any]:
        """Return the flat form: name, kinds of the parts, their fields, and what results state that lack them."""
        parts = [(key, getattr(self, part)) for part, (key, _) in _PARTS.items()]
        values: dict[str, Any] = {"name": self.name, **{key: record.kind for key, record in parts}}
        for _, record in parts:
            values |= record.IMPLIED
        for _, record in parts:
            values |= _fields(record)
        return values

    @property
    def sha(self) -> str:
        """SHA-256 of the fields that matter for the result."""
        return recipe_sha(self.values())

    @property
    def directory(self) -> str:
        """Name of the folder that holds the results of this recipe."""
        return f"{self.name}-{self.sha[:8]}"


def recipe_sha(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a recipe's flat form in canonical JSON, its name left out, and later fields at defaults.

    Args:
        values: field name -> plain value, as stored in a result.
    """
    kept = {k: v for k, v in values.items() if k != "name" and not (k in _LATER and v == _LATER[k])}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _fields(record: Record) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(record).items() if key != "kind"}


def _later_fields() -> dict[str, Any]:
    records = [record for _, kinds in _PARTS.values() for record in kinds.values()]
    fields = [field for record in records for field in dataclasses.fields(record)]
    return {field.name: field.default for field in fields if field.metadata.get("later")}


def _belongs(field: str, kinds: Mapping[str, str]) -> str:
    """Say which kinds have a field that is not this recipe's."""
    for key, records in _PARTS.values():
        owners = [kind for kind, record in records.items() if field in {f.name for f in dataclasses.fields(record)}]
        if owners:
            return f" belongs to {key}={' or '.join(map(repr, owners))}, and this is {kinds[key]!r}"
    return ": a recipe has no such field"


# Of fields that are younger than recorded results: hashed only where they say more than the default.
_LATER = {"steps": "sgd", **_later_fields()}
# What a recipe may say of fields that it does not have: results once stated all fields.
_NEUTRAL = {name: default for name, default in _LATER.items() if name != "steps"}
