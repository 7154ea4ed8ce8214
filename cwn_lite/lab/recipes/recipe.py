"""What a run is made of: one frozen record of plain values, and its hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

METHODS = ("ours", "bn", "gn", "ws", "ws+bn", "ws+gn", "plain", "wn", "cwn")
CHOICES: dict[str, tuple[str, ...]] = {
    "data": ("cifar10", "cifar100", "digits", "imagenette64"),
    "augment": ("crop4-flip", "none"),
    "policy": ("none", "autoaugment", "fastaa"),
    "net": ("cnn", "resnet", "wrn", "imagenet-resnet"),
    "method": METHODS,
    "schedule": ("constant", "linear"),
    "residual": ("sum", "nf"),
    "classifier": ("free", "centred", "constrained"),
    "steps": ("sgd", "angular"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the result of a run but its seed.

    Defaults are the paper's where it prints them (section 4.1.1). A later field must carry
    ``metadata={"later": True}`` and a default that keeps old runs as they were: it then enters the hash
    only where it differs from that default, so old results keep their names.

    Args:
        name: what people call it; not part of the hash.
        data: ``cifar10``, ``cifar100``, ``digits`` or ``imagenette64``.
        augment: ``crop4-flip`` (4 pixels of zeros around, random crop, mirror; one draw per image) or ``none``.
        net: ``cnn`` (the paper's), ``resnet`` (He et al.'s for CIFAR), ``wrn`` (WideResNet) or ``imagenet-resnet``
            (He et al.'s for ImageNet, as torchvision builds it).
        depth: convolutions of ``cnn``, a multiple of 3; ``6 n + 2`` layers of ``resnet``, ``6 n + 4`` of ``wrn``; 18
            of ``imagenet-resnet``.
        width: channels of the first stage (64 is the paper's CNN, 16 the CIFAR ResNet's, 160 WideResNet-28-10's).
        method: one of ``METHODS``.
        c: squared norm of a constrained row (ours).
        centralize: rows have zero mean (ours).
        spherize: rows have squared norm ``c`` (ours).
        sigma: standard deviation of the noise on the scale (ours, Eq. 7).
        schedule: how sigma depends on depth, ``constant`` or ``linear`` (ours, Eq. 8).
        noise_per_sample: a noise draw per sample rather than per step (ours; the paper does not say).
        residual_gamma: initial scale at the end of each residual branch; the paper does not say. At 1 the
            signal of ours grows with every block, so 0 is used, for all methods that have a scale. In ``wrn`` the
            scale comes before the ReLU of the branch's last convolution, where 0 would stay 0 for ever.
        groups: groups of GroupNorm, lowered to the largest divisor of the channels where they are fewer.
        ws_gain: row norm of Weight Standardization; ``None`` is the root of the fan-in (Eq. 15).
        lr: first learning rate; a cosine takes it to 0, step by step.
        momentum: of SGD, or of what is orthogonalized.
        weight_decay: of SGD; with angular steps AdamW's, on the classifier.
        decay_scale_bias: whether weight decay also acts on scales and biases. The paper: not for ours.
        batch: images per step; the last step of an epoch takes what is left.
        epochs: passes over the training set.
        init_scale: factor on the first value of the tensor that is trained behind each convolution's weight. Where
            the weight is that tensor normalized, the network computes the same function whatever the factor.
        policy: ``autoaugment`` or ``fastaa``, one sub-policy per image before crop and mirror; ``none``.
        cutout: side of the square that is blanked in each image after the crop, in pixels; 0 for none. The paper
            names Cutout and not its size.
        train_images: train on the first so many of a fixed random order of the training set; ``None`` is all.
        validation: so many training images, the last of that order, are held out and take the test set's place.
        residual: how a block adds its branch: ``sum``, or ``nf``, NF-ResNet's ``x + α f(x / β)``.
        residual_alpha: ``α`` of ``nf``.
        classifier: ``free``; ``centred`` rows of zero mean; or ``constrained`` as all other weights (ours).
        warmup_epochs: the learning rate rises to the cosine in equal steps for so many epochs.
        steps: ``sgd``; or ``angular``, where ``lr`` is the angle that rows of convolutions turn per step, against
            orthogonalized momentum, and all else takes AdamW's steps with ``weight_decay`` on the classifier alone.
        rest: rate of AdamW as a multiple of ``lr`` (angular steps).
        coherence_decay: strength of the pull that keeps rows from agreeing (angular steps).

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
    policy: str = field(default="none", metadata={"later": True})
    cutout: int = field(default=0, metadata={"later": True})
    train_images: int | None = field(default=None, metadata={"later": True})
    validation: int = field(default=0, metadata={"later": True})
    residual: str = field(default="sum", metadata={"later": True})
    residual_alpha: float = field(default=0.2, metadata={"later": True})
    classifier: str = field(default="free", metadata={"later": True})
    warmup_epochs: int = field(default=0, metadata={"later": True})
    steps: str = field(default="sgd", metadata={"later": True})
    rest: float = field(default=0.2, metadata={"later": True})
    coherence_decay: float = field(default=1.0, metadata={"later": True})

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}={getattr(self, key)!r}: choose one of {', '.join(allowed)}")
        for key in (
            "width",
            "groups",
            "batch",
            "epochs",
            "lr",
            "c",
            "init_scale",
            "residual_alpha",
            "train_images",
            "rest",
        ):
            if getattr(self, key) is not None and not getattr(self, key) > 0:
                raise ValueError(f"{key}={getattr(self, key)!r} must be positive")
        for key in ("sigma", "weight_decay", "momentum", "cutout", "validation", "warmup_epochs", "coherence_decay"):
            if not getattr(self, key) >= 0:
                raise ValueError(f"{key}={getattr(self, key)!r} must not be negative")
        if self.net == "cnn" and (self.depth < 3 or self.depth % 3):
            raise ValueError(f"depth={self.depth}: the CNN has three equal stages; choose a multiple of 3")
        if self.net == "resnet" and (self.depth < 8 or self.depth % 6 != 2):
            raise ValueError(f"depth={self.depth}: a CIFAR ResNet has 6 n + 2 layers, for instance 20 or 110")
        if self.net == "wrn" and (self.depth < 10 or self.depth % 6 != 4):
            raise ValueError(f"depth={self.depth}: a WideResNet has 6 n + 4 layers, for instance 28")
        if self.net == "imagenet-resnet":
            self._check_imagenet_resnet()
        if self.net == "wrn" and self.residual_gamma == 0:
            raise ValueError("residual_gamma=0: behind it comes a ReLU, which would pass no gradient; choose 1 or less")
        if self.net == "cnn" and self.residual != "sum":
            raise ValueError(f"residual={self.residual!r}: the CNN has no residual branches")
        if self.data in ("digits", "imagenette64") and self.policy != "none":
            other = "digits are grey ones" if self.data == "digits" else "these have 64 x 64"
            raise ValueError(f"policy={self.policy!r} is for colour images of 32 x 32 pixels, and {other}")
        if self.steps == "angular" and (self.decay_scale_bias or self.momentum >= 1):
            raise ValueError(
                "steps='angular' decays the classifier alone, with momentum below 1: decay_scale_bias=False"
            )
        if self.steps == "sgd" and (self.rest, self.coherence_decay) != (0.2, 1.0):
            raise ValueError("rest and coherence_decay belong to steps='angular'; leave them out with SGD")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} leaves nothing of {self.epochs} epochs")
        if self.classifier == "constrained" and not (self.centralize or self.spherize):
            raise ValueError("classifier='constrained' as all other weights, and those are not: choose a constraint")
        if self.classifier != "free" and self.method != "ours":
            raise ValueError(f"classifier={self.classifier!r} is a constraint, and method={self.method!r} has none")

    def _check_imagenet_resnet(self) -> None:
        if (self.depth, self.width) != (18, 64):
            raise ValueError(f"depth={self.depth}, width={self.width}: imagenet-resnet has 18 layers and width 64")
        if self.method not in ("ours", "bn", "gn", "ws+bn", "ws+gn"):
            raise ValueError(f"method={self.method!r} leaves norms out, which torchvision's networks have")
        if self.residual != "sum":
            raise ValueError(f"residual={self.residual!r}: torchvision's networks add their branches plainly")

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
