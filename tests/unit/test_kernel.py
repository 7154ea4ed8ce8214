"""The kernel for GPUs does what the reference does; without a GPU Triton interprets it, see ``conftest.py``."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite import fast
from cwn_lite.projection import nearest

kernel = pytest.importorskip("cwn_lite.kernel", reason="Triton is made for Linux alone")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# The interpreter truncates bfloat16 instead of rounding it.
DTYPES = [torch.float32, torch.float16, *([torch.bfloat16] if DEVICE.type == "cuda" else [])]
pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")  # NumPy, on NaN


def rows_of_every_kind(dtype: torch.dtype) -> list[Tensor]:
    """Weights of several lengths: ordinary rows, offset ones, equal numbers, zeros, infinite ones and extreme ones."""
    torch.manual_seed(0)
    weights = [torch.randn(6, 27), torch.randn(4, 32), torch.randn(3, 2), torch.randn(2, 600) * 3 + 7]
    weights[0][1], weights[0][2], weights[0][3, 4], weights[0][4, 4] = 0, 5, torch.nan, torch.inf
    weights[0][5] = 1000 + 0.01 * weights[0][5]
    # Alike but for a NaN: no row to be given a new direction.
    weights += [torch.tensor([[5, torch.nan, 5, 5], [0, torch.nan, 0, 0]]), torch.tensor([[torch.nan, 5]])]
    weights += [torch.randn(3, 1025), torch.randn(2, 5000), torch.randn(1, kernel.LONGEST)]
    tiny = torch.finfo(dtype).tiny
    weights[1][0] *= 8 * tiny
    weights[1][1] *= torch.finfo(dtype).max / 8
    if dtype is torch.float32:
        weights[1][2] *= tiny / 2**10  # below the normal numbers
    return [weight.to(DEVICE, dtype) for weight in weights]


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the kernel take weights on a CPU, where there is no GPU."""
    if DEVICE.type == "cpu":
        monkeypatch.setattr(kernel, "takes", lambda device, dtype: dtype in kernel._DTYPES)
    kernel.plan.cache_clear()
    yield
    kernel.plan.cache_clear()


def project(weights: list[Tensor], c: float = 2.0, centralize: bool = True, spherize: bool = True) -> None:
    layers = []
    for weight in weights:
        layers.append(nn.Linear(weight.shape[1], len(weight), device="meta"))
        layers[-1].weight = nn.Parameter(weight)
    assert not kernel.project_what_fits_(layers, c, centralize=centralize, spherize=spherize)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("centralize", "spherize"), [(True, True), (True, False), (False, True)])
def test_it_is_the_reference(dtype: torch.dtype, centralize: bool, spherize: bool) -> None:
    weights = rows_of_every_kind(dtype)
    expected = [nearest(weight, (1,), 2.9, centralize, spherize) for weight in weights]
    project(weights, 2.9, centralize, spherize)
    digits = torch.finfo(dtype).eps
    for ours, theirs in zip(weights, expected, strict=True):
        for row, other in zip(ours, theirs, strict=True):
            size = float(other.abs().nan_to_num(0.0, 0.0, 0.0).max())
            torch.testing.assert_close(row, other, rtol=0, atol=4 * digits * size, equal_nan=True)


def test_what_lies_beside_a_weight_stays() -> None:
    memory = torch.randn(100, device=DEVICE)
    before = memory.clone()
    weight = memory[20:80].view(4, 15)
    project([weight])
    torch.testing.assert_close(weight.square().sum(1), torch.full((4,), 2.0, device=DEVICE))
    assert torch.equal(memory[:20], before[:20]) and torch.equal(memory[80:], before[80:])


def test_a_weight_that_moved_is_found() -> None:
    layer, kept = nn.Linear(8, 3, device=DEVICE), []
    for dtype in DTYPES * 2:
        kept.append(layer.weight)  # so that the next one lies elsewhere
        layer.weight = nn.Parameter(torch.randn(3, 8, device=DEVICE, dtype=dtype))
        kernel.project_what_fits_([layer], 2.0, centralize=True, spherize=True)
        assert float((layer.weight.detach().float().square().sum(1) - 2).abs().max()) < 8 * torch.finfo(dtype).eps


def test_autograd_sees_the_change() -> None:
    weight = nn.Parameter(torch.randn(3, 8, device=DEVICE))
    loss = weight.square().sum()
    project([weight.detach()])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_it_leaves() -> None:
    layers = [
        nn.Conv2d(4, 4, 3, device=DEVICE),
        nn.ConvTranspose2d(4, 4, 3, device=DEVICE),
        nn.Linear(4, 4, device=DEVICE, dtype=torch.float64),
        nn.Linear(kernel.LONGEST + 1, 1, device=DEVICE),
        nn.Linear(4, 4, device=DEVICE),
    ]
    layers[4].weight = nn.Parameter(torch.empty(0, 4, device=DEVICE))
    with torch.inference_mode():
        layers.append(nn.Linear(4, 4, device=DEVICE))
    before = [layer.weight.detach().clone() for layer in layers]
    left = kernel.project_what_fits_(layers, 2.0, centralize=True, spherize=True)
    assert left == layers[1:]
    for layer, weight in zip(left, before[1:], strict=True):
        assert torch.equal(layer.weight, weight)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_constraint_uses_it(monkeypatch: pytest.MonkeyPatch, memory_format: torch.memory_format) -> None:
    def end(by_kernel: bool) -> list[Tensor]:
        calls = []

        def take(modules: list[nn.Module], c: float, centralize: bool, spherize: bool) -> Sequence[nn.Module]:
            if not by_kernel:
                return modules
            left = kernel.project_what_fits_(modules, c, centralize=centralize, spherize=spherize)
            calls.append((len(modules), len(left)))
            return left

        monkeypatch.setattr(fast, "_left_by_kernel", take)
        torch.manual_seed(0)
        convolutions = (nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=2))
        model = nn.Sequential(*convolutions, nn.Flatten(), nn.LazyLinear(4), nn.Linear(4, 2))
        x = torch.randn(2, 3, 8, 8)
        model(x)
        x = x.to(DEVICE)
        model.to(DEVICE, memory_format=memory_format)  # type: ignore[call-overload]  # as torch's stubs say
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        constraint = cwn.constrain(optimizer, model)
        for _ in range(2):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        assert constraint.violation() < 1e-6
        assert calls == ([(4, 1)] * 3 if by_kernel else [])
        return [p.detach() for p in model.parameters()]

    for ours, theirs in zip(end(True), end(False), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_weights_on_a_cpu_are_projected_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "project_what_fits_", None)  # a call would fail
    layer = nn.Linear(8, 2)
    fast.project_modules_([layer], 2.0, centralize=True, spherize=True)
    torch.testing.assert_close(layer.weight.detach().square().sum(1), torch.full((2,), 2.0))


def test_it_gives_way_where_it_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.can_launch.cache_clear()
    assert kernel.can_launch(DEVICE, torch.float32)

    def fails(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler")

    for broken, words in ((fails, "Failed to find C compiler"), (lambda *_: None, "something else")):
        kernel.can_launch.cache_clear()
        monkeypatch.setattr(kernel, "_start", broken)
        with pytest.warns(UserWarning, match=f"projected by PyTorch's operations.*{words}"):
            assert not kernel.can_launch(DEVICE, torch.float32)
        assert not kernel.can_launch(DEVICE, torch.float32)  # said once
    kernel.can_launch.cache_clear()
