"""DGCNN: convolutions over the edges of a graph of near points, drawn anew before each layer."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from .networks import Norm

SLOPE = 0.2

# Sizes and checks of the graph are no concern of a tracer, which reads from the rest what feeds which layer.
fx.wrap("neighbours")
fx.wrap("edges")


def neighbours(features: Tensor, k: int) -> Tensor:
    """Return the k nearest points of each point, itself among them, nearest first.

    Distances are Euclidean, in float32 whatever the autocast mode. No gradient flows through the choice.

    Args:
        features: (N, C, points).
        k: number of neighbours, at most the number of points.

    Returns:
        (N, points, k) int64.

    Raises:
        ValueError: fewer points than neighbours.

    Example:
        >>> neighbours(torch.tensor([[[0.0, 1.0, 3.0]]]), 2).tolist()
        [[[0, 1], [1, 0], [2, 1]]]
    """
    if not 1 <= k <= features.shape[2]:
        raise ValueError(f"k={k}: {features.shape[2]} points per cloud; take 1 to {features.shape[2]} neighbours")
    places = features.detach().transpose(1, 2)
    with torch.autocast(features.device.type, enabled=False):
        places = places if places.dtype == torch.float64 else places.float()
        # cdist multiplies out |a - b|², which loses digits to what a and b have in common; only differences count here.
        places = places - places.mean(1, keepdim=True)
        return torch.cdist(places, places).topk(k, dim=2, largest=False).indices


def edges(features: Tensor, neighbour: Tensor) -> Tensor:
    """Return the features ``(x_i, x_j - x_i)`` of the edges from each point i to its neighbours j.

    Args:
        features: (N, C, points).
        neighbour: (N, points, k), from :func:`neighbours`.

    Returns:
        (N, 2 C, points, k), channels last in memory.

    Example:
        >>> edges(torch.tensor([[[0.0, 1.0, 3.0]]]), torch.tensor([[[1], [0], [1]]])).squeeze().tolist()
        [[0.0, 1.0, 3.0], [1.0, -1.0, -2.0]]
    """
    n, channels, points = features.shape
    rows = features.transpose(1, 2).reshape(n * points, channels)
    first = torch.arange(0, n * points, points, device=features.device).view(n, 1, 1)
    other = rows.index_select(0, (neighbour + first).flatten()).view(n, points, -1, channels)
    own = rows.view(n, points, 1, channels)
    return torch.cat([own.expand_as(other), other - own], 3).permute(0, 3, 1, 2)


class EdgeConv(nn.Module):
    """``x_i' = max over j of LeakyReLU(norm(W (x_i, x_j - x_i)))``, j among the k nearest neighbours of i.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        k: number of neighbours.
        norm: maps a channel count to the module after the convolution; ``None`` leaves it out.

    Reference: Wang et al., Dynamic graph CNN for learning on point clouds, ACM TOG 2019, Eq. 7 and 8.
    """

    def __init__(self, in_channels: int, out_channels: int, k: int, norm: Norm | None = nn.BatchNorm2d) -> None:
        super().__init__()
        self.k = k
        layer = nn.Conv2d(2 * in_channels, out_channels, 1, bias=norm is None)
        self.layers = nn.Sequential(layer, *([] if norm is None else [norm(out_channels)]))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, points) to (N, C_out, points)."""
        out: Tensor = self.layers(edges(x, neighbours(x, self.k))).permute(0, 2, 3, 1)  # as it lies in memory
        # LeakyReLU rises everywhere, so that it may follow the maximum: the same value for a k-th of the work.
        return F.leaky_relu(out.max(2).values, SLOPE).transpose(1, 2)


class DGCNN(nn.Module):
    """Four edge convolutions, of whose outputs all are seen by a 1x1 convolution; global pooling; three linear layers.

    The channels are w, w, 2 w and 4 w, then 16 w, then 8 w and 4 w of the hidden linear layers. The classifier is the
    last ``nn.Linear``.

    Args:
        width: channels w of the first edge convolution; 64 is the paper's.
        k: number of neighbours; 20 is the paper's for 1,024 points.
        classes: number of classes.
        dropout: probability with which a hidden linear layer's output is left out; 0.5 is the paper's.
        norm: maps a channel count to the module after each convolution and hidden linear layer; ``None`` leaves it out,
            and the layers have biases. For ``nn.BatchNorm2d``, layers without a plane get ``nn.BatchNorm1d``.

    Example:
        >>> DGCNN(8, k=4, classes=12)(torch.randn(2, 16, 3)).shape
        torch.Size([2, 12])

    Reference: Wang et al., Dynamic graph CNN for learning on point clouds, ACM TOG 2019, section 4.1 and Figure 3.
    """

    def __init__(
        self,
        width: int = 64,
        *,
        k: int = 20,
        classes: int = 40,
        dropout: float = 0.5,
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        flat = nn.BatchNorm1d if norm is nn.BatchNorm2d else norm
        channels = [3, width, width, 2 * width, 4 * width]
        self.graph = nn.ModuleList(EdgeConv(*pair, k, norm) for pair in pairwise(channels))
        self.join = nn.Sequential(
            nn.Conv1d(sum(channels[1:]), 16 * width, 1, bias=flat is None),
            *_active(16 * width, flat),
        )
        self.head = nn.Sequential(
            nn.Linear(32 * width, 8 * width, bias=flat is None),
            *_active(8 * width, flat),
            nn.Dropout(dropout),
            nn.Linear(8 * width, 4 * width, bias=flat is None),
            *_active(4 * width, flat),
            nn.Dropout(dropout),
            nn.Linear(4 * width, classes),
        )

    def forward(self, points: Tensor) -> Tensor:
        """Map (N, points, 3) to logits (N, classes)."""
        x = points.transpose(1, 2)
        seen = []
        for layer in self.graph:
            x = layer(x)
            seen.append(x)
        x = self.join(torch.cat(seen, 1))
        logits: Tensor = self.head(torch.cat([x.amax(2), x.mean(2)], 1))
        return logits


def _active(channels: int, norm: Norm | None) -> list[nn.Module]:
    """Return what follows a layer without a plane."""
    return [*([] if norm is None else [norm(channels)]), nn.LeakyReLU(SLOPE, inplace=True)]
