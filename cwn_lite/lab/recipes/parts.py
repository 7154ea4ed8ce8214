"""Data, method and training of a recipe; each kind has a record with its own fields. The networks: ``nets.py``."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .record import Record

COLOUR_32 = ("cifar10", "cifar100")


@dataclass(frozen=True, kw_only=True)
class Images(Record):
    """Which images, how many of them, and what is done to them in training.

    Args:
        kind: name of the data set.
        augment: ``crop4-flip`` (4 pixels of zeros around, random crop, mirror; one draw per image), ``crop2-flip`` for
            images of half the side, or ``none``.
        policy: ``autoaugment`` or ``fastaa``, one sub-policy per image before crop and mirror; ``none``.
        cutout: side of the square that is blanked in each image after the crop, in pixels; 0 for none. The paper
            names Cutout and not its size.
        train_images: train on the first so many of a fixed random order of the training set; ``None`` is all.
        validation: so many training images, the last of that order, are held out and take the test set's place.
    """

    # What the first results say of every recipe, whether it means anything to it or not: part of their hashes.
    IMPLIED: ClassVar[dict[str, Any]] = {
        "c": 2.0,
        "centralize": True,
        "spherize": True,
        "sigma": 0.0,
        "schedule": "constant",
        "noise_per_sample": False,
        "residual_gamma": 0.0,
        "groups": 16,
        "ws_gain": None,
    }

    kind: str = "cifar10"
    augment: str = field(default="crop4-flip", metadata={"choices": ("crop4-flip", "crop2-flip", "none")})
    policy: str = field(default="none", metadata={"choices": ("none", "autoaugment", "fastaa"), "later": True})
    cutout: int = field(default=0, metadata={"least": 0, "later": True})
    train_images: int | None = field(default=None, metadata={"above": 0, "later": True})
    validation: int = field(default=0, metadata={"least": 0, "later": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy != "none" and self.kind not in COLOUR_32:
            other = "digits are grey ones" if self.kind == "digits" else "these are larger"
            raise ValueError(f"policy={self.policy!r} is for colour images of 32 x 32 pixels, and {other}")


@dataclass(frozen=True, kw_only=True)
class Photographs(Record):
    """Which photographs, read from their files as they are needed, and what is done to them.

    Args:
        kind: name of the data set.
        side: height and width of what the network sees, in pixels; 224 is the paper's. A test sees the square in the
            middle of a photograph whose shorter side was brought to 8/7 of it, 256 for 224.
        augment: ``scale-aspect`` (a part of 8 to 100 % of the area, of an aspect between 3:4 and 4:3, brought to the
            square; mirrored or not; the paper's), or ``none``.
        validation: so many training photographs of a fixed random order are held out and take the test set's place.
    """

    kind: str = "imagenet"
    side: int = field(default=224, metadata={"above": 0})
    augment: str = field(default="scale-aspect", metadata={"choices": ("scale-aspect", "none")})
    validation: int = field(default=0, metadata={"least": 0})


@dataclass(frozen=True, kw_only=True)
class Points(Record):
    """Which point clouds, and what is done to them in training.

    Args:
        kind: name of the data set.
        augment: ``turn-jitter`` (each cloud turned about its upright axis, each point moved a little; the paper's), or
            ``none``.
        points: points per cloud, of those that a cloud has: in training others each time, in tests the first ones.
        validation: so many training clouds of a fixed random order are held out and take the test set's place.
    """

    kind: str = "shapes"
    augment: str = field(default="turn-jitter", metadata={"choices": ("turn-jitter", "none")})
    points: int = field(default=1024, metadata={"above": 0})
    validation: int = field(default=0, metadata={"least": 0})


@dataclass(frozen=True, kw_only=True)
class Method(Record):
    """A way to normalize that has nothing to choose: ``bn``, ``plain``, ``wn``, ``cwn``.

    Args:
        kind: name of the method.
    """


@dataclass(frozen=True, kw_only=True)
class CWO(Method):
    """Constrained Weight Optimization, ours.

    Args:
        kind: ``ours``.
        c: squared norm of a constrained row.
        centralize: rows have zero mean.
        mixing: only those that mix channels have; the others are a depthwise convolution's.
        spherize: rows have squared norm ``c``.
        sigma: standard deviation of the noise on the scale (Eq. 7).
        schedule: how sigma depends on depth, ``constant`` or ``linear`` (Eq. 8).
        noise_per_sample: a noise draw per sample rather than per step (the paper does not say).
        noise_rises: sigma grows from 0 in the first epoch to its value in the last, instead of being there at once.
        gates: scales behind what a gate has halved start twice as large, as :func:`cwn_lite.scale_branches` has them;
            recorded results are older. For networks as torchvision ships them.
        classifier: ``free``; ``centred`` rows of zero mean; or ``constrained`` as all other weights.
    """

    kind: str = "ours"
    c: float = field(default=2.0, metadata={"above": 0})
    centralize: bool = True
    spherize: bool = True
    sigma: float = field(default=0.0, metadata={"least": 0})
    schedule: str = field(default="constant", metadata={"choices": ("constant", "linear")})
    noise_per_sample: bool = False
    noise_rises: bool = field(default=False, metadata={"later": True})
    classifier: str = field(default="free", metadata={"choices": ("free", "centred", "constrained"), "later": True})
    mixing: bool = field(default=False, metadata={"later": True})
    gates: bool = field(default=False, metadata={"later": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classifier == "constrained" and not (self.centralize or self.spherize):
            raise ValueError("classifier='constrained' as all other weights, and those are not: choose a constraint")
        if self.mixing and not self.centralize:
            raise ValueError("mixing=True says which rows are centred, and centralize=False that none are")


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Method):
    """Group normalization.

    Args:
        kind: ``gn``.
        groups: number of groups, lowered to the largest divisor of the channels where they are fewer.
    """

    kind: str = "gn"
    groups: int = field(default=16, metadata={"above": 0})


@dataclass(frozen=True, kw_only=True)
class Standardization(Method):
    """Weight Standardization, alone or before batch norm.

    Args:
        kind: ``ws`` or ``ws+bn``.
        ws_gain: norm of a row; ``None`` is the root of the fan-in (Eq. 15).
    """

    kind: str = "ws"
    ws_gain: float | None = None


@dataclass(frozen=True, kw_only=True)
class GroupedStandardization(Standardization, GroupNorm):
    """Weight Standardization before group normalization.

    Args:
        kind: ``ws+gn``.
        ws_gain: as for :class:`Standardization`.
        groups: as for :class:`GroupNorm`.
    """

    kind: str = "ws+gn"


@dataclass(frozen=True, kw_only=True)
class Training(Record):
    """How long and how fast. The learning rate is a cosine, step by step, or falls in stairs.

    Args:
        kind: name of the steps.
        lr: first learning rate.
        final_lr: where the cosine ends.
        drop_every: instead of the cosine, a tenth of the rate after so many epochs, and so on; ``None`` is the cosine.
        momentum: of SGD, or of what is orthogonalized.
        weight_decay: of SGD; with angular steps AdamW's, on the classifier.
        batch: images per step; the last step of an epoch takes what is left.
        clip: adaptive gradient clipping: a row's gradient is at most so many times as long as the row, but for the
            classifier's; 0 for none.
        label_smoothing: this share of each target is spread evenly over all classes.
        accumulate: the gradient of a step adds up over so many pieces of its batch, for want of memory. Batch norm
            computes something else then (a piece's statistics); dropout and noise per sample draw other numbers.
        epochs: passes over the training set.
        warmup_epochs: the learning rate rises to the cosine in equal steps for so many epochs.
        init_scale: factor on the first value of the tensor that is trained behind each convolution's weight. Where
            the weight is that tensor normalized, the network computes the same function whatever the factor.
    """

    lr: float = field(default=0.1, metadata={"above": 0})
    momentum: float = field(default=0.9, metadata={"least": 0})
    weight_decay: float = field(default=5e-4, metadata={"least": 0})
    batch: int = field(default=128, metadata={"above": 0})
    epochs: int = field(default=200, metadata={"above": 0})
    warmup_epochs: int = field(default=0, metadata={"least": 0, "later": True})
    final_lr: float = field(default=0.0, metadata={"least": 0, "later": True})
    drop_every: int | None = field(default=None, metadata={"above": 0, "later": True})
    clip: float = field(default=0.0, metadata={"least": 0, "later": True})
    label_smoothing: float = field(default=0.0, metadata={"least": 0, "below": 1, "later": True})
    accumulate: int = field(default=1, metadata={"above": 0, "later": True})
    init_scale: float = field(default=1.0, metadata={"above": 0, "later": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs={self.warmup_epochs} leaves nothing of {self.epochs} epochs")
        if self.drop_every is not None and self.final_lr:
            raise ValueError(f"final_lr={self.final_lr:g} is where a cosine ends, and drop_every={self.drop_every}")


@dataclass(frozen=True, kw_only=True)
class SGD(Training):
    """Stochastic gradient descent, as the paper trains.

    Args:
        kind: ``sgd``; all others as for :class:`Training`.
        decay_scale_bias: whether weight decay also acts on scales and biases. The paper: not for ours.
    """

    kind: str = "sgd"
    decay_scale_bias: bool = True


@dataclass(frozen=True, kw_only=True)
class Angular(Training):
    """``lr`` is the angle that rows of convolutions turn per step, against orthogonalized momentum; AdamW for the rest.

    Args:
        kind: ``angular``; all others as for :class:`Training`. Weight decay acts on the classifier alone.
        rest: rate of AdamW as a multiple of ``lr``.
        coherence_decay: strength of the pull that keeps rows from agreeing.
        coherence_decay_every: the pull is taken in each so many steps, so many times as strong.
        orthogonalize_every: what orthogonalizes is computed in each so many steps, and held in between.
        depthwise: angle of the rows of depthwise convolutions as a multiple of ``lr``; 0 leaves these rows to AdamW,
            without a constraint. For networks as torchvision ships them.
    """

    IMPLIED: ClassVar[dict[str, Any]] = {"decay_scale_bias": False}

    kind: str = "angular"
    rest: float = field(default=0.2, metadata={"above": 0, "later": True})
    coherence_decay: float = field(default=1.0, metadata={"least": 0, "later": True})
    coherence_decay_every: int = field(default=1, metadata={"above": 0, "later": True})
    orthogonalize_every: int = field(default=1, metadata={"above": 0, "later": True})
    depthwise: float = field(default=1.0, metadata={"least": 0, "later": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.momentum >= 1:
            raise ValueError(f"momentum={self.momentum:g} must be below 1")
