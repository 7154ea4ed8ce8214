"""Networks of the evidence chapters, with the normalization left open."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator

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
        dropout: probability with which an activation is left out behind each stage.

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
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        drop = [nn.Dropout(dropout) for _ in range(3)] if dropout else []
        channels = in_channels
        for stage in range(3):
            if stage:
                layers += [nn.AvgPool2d(2), *drop[stage - 1 : stage]]
            for _ in range(depth // 3):
                out = width * 2**stage
                layers += [*conv(channels, out, norm), nn.ReLU(inplace=True)]
                channels = out
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), *drop[2:], nn.Flatten(), nn.Linear(channels, classes))


class Block(nn.Module):
    """Two 3x3 convolutions beside an identity that is subsampled and padded with zero channels where needed.

    The identity has no parameters (option A of He et al., section 4.2).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution and of the identity.
        norm: as for :class:`CNN`.
        alpha: factor on the branch.
        beta: divisor of the branch's input.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm: Norm | None,
        alpha: float = 1.0,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
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
        return F.relu(self._scaled_branch(x) + shortcut)

    def _scaled_branch(self, x: Tensor) -> Tensor:
        """Return ``α f(x / β)``; without the two factors the plain branch, bit for bit."""
        plain = (self.alpha, self.beta) == (1.0, 1.0)
        out: Tensor = self.branch(x) if plain else self.alpha * self.branch(x / self.beta)
        return out


class ResNet(nn.Sequential):
    """The CIFAR ResNet with ``depth = 6 n + 2`` layers.

    Args:
        depth: 20, 32, 56, 110, ...
        width: channels of the first stage; 16 is the standard.
        in_channels: channels of the image.
        classes: number of classes.
        norm: as for :class:`CNN`.
        alpha: ``α`` of NF-ResNet's residual scaling; ``None`` for the plain sum.

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
        alpha: float | None = None,
    ) -> None:
        layers: list[nn.Module] = [*conv(in_channels, width, norm), nn.ReLU(inplace=True)]
        channels = width
        scaling = residual_scaling(3 * ((depth - 2) // 6), alpha)
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                layers.append(Block(channels, width * 2**stage, stride, norm, *next(scaling)))
                channels = width * 2**stage
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class WideBlock(nn.Module):
    """A pre-activation block: norm, ReLU, convolution, twice; where the shape changes, the identity is a 1x1 one.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution and of the identity.
        norm: as for :class:`CNN`.
        alpha: factor on the branch.
        beta: divisor of the branch's input.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm: Norm | None,
        alpha: float = 1.0,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.first = nn.Sequential(*([] if norm is None else [norm(in_channels)]), nn.ReLU())
        self.branch = nn.Sequential(
            *conv(in_channels, out_channels, norm, stride),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=norm is None),
        )
        changed = stride != 1 or in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=norm is None) if changed else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        active = self.first(x if self.beta == 1 else x / self.beta)
        shortcut: Tensor = x if self.shortcut is None else self.shortcut(active)
        branch: Tensor = self.branch(active)
        return shortcut + (branch if self.alpha == 1 else self.alpha * branch)


class WideResNet(nn.Sequential):
    """WideResNet with ``depth = 6 n + 4`` layers.

    Args:
        depth: 16, 22, 28, 40, ...
        width: channels of the first stage, 16 times the widening factor; 160 for WideResNet-28-10.
        in_channels: channels of the image.
        classes: number of classes.
        norm: as for :class:`CNN`.
        alpha: ``α`` of NF-ResNet's residual scaling; ``None`` for the plain sum.

    Example:
        >>> WideResNet(10, 16)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    Reference: Zagoruyko and Komodakis, Wide residual networks, BMVC 2016.
    """

    def __init__(
        self,
        depth: int = 28,
        width: int = 160,
        *,
        in_channels: int = 3,
        classes: int = 10,
        norm: Norm | None = nn.BatchNorm2d,
        alpha: float | None = None,
    ) -> None:
        blocks = (depth - 4) // 6
        layers: list[nn.Module] = [nn.Conv2d(in_channels, 16, 3, padding=1, bias=norm is None)]
        channels = 16
        scaling = residual_scaling(3 * blocks, alpha, starts=range(0, 3 * blocks, blocks))
        for stage in range(3):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(WideBlock(channels, width * 2**stage, stride, norm, *next(scaling)))
                channels = width * 2**stage
        last = [] if norm is None else [norm(channels)]
        super().__init__(
            *layers, *last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )


def residual_scaling(blocks: int, alpha: float | None, starts: Container[int] = ()) -> Iterator[tuple[float, float]]:
    """Yield ``α`` and ``β`` of each block: ``β² = 1`` at first and ``β² + α²`` one block on.

    If each branch keeps the variance of its input, ``β`` is the standard deviation of the stream before the block,
    so that ``x / β`` has variance 1 and the stream grows by a sum instead of by a product.

    Args:
        blocks: number of blocks.
        alpha: ``None`` yields ``(1, 1)`` each time, the plain sum.
        starts: blocks whose identity is a convolution of ``x / β``: the variance is 1 again there.

    Example:
        >>> [round(beta**2, 2) for _, beta in residual_scaling(4, 0.5, starts=[2])]
        [1.0, 1.25, 1.5, 1.25]

    Reference: Brock, De and Smith, Characterizing signal propagation to close the performance gap in unnormalized
    ResNets, ICLR 2021, section 3.
    """
    variance = 1.0
    for block in range(blocks):
        if alpha is None:
            yield 1.0, 1.0
            continue
        yield alpha, math.sqrt(variance)
        variance = (1.0 if block in starts else variance) + alpha**2


@torch.no_grad()
def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew, layer by layer, from one stream.

    Convolutions and hidden linear layers get He's normal initialization (variance 2 / fan-in), the classifier the
    uniform one of torch (bound 1 / sqrt(fan-in)), biases 0. The draws do not depend on which normalization the model
    has, so methods that share a seed start from the same weights.

    Args:
        model: changed in place.
        generator: the stream.
    """
    classifier = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    for module in model.modules():
        if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            continue
        if module in classifier:
            bound = module.weight.shape[1] ** -0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
