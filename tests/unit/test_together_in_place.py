"""Weights of one fan-in projected together: the same result, bounded memory, and each weight exactly once."""

import copy
from collections.abc import Iterable

import pytest
import torch
from torch import nn

from cwn_lite import fast
from cwn_lite.fast import project_
from cwn_lite.lab.measure.cost import Traffic


def layers() -> list[nn.Module]:
    torch.manual_seed(0)
    return [
        *[nn.Conv2d(8, 8, 3) for _ in range(5)],
        *[nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last) for _ in range(2)],
        nn.Conv2d(8, 16, 3),
        nn.Conv2d(16, 16, 3, groups=4),
        nn.Linear(12, 6),
        nn.Conv2d(8, 8, 3).double(),
        nn.ConvTranspose2d(8, 8, 3),
    ]


@pytest.mark.parametrize("centralize", [True, False])
@pytest.mark.parametrize("spherize", [True, False])
@pytest.mark.parametrize("most", [1, 1200, 1 << 22])
def test_together_is_one_by_one(centralize: bool, spherize: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = fast.project_together_

    def counting(weights: list[torch.Tensor], *arguments: float, **settings: bool) -> None:
        sizes.append(len(weights))
        real(weights, *arguments, **settings)

    # Also what a CPU does one by one.
    monkeypatch.setitem(fast.SMALL, "cpu", 1 << 30)
    monkeypatch.setattr(fast, "project_together_", counting)
    monkeypatch.setattr(fast, "LARGEST_CHUNK", most)
    together, alone = layers(), layers()
    strides = [layer.weight.stride() for layer in together]
    fast.project_modules_(together, 3.0, centralize=centralize, spherize=spherize)
    for layer in alone:
        transposed = isinstance(layer, nn.ConvTranspose2d)
        project_(layer.weight, 3.0, centralize=centralize, spherize=spherize, transposed=transposed)
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a.weight, b.weight, rtol=1e-6, atol=1e-6)
    assert [layer.weight.stride() for layer in together] == strides
    assert sum(sizes) == len(together) - 1
    assert max(sizes) == {1: 1, 1200: 2, 1 << 22: 8}[most]


def test_large_and_transposed_weights_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[torch.Size] = []
    monkeypatch.setattr(fast, "project_together_", lambda weights, *_, **__: joined.extend(w.shape for w in weights))
    for device, small, large in (("cpu", 64, 128), ("meta", 64, 640)):
        layers = [nn.Conv2d(small, small, 3), nn.Conv2d(large, large, 3), nn.ConvTranspose2d(small, small, 3)]
        joined.clear()
        project_all([layer.to(device) for layer in layers])
        assert joined == [(small, 9 * small)]


def project_all(modules: Iterable[nn.Module]) -> None:
    fast.project_modules_(modules, 2.0, centralize=True, spherize=True)


def test_nothing_asks_the_device_for_a_value() -> None:
    with pytest.raises(RuntimeError):  # what a meta tensor does when asked: the test below can fail
        bool(torch.ones(1, device="meta").all())
    project_all([layer.to("meta") for layer in [*layers(), nn.Conv2d(640, 640, 3)]])


def test_a_deeper_network_of_the_same_shapes_makes_no_more_calls() -> None:
    calls = []
    for depth in (3, 30):
        stack = [nn.Conv2d(8, 8, 3, device="meta") for _ in range(depth)]
        with Traffic() as traffic:
            project_all(stack)
        views = ("as_strided", "detach", "alias", "split_with_sizes", "split", "view")
        calls.append(sum(count for name, count in traffic.calls.items() if name not in views))
    assert calls[0] == calls[1]


def test_degenerate_rows_are_those_of_the_reference() -> None:
    weights = [torch.randn(4, 9), torch.zeros(4, 9), torch.full((4, 9), 2.5)]
    expected = [project_(copy.deepcopy(w)) for w in weights]
    fast.project_together_(weights, 2.0, centralize=True, spherize=True)
    for got, want in zip(weights, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
