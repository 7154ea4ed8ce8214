"""Errata of Tables 3 and 6: what a residual network without normalization and constraints needs of its start."""

from collections.abc import Iterator
from math import inf, isfinite

import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from paper_numbers import load, look_up
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import cwn_lite as cwn
from cwn_lite.lab import data
from cwn_lite.lab.nets.networks import WideResNet, initialize

BLOCKS = 12  # as many as WideResNet-28-10 has
PYTORCH = 1 / 3  # squared norm, in the mean, of the rows that nn.Linear and nn.Conv2d start with
LR = float(look_up(load(), "settings.cifar.wideresnet-28-10.lr"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Block(nn.Module):
    """Scale, ReLU, linear map, twice, beside an identity: nothing normalized, nothing constrained."""

    def __init__(self, width: int, c: float, gamma: float) -> None:
        super().__init__()
        scales = cwn.ScaleBias(width), cwn.ScaleBias(width)
        linear = [nn.Linear(width, width, bias=False) for _ in scales]
        for layer in linear:
            nn.init.normal_(layer.weight, std=(c / width) ** 0.5)
        nn.init.constant_(scales[1].weight, gamma)
        self.branch = nn.Sequential(scales[0], nn.ReLU(), linear[0], scales[1], nn.ReLU(), linear[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)  # type: ignore[no-any-return]  # a module's call is untyped


def losses(model: nn.Module, flat: bool, steps: int, batch: int) -> list[float]:
    """Losses on digits, by SGD with the paper's rate and momentum, up to the first that is no number."""
    digits = data.load("digits")
    images = digits.train_images.double().reshape(-1, *((64,) if flat else (1, 8, 8)))
    images, labels = (images - images.mean()) / images.std(), digits.train_labels
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
    found: list[float] = []
    while len(found) < steps and all(map(isfinite, found)):
        drawn = torch.randint(len(images), (batch,))
        loss = cross_entropy(model(images[drawn]), labels[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.equation("eq:errata:plain")
@pytest.mark.parametrize("c", [cwn.C_HE, PYTORCH])
def test_plain(c: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(32, 512)
    before = float(x.square().mean())
    with torch.no_grad():
        for _ in range(BLOCKS):
            x = Block(512, c, gamma=1.0)(x)
    after = float(x.square().mean())
    known = {
        r"\operatorname{E}[x_{l+1}^2]": (after / before) ** (1 / BLOCKS),
        r"\operatorname{E}[x_l^2]": 1.0,
        "c": c,
    }
    assert holds(formula("eq:errata:plain"), known, rtol=0.03)
    once = formula("eq:errata:plain").replace(r"\right)^2", r"\right)")
    assert holds(once, known, rtol=0.03) == (c == cwn.C_HE), "without the square it is wrong"
    assert (after / before < 1.5) == (c == PYTORCH), "less than a half"
    for layer in (nn.Linear(512, 512), nn.Conv2d(64, 512, 3)):
        assert float(layer.weight.detach().square().flatten(1).sum(1).mean()) == pytest.approx(PYTORCH, rel=0.01)


@pytest.mark.parametrize(
    ("c", "gamma", "trains"), [(cwn.C_HE, 1.0, False), (PYTORCH, 1.0, True), (cwn.C_HE, 0.0, True)]
)
def test_plain_network_needs_a_start(c: float, gamma: float, trains: bool) -> None:
    torch.manual_seed(0)
    width = 64
    head = [cwn.ScaleBias(width), nn.ReLU(), nn.Linear(width, 10)]
    model = nn.Sequential(nn.Linear(64, width), *(Block(width, c, gamma) for _ in range(BLOCKS)), *head).double()
    found = losses(model, flat=True, steps=40, batch=128)
    if trains:
        assert max(found) < 10 and sum(found[-5:]) < 5, found
    else:
        assert len(found) < 10 and max(x for x in found if x < inf) > 1e3, found


def test_a_plain_wide_residual_network_is_lost() -> None:
    """The paper's depth at a tenth of its width, with the start of He et al. and a scale of one."""
    torch.manual_seed(0)
    model = WideResNet(28, 16, in_channels=1)
    initialize(model, torch.Generator().manual_seed(0))
    cwn.replace_batchnorm(model, centralize=False, spherize=False)
    found = losses(model.double(), flat=False, steps=10, batch=32)
    assert max(found) > 1e3 or not isfinite(found[-1]), found
