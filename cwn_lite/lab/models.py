"""Networks of the evidence chapters, with the normalization left open."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


def conv(in_channels: int, out_channels: int, norm: Norm | None, stride: int = 1) -> list[nn.Module]:
    """Return a 3x3 convolution and what follows it: it has a bias exactly where no norm follows."""
    layer = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=norm is None)
    return [layer] if norm is None else [layer, norm(out_channels)]


class CNN(nn.Sequential):
    """The paper's 9-layer CNN: three stages of three 3x3 convolutions, average pooling, a linear classifier.

    Args:
        depth: number of convolutions, a multiple of 3; 9 is the paper's.
        width: channels of the first stage, doubled in each further one; 64 is the paper's.
        in_channels: channels of the image.
        classes: number of classes.
        norm: maps a channel count to the module after each convolution; ``None`` leaves it out.

    Example:
        >>> CNN(9, 16)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    Reference: Ikami et al., WACV 2021, section 4.1.1.
    """

    def __init__(
        self,
        depth: int = 9,
        width: int = 64,
        *,
        in_channels: int = 3,
        classes: int = 10,
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        layers: list[nn.Module] = []
        channels = in_channels
        for stage in range(3):
            if stage:
                layers.append(nn.AvgPool2d(2))
            for _ in range(depth // 3):
                out = width * 2**stage
                layers += [*conv(channels, out, norm), nn.ReLU(inplace=True)]
                channels = out
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class Block(nn.Module):
    """Two 3x3 convolutions beside an identity that is subsampled and padded with zero channels where needed.

    The identity has no parameters (option A of He et al., section 4.2).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm | None) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *conv(in_channels, out_channels, norm, stride),
            nn.ReLU(inplace=True),
            *conv(out_channels, out_channels, norm),
        )
        self.stride = stride
        self.extra = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.extra:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return F.relu(self.branch(x) + shortcut)


class ResNet(nn.Sequential):
    """The CIFAR ResNet with ``depth = 6 n + 2`` layers.

    Args:
        depth: 20, 32, 56, 110, ...
        width: channels of the first stage; 16 is the standard.
        in_channels: channels of the image.
        classes: number of classes.
        norm: as for :class:`CNN`.

    Example:
        >>> ResNet(20)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    Reference: He et al., Deep residual learning for image recognition, CVPR 2016, section 4.2.
    """

    def __init__(
        self,
        depth: int = 20,
        width: int = 16,
        *,
        in_channels: int = 3,
        classes: int = 10,
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        layers: list[nn.Module] = [*conv(in_channels, width, norm), nn.ReLU(inplace=True)]
        channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                layers.append(Block(channels, width * 2**stage, stride, norm))
                channels = width * 2**stage
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


@torch.no_grad()
def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew, layer by layer, from one stream.

    Convolutions get He's normal initialization (variance 2 / fan-in), linear layers the uniform one of torch
    (bound 1 / sqrt(fan-in)), biases 0. The draws do not depend on which normalization the model has, so
    methods that share a seed start from the same weights.

    Args:
        model: changed in place.
        generator: the stream.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
