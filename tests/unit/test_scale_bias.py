"""Scale, bias and noise (Eq. 6-7), and the course of the noise over depth (Eq. 8)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import cwn_lite as cwn
from cwn_lite.lab.measure.cost import Traffic, kept_for_backward

SHAPES = [(4, 3), (4, 3, 7), (4, 3, 5, 6), (4, 3, 2, 5, 6), (0, 3, 2), (1, 3, 1, 1)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def layer(features: int = 3, **options: object) -> cwn.ScaleBias:
    """A layer whose γ and β are not those of the start."""
    made = cwn.ScaleBias(features, **options).double()
    with torch.no_grad():
        made.weight.copy_(torch.rand(features) + 0.5)
        made.bias.copy_(torch.randn(features))
    return made


def along_channels(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.reshape(1, -1, *[1] * (x.ndim - 2))


@shapes
@pytest.mark.parametrize("training", [True, False])
def test_eq_6_scale_and_bias_on_axis_1(shape: tuple[int, ...], training: bool) -> None:
    scale_bias, x = layer().train(training), torch.randn(shape, dtype=torch.float64)
    expected = along_channels(scale_bias.weight, x) * x + along_channels(scale_bias.bias, x)
    torch.testing.assert_close(scale_bias(x), expected, rtol=1e-15, atol=1e-15)


@shapes
def test_it_starts_as_the_identity(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert torch.equal(cwn.ScaleBias(3)(x), x)


@shapes
@pytest.mark.parametrize("per_sample", [True, False])
def test_eq_7_noise_multiplies_the_scale_and_not_the_bias(shape: tuple[int, ...], per_sample: bool) -> None:
    """One factor `1 + n` per channel, shared over positions, and over samples unless `per_sample`."""
    scale_bias = layer(noise_std=0.5, per_sample=per_sample)
    x = torch.randn(shape, dtype=torch.float64)
    factor = (scale_bias(x) - along_channels(scale_bias.bias, x)) / (along_channels(scale_bias.weight, x) * x)
    assert factor.shape == x.shape
    factor = factor.flatten(2) if x.ndim > 2 else factor[:, :, None]
    torch.testing.assert_close(factor, factor[:, :, :1].expand_as(factor), rtol=1e-8, atol=1e-8)
    if len(factor) > 1:
        between_samples = (factor[:, :, 0] - factor[:1, :, 0])[1:].abs()
        assert (between_samples > 1e-6).all() if per_sample else (between_samples < 1e-8).all()
    if len(factor):
        assert (factor[0, :, 0].diff().abs() > 1e-6).all(), "each channel has its own"
    torch.testing.assert_close(scale_bias(torch.zeros_like(x)), along_channels(scale_bias.bias, x).expand_as(x))


@pytest.mark.parametrize("per_sample", [True, False])
def test_eq_7_noise_is_normal_with_mean_1_and_the_given_deviation(per_sample: bool) -> None:
    """200 000 draws: the mean is known to σ / √N, the deviation to σ / √2N, the kurtosis to √(24 / N); five of each."""
    sigma, n = 0.4, 200_000
    scale_bias = cwn.ScaleBias(1000, noise_std=sigma, per_sample=per_sample)
    x = torch.ones(50 if per_sample else 1, 1000)
    factors = torch.stack([scale_bias(x) for _ in range(n // x.numel())]).detach().double().flatten()
    assert factors.mean().item() == pytest.approx(1.0, abs=5 * sigma / math.sqrt(n))
    assert factors.std().item() == pytest.approx(sigma, abs=5 * sigma / math.sqrt(2 * n))
    standard = (factors - 1) / sigma
    assert standard.pow(4).mean().item() == pytest.approx(3.0, abs=5 * math.sqrt(96 / n))
    # Consecutive draws, hence neighbouring channels and consecutive steps, are not correlated.
    assert (standard[1:] * standard[:-1]).mean().abs().item() < 5 / math.sqrt(n)
    assert (standard[1000:] * standard[:-1000]).mean().abs().item() < 5 / math.sqrt(n)


def test_no_noise_in_eval_and_none_is_drawn() -> None:
    """Neither in eval mode nor at σ = 0 is the random stream touched, so a plain run stays reproducible."""
    x = torch.randn(4, 3, 5)
    for scale_bias in (cwn.ScaleBias(3, noise_std=0.9).eval(), cwn.ScaleBias(3, noise_std=0.0)):
        before = torch.get_rng_state()
        assert torch.equal(scale_bias(x), x)
        assert torch.equal(torch.get_rng_state(), before)
    noisy = cwn.ScaleBias(3, noise_std=0.9)
    assert not torch.equal(noisy(x), noisy(x)), "each step draws anew"
    noisy.noise_std = 0.0
    assert torch.equal(noisy(x), x), "the level may be changed at any time"


@pytest.mark.parametrize("sigma", [0.0, 0.6])
@shapes
def test_gradients(shape: tuple[int, ...], sigma: float) -> None:
    """`∂y/∂γ = (1 + n) x`, `∂y/∂β = 1`, `∂y/∂x = (1 + n) γ`, with the n of that pass."""
    scale_bias = layer(noise_std=sigma)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn(shape, dtype=torch.float64)
    torch.manual_seed(7)
    dx, dweight, dbias = torch.autograd.grad(scale_bias(x), (x, scale_bias.weight, scale_bias.bias), cotangent)
    torch.manual_seed(7)
    ones = torch.ones(1, 3, dtype=torch.float64)
    factor = ((scale_bias(ones) - scale_bias.bias) / scale_bias.weight).detach().flatten()
    over = [axis for axis in range(len(shape)) if axis != 1]
    torch.testing.assert_close(dx, cotangent * along_channels(factor * scale_bias.weight.detach(), x))
    torch.testing.assert_close(dweight, (cotangent * x.detach()).sum(over) * factor)
    torch.testing.assert_close(dbias, cotangent.sum(over))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, at its first forward-mode pass
@pytest.mark.parametrize("per_sample", [True, False])
@shapes
def test_second_derivatives_and_forward_mode(shape: tuple[int, ...], per_sample: bool) -> None:
    scale_bias = layer(noise_std=0.3, per_sample=per_sample)
    few = [3 if axis == 1 else min(n, 2) for axis, n in enumerate(shape)]  # each number is differentiated on its own
    x = torch.randn(few, dtype=torch.float64, requires_grad=True)

    def call(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)  # one draw for all
        parameters = {"weight": weight, "bias": bias}
        out: torch.Tensor = torch.func.functional_call(scale_bias, parameters, (x,)).square()
        return out

    inputs = x, scale_bias.weight, scale_bias.bias
    assert torch.autograd.gradcheck(call, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_under_vmap() -> None:
    """Gradients for each sample, as of a loop over samples."""
    scale_bias, x = layer(), torch.randn(5, 3, 4, dtype=torch.float64)

    def loss(parameters: dict[str, torch.Tensor], sample: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.func.functional_call(scale_bias, parameters, (sample[None],)).square().sum()
        return out

    parameters = {name: p.detach() for name, p in scale_bias.named_parameters()}
    together = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for i, sample in enumerate(x):
        for name, gradient in torch.func.grad(loss)(parameters, sample).items():
            torch.testing.assert_close(together[name][i], gradient)


def test_the_backward_pass_is_one_operation() -> None:
    """Which neither writes products of activations down nor keeps more of them than its input."""
    scale_bias, x = cwn.ScaleBias(64), torch.randn(8, 64, 10, 10, requires_grad=True)
    arriving = torch.ones_like(x)
    with Traffic() as traffic:
        scale_bias(x).backward(arriving)
    assert traffic.total / (4 * x.numel()) == pytest.approx(6, rel=0.05)
    kept = kept_for_backward(scale_bias, lambda: scale_bias(x))
    assert kept / (4 * x.numel()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_autocast_keeps_the_dtype_of_the_activations(sigma: float) -> None:
    """As batch norm does: bfloat16 in, bfloat16 out; parameters and their gradients stay in float32."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), cwn.ScaleBias(3, noise_std=sigma))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(torch.randn(2, 2, 6, 6))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert net[1].weight.grad.dtype == net[1].bias.grad.dtype == torch.float32
    assert net[1].weight.grad.abs().min() > 0


@pytest.mark.parametrize("x_dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_output_has_the_dtype_of_the_input(x_dtype: torch.dtype, dtype: torch.dtype) -> None:
    scale_bias = cwn.ScaleBias(3, noise_std=0.1, dtype=dtype)
    assert scale_bias.weight.dtype == dtype
    assert scale_bias(torch.ones(2, 3, 4, dtype=x_dtype)).dtype == x_dtype


def test_memory_format_is_kept() -> None:
    x = torch.randn(2, 3, 5, 6).to(memory_format=torch.channels_last)
    assert layer()(x.double()).is_contiguous(memory_format=torch.channels_last)
    assert layer()(x.double().contiguous()).is_contiguous()


def test_state_dict_has_the_keys_of_batch_norm_without_statistics() -> None:
    norm = nn.BatchNorm2d(3)
    scale_bias = cwn.ScaleBias(3, noise_std=0.3)
    assert list(scale_bias.state_dict()) == ["weight", "bias"]
    with torch.no_grad():
        norm.weight.fill_(2.0), norm.bias.fill_(-1.0)
    result = scale_bias.load_state_dict(norm.state_dict(), strict=False)
    assert not result.missing_keys
    assert set(result.unexpected_keys) == {"running_mean", "running_var", "num_batches_tracked"}
    assert torch.equal(scale_bias.eval()(torch.ones(1, 3)), torch.ones(1, 3))


def test_reset_and_repr() -> None:
    scale_bias = layer(noise_std=0.25, per_sample=True)
    scale_bias.reset_parameters()
    assert torch.equal(scale_bias.weight, torch.ones(3).double())
    assert torch.equal(scale_bias.bias, torch.zeros(3).double())
    assert repr(scale_bias) == "ScaleBias(3, noise_std=0.25, per_sample=True)"
    assert cwn.ScaleBias(3, device="meta").weight.is_meta


@pytest.mark.parametrize(("depth", "sigma"), [(1, 0.5), (3, 0.6), (54, 1.0), (7, 0.0)])
def test_eq_8_noise_grows_linearly_from_its_first_share_to_sigma(depth: int, sigma: float) -> None:
    levels = cwn.noise_schedule(depth, sigma, "linear")
    assert levels == pytest.approx([layer * sigma / depth for layer in range(1, depth + 1)], rel=1e-15)
    assert levels[-1] == sigma and len(levels) == depth


def test_the_constant_schedule_is_the_default() -> None:
    assert cwn.noise_schedule(3, 0.5) == cwn.noise_schedule(3, 0.5, "constant") == [0.5, 0.5, 0.5]
    assert cwn.noise_schedule(0, 0.5) == cwn.noise_schedule(0, 0.5, "linear") == []


def test_set_noise_goes_in_module_order_and_counts_a_shared_layer_once() -> None:
    shared = cwn.ScaleBias(2)
    net = nn.Sequential(cwn.ScaleBias(2), nn.Sequential(shared, nn.ReLU(), cwn.ScaleBias(2)), shared, cwn.ScaleBias(2))
    assert cwn.set_noise(net, 0.8, "linear") is net
    assert [net[0].noise_std, shared.noise_std, net[1][2].noise_std, net[3].noise_std] == [
        0.2,
        0.4,
        pytest.approx(0.6),
        0.8,
    ]
    cwn.set_noise(net, 0.3)
    assert {m.noise_std for m in net.modules() if isinstance(m, cwn.ScaleBias)} == {0.3}
