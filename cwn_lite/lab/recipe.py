"""What a run is made of: one frozen record of plain values, and its hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

METHODS = ("ours", "bn", "gn", "ws", "ws+bn", "ws+gn", "plain", "wn", "cwn")
CHOICES: dict[str, tuple[str, ...]] = {
    "data": ("cifar10", "cifar100", "digits"),
    "augment": ("crop4-flip", "none"),
    "net": ("cnn", "resnet"),
    "method": METHODS,
    "schedule": ("constant", "linear"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the result of a run but its seed.

    Defaults are the paper's where it prints them (section 4.1.1). A later field must carry
    ``metadata={"later": True}`` and a default that keeps old runs as they were: it then enters the hash
    only where it differs from that default, so old results keep their names.

    Args:
        name: what people call it; not part of the hash.
        data: ``cifar10``, ``cifar100`` or ``digits``.
        augment: ``crop4-flip`` (4 pixels of zeros around, random crop, mirror; one draw per image) or ``none``.
        net: ``cnn`` (the paper's) or ``resnet`` (He et al.'s for CIFAR).
        depth: convolutions of ``cnn``, a multiple of 3; ``6 n + 2`` layers of ``resnet``.
        width: channels of the first stage (64 is the paper's CNN, 16 the CIFAR ResNet's).
        method: one of ``METHODS``.
        c: squared norm of a constrained row (ours).
        centralize: rows have zero mean (ours).
        spherize: rows have squared norm ``c`` (ours).
        sigma: standard deviation of the noise on the scale (ours, Eq. 7).
        schedule: how sigma depends on depth, ``constant`` or ``linear`` (ours, Eq. 8).
        noise_per_sample: a noise draw per sample rather than per step (ours; the paper does not say).
        residual_gamma: initial scale at the end of each residual branch; the paper does not say. At 1 the
            signal of ours grows with every block, so 0 is used, for all methods that have a scale.
        groups: groups of GroupNorm, lowered to the largest divisor of the channels where they are fewer.
        ws_gain: row norm of Weight Standardization; ``None`` is the root of the fan-in (Eq. 15).
        lr: first learning rate; a cosine takes it to 0, step by step.
        momentum: of SGD.
        weight_decay: of SGD.
        decay_scale_bias: whether weight decay also acts on scales and biases. The paper: not for ours.
        batch: images per step; the last step of an epoch takes what is left.
        epochs: passes over the training set.
        init_scale: factor on the first value of the tensor that is trained behind each convolution's weight. Where
            the weight is that tensor normalized, the network computes the same function whatever the factor.

    Raises:
        ValueError: a value outside its range; the text names the field.

    Example:
        >>> Recipe(name="a", method="bn").sha == Recipe(name="b", method="bn").sha
        True
    """

    name: str
    data: str = "cifar10"
    augment: str = "crop4-flip"
    net: str = "cnn"
    depth: int = 9
    width: int = 64
    method: str
    c: float = 2.0
    centralize: bool = True
    spherize: bool = True
    sigma: float = 0.0
    schedule: str = "constant"
    noise_per_sample: bool = False
    residual_gamma: float = 0.0
    groups: int = 16
    ws_gain: float | None = None
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_scale_bias: bool = True
    batch: int = 128
    epochs: int = 200
    init_scale: float = field(default=1.0, metadata={"later": True})

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}={getattr(self, key)!r}: choose one of {', '.join(allowed)}")
        for key in ("width", "groups", "batch", "epochs", "lr", "c", "init_scale"):
            if not getattr(self, key) > 0:
                raise ValueError(f"{key}={getattr(self, key)!r} must be positive")
        if self.net == "cnn" and (self.depth < 3 or self.depth % 3):
            raise ValueError(f"depth={self.depth}: the CNN has three equal stages; choose a multiple of 3")
        if self.net == "resnet" and (self.depth < 8 or self.depth % 6 != 2):
            raise ValueError(f"depth={self.depth}: a CIFAR ResNet has 6 n + 2 layers, for instance 20 or 110")

    @property
    def sha(self) -> str:
        """SHA-256 of the fields that matter for the result."""
        return recipe_sha(dataclasses.asdict(self))

    @property
    def directory(self) -> str:
        """Name of the folder that holds the results of this recipe."""
        return f"{self.name}-{self.sha[:8]}"


def recipe_sha(values: dict[str, Any]) -> str:
    """Return the SHA-256 of a resolved recipe in canonical JSON, its name left out.

    Args:
        values: field name -> plain value, as stored in a result.
    """
    later = {f.name: f.default for f in dataclasses.fields(Recipe) if f.metadata.get("later")}
    kept = {key: value for key, value in values.items() if key != "name" and not (key in later and value == later[key])}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
