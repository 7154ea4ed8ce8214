"""The network of a recipe; each kind has a record with its own fields."""

from dataclasses import dataclass, field

from .record import Record


@dataclass(frozen=True, kw_only=True)
class CNN(Record):
    """The paper's CNN.

    Args:
        kind: ``cnn``.
        depth: number of convolutions, a multiple of 3; 9 is the paper's.
        width: channels of the first stage; 64 is the paper's.
        stage_dropout: probability with which an activation is left out behind each stage; the paper has none.
    """

    kind: str = "cnn"
    depth: int = 9
    width: int = field(default=64, metadata={"above": 0})
    stage_dropout: float = field(default=0.0, metadata={"least": 0, "below": 1, "later": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 3 or self.depth % 3:
            raise ValueError(f"depth={self.depth}: the CNN has three equal stages; choose a multiple of 3")


@dataclass(frozen=True, kw_only=True)
class ResNet(Record):
    """He et al.'s network for CIFAR, or a WideResNet (``wrn``).

    Args:
        kind: ``resnet`` or ``wrn``.
        depth: ``6 n + 2`` layers, of a WideResNet ``6 n + 4``.
        width: channels of the first stage; 16 is the CIFAR ResNet's, 160 WideResNet-28-10's.
        residual_gamma: initial scale at the end of each residual branch; the paper does not say. At 1 the
            signal of ours grows with every block, so 0 is used, for all methods that have a scale. In ``wrn`` the
            scale comes before the ReLU of the branch's last convolution, where 0 would stay 0 for ever.
        residual: how a block adds its branch: ``sum``, or ``nf``, NF-ResNet's ``x + α f(x / β)``.
        residual_alpha: ``α`` of ``nf``.
    """

    kind: str = "resnet"
    depth: int = 20
    width: int = field(default=16, metadata={"above": 0})
    residual_gamma: float = 0.0
    residual: str = field(default="sum", metadata={"choices": ("sum", "nf"), "later": True})
    residual_alpha: float = field(default=0.2, metadata={"above": 0, "later": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "resnet" and (self.depth < 8 or self.depth % 6 != 2):
            raise ValueError(f"depth={self.depth}: a CIFAR ResNet has 6 n + 2 layers, for instance 20 or 110")
        if self.kind == "wrn" and (self.depth < 10 or self.depth % 6 != 4):
            raise ValueError(f"depth={self.depth}: a WideResNet has 6 n + 4 layers, for instance 28")
        if self.kind == "wrn" and self.residual_gamma == 0:
            raise ValueError("residual_gamma=0: behind it comes a ReLU, which would pass no gradient; choose 1 or less")
        if self.residual == "sum" and self.residual_alpha != 0.2:
            raise ValueError(f"residual_alpha={self.residual_alpha:g} belongs to residual='nf'")


@dataclass(frozen=True, kw_only=True)
class ImageNetResNet(Record):
    """He et al.'s network for ImageNet, as torchvision builds it.

    Args:
        kind: ``imagenet-resnet``.
        depth: 18, 34, 50, 101 or 152.
        width: channels of the first stage, 64.
        residual_gamma: initial scale at the end of each residual branch; where a method has none there, the factor
            on the first weights of the branch's last convolution.
    """

    kind: str = "imagenet-resnet"
    depth: int = 18
    width: int = 64
    residual_gamma: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in (18, 34, 50, 101, 152):
            raise ValueError(f"depth={self.depth}: an imagenet-resnet has 18, 34, 50, 101 or 152 layers")
        if self.width != 64:
            raise ValueError(f"width={self.width}: an imagenet-resnet has width 64")


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(Record):
    """Sandler et al.'s network of depthwise convolutions and linear bottlenecks, as torchvision builds it.

    Ours starts its scales by :func:`cwn_lite.scale_branches`; norms start as torchvision's do. Older than
    :class:`Torchvision`, and kept since recorded results name it.

    Args:
        kind: ``mobilenetv2``.
    """

    kind: str = "mobilenetv2"


ARCHITECTURES = (
    "densenet121",
    "efficientnet_b0",
    "mnasnet1_0",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
)


@dataclass(frozen=True, kw_only=True)
class Torchvision(Record):
    """A network of torchvision by its name there, as it is built for whoever says no more than that.

    Ours starts its scales by :func:`cwn_lite.scale_branches`; norms start as torchvision's do. All batch norms have
    PyTorch's momentum and epsilon: torchvision's MobileNetV3 and MNASNet average over more steps than a short run has.

    Args:
        kind: ``torchvision``.
        architecture: one of ``ARCHITECTURES``.
    """

    kind: str = "torchvision"
    architecture: str = field(default="resnet50", metadata={"choices": ARCHITECTURES})


@dataclass(frozen=True, kw_only=True)
class DGCNN(Record):
    """Wang et al.'s network for point clouds.

    Args:
        kind: ``dgcnn``.
        width: channels of the first edge convolution; 64 is the paper's.
        k: nearest neighbours of a point; 20 is the paper's for 1,024 points.
        dropout: probability with which a hidden linear layer's output is left out.
    """

    kind: str = "dgcnn"
    width: int = field(default=64, metadata={"above": 0})
    k: int = field(default=20, metadata={"above": 0})
    dropout: float = field(default=0.5, metadata={"least": 0, "below": 1})
