"""Bytes counted: by hand for operations small enough to count by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cwn_lite.lab.measure.cost import Traffic, kept_for_backward

VALUES = 1200
X, Y = torch.ones(30, 40), torch.ones(30, 40)


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        (lambda: X + Y, 3),
        (lambda: X.add_(0.0), 2),
        (lambda: X.copy_(Y), 2),
        (lambda: X.zero_(), 1),
        (lambda: X.clone(), 2),
        (lambda: torch.mul(X, Y, out=torch.empty(30, 40)), 3),
        (lambda: torch._foreach_copy_([X[:15], X[15:]], [Y[:15], Y[15:]]), 2),
        (lambda: torch._foreach_add([X, Y], [Y, X]), 6),
        (lambda: X.sum(), 1 + 1 / VALUES),
        (lambda: X.t()[3:], 0),
        (lambda: X.detach()[3:, None].expand(-1, 7, -1), 0),
        (lambda: X + torch.ones(1, 1).expand(30, 40), 2 + 2 / VALUES),  # ones are written, and read as one value
        (lambda: torch.empty(30, 40), 0),
        (lambda: X.double(), 3),
        (lambda: torch.stack([X, Y]), 4),
    ],
)
def test_passes_over_memory(call: Callable[[], object], passes: float) -> None:
    with Traffic() as traffic:
        call()
    assert traffic.total == pytest.approx(4 * VALUES * passes)


def test_batch_norm_reads_twice_and_group_norm_once_and_given_statistics_only_the_gradient_twice() -> None:
    x = torch.randn(8, 4, 30, 40, requires_grad=True)
    arriving = torch.ones_like(x)
    norms = ((nn.BatchNorm2d(4), 3, 8), (nn.GroupNorm(2, 4), 2, 5), (nn.BatchNorm2d(4).eval(), 2, 6))
    for norm, forward, both in norms:
        with Traffic() as traffic:
            norm(x)
        assert traffic.total / (4 * x.numel()) == pytest.approx(forward, abs=0.01)
        with Traffic() as traffic:
            torch.autograd.grad(norm(x), x, arriving)
        assert traffic.total / (4 * x.numel()) == pytest.approx(both, abs=0.01)


def test_fused_sgd_reads_three_and_writes_two() -> None:
    weight = nn.Parameter(torch.ones(1000))
    weight.grad = torch.ones(1000)
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True)
    optimizer.step()
    with Traffic() as traffic:
        optimizer.step()
    assert traffic.bytes["_fused_sgd_"] == 20 * 1000


def test_calls_are_counted_by_name() -> None:
    with Traffic() as traffic:
        (X + Y).relu().relu()
    assert traffic.calls["relu"] == 2 and traffic.bytes["relu"] == 2 * traffic.bytes["add"] * 2 // 3


def test_nothing_is_counted_outside() -> None:
    with Traffic() as traffic:
        pass
    _ = X + Y
    assert traffic.total == 0


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (nn.Sequential(nn.Linear(6, 5)), 6),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU()), 6 + 5),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)), 6 + 5),  # one tensor, kept by two
        (nn.Sequential(nn.Flatten(), nn.Identity()), 0),
        (nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Tanh()), 6 + 5 + 5),
    ],
)
def test_what_is_kept_for_backward(model: nn.Module, kept: int) -> None:
    for images in (3, 7):
        x = torch.ones(images, 6)
        assert kept_for_backward(model, lambda x=x: model(x)) == 4 * images * kept


def test_parameters_and_buffers_do_not_count() -> None:
    norm = nn.BatchNorm1d(6).eval()
    x = torch.ones(4, 6)

    def call() -> Tensor:
        out: Tensor = norm(x)
        return out

    own = 4 * 2 * 6 * 4  # at most some statistics beside the input
    assert kept_for_backward(norm, call) <= 4 * x.numel() + own
    with torch.no_grad():
        assert kept_for_backward(norm, call) == 0
