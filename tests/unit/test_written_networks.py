"""Starts and warnings of networks as people write them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn

C = cwn.C_CENTERED


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def conv(inputs: int, outputs: int, size: int = 3, **options: Any) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False, **options)
    return [layer, nn.BatchNorm2d(outputs)]


def replaced(model: nn.Module, **options: Any) -> nn.Module:
    return cwn.replace_batchnorm(model, c=C, centralize="mixing", **options)


def rms(x: Tensor) -> float:
    return float(x.detach().square().mean().sqrt())


def constrain(model: nn.Module) -> tuple[cwn.AngularMuon, cwn.Constraint]:
    optimizer = cwn.AngularMuon(cwn.angular_groups(model))
    return optimizer, cwn.constrain(optimizer, model)


def warned(record: pytest.WarningsRecorder | list[warnings.WarningMessage]) -> list[str]:
    return [str(each.message) for each in record]


class Block(nn.Module):
    def __init__(self, join: Callable[[Tensor, Tensor], Tensor] = torch.add, width: int = 16) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.ReLU(), *conv(width, width), nn.ReLU(), *conv(width, width))
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.f(x))


class Crops(nn.Module):
    """A U-Net that pads what it joins, by differences of sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = (nn.Sequential(*conv(i, 8), nn.ReLU()) for i in (3, 8))
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Sequential(*conv(16, 8), nn.ReLU(), nn.Conv2d(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        a = self.down(x)
        u = self.up(self.deep(F.max_pool2d(a, 2)))
        high, wide = a.size(2) - u.size(2), a.shape[3] - u.shape[3]
        y: Tensor = self.out(torch.cat([a, F.pad(u, [0, wide, 0, high])], 1))
        return y


class Places(nn.Module):
    """Blocks of two maps without an activation between sum and first map, on a stem with an embedding of places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.place = nn.Sequential(*conv(3, 16)), nn.Embedding(8, 16)
        self.blocks = nn.ModuleList(nn.Sequential(*conv(16, 16, 1), nn.ReLU(), *conv(16, 16, 1)) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.place(torch.arange(x.shape[-1], device=x.device)).T[None, :, None]
        for block in self.blocks:
            x = x + block(x)
        return x


def test_arithmetic_on_sizes_is_no_residual_sum() -> None:
    model = replaced(Crops())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cwn.scale_branches(model) == ()
        constrain(model)


def test_an_embedding_of_places_is_no_stream() -> None:
    model = replaced(Places())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = cwn.scale_branches(model)
    assert set(names) == {f"blocks.{i}.{j}" for i in range(6) for j in (1, 4)}
    assert [float(block[4].weight.detach()[0]) for block in model.blocks] == pytest.approx([6**-0.5] * 6)
    assert [float(block[1].weight.detach()[0]) for block in model.blocks] == pytest.approx([C**-0.5] * 6)


HALVED: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    "behind": (lambda x, y: (x + y) / math.sqrt(2), 1.0),
    "each": (lambda x, y: x * 0.6 + y * 0.8, math.sqrt(1 / 24 + 1 - 0.36) / 0.8),
    "the shortcut alone": (lambda x, y: 0.99 * x + y, math.sqrt(1 / 24 + 1 - 0.99**2)),
    "the branch alone": (lambda x, y: x + 0.5 * y, 2 * 24**-0.5),
    "enlarged": (lambda x, y: 2 * x + y, 24**-0.5),
    "behind a ReLU": (lambda x, y: F.relu(x + y) / math.sqrt(2), 1.0),
    "behind dropout": (lambda x, y: F.dropout(x + y, 0.0) * math.sqrt(0.5), 1.0),
    "multiply": (lambda x, y: torch.multiply(x + y, math.sqrt(0.5)), 1.0),
    "alpha of the stream": (lambda x, y: torch.add(y, x, alpha=0.7), math.sqrt(1 / 24 + 1 - 0.49)),
}


@pytest.mark.parametrize(("join", "start"), HALVED.values(), ids=HALVED)
def test_what_the_forward_takes_from_a_stream_the_branch_gives_back(
    join: Callable[[Tensor, Tensor], Tensor], start: float
) -> None:
    model = replaced(nn.Sequential(*(Block(join) for _ in range(24)), nn.Conv2d(16, 3, 1)))
    cwn.scale_branches(model)
    starts = [float(block.f[5].weight.detach()[0]) for block in model[:24]]
    assert starts == pytest.approx([min(1.0, start)] * 24)
    x = torch.randn(8, 16, 16, 16)
    if join is not HALVED["enlarged"][0]:
        assert 0.3 < rms(model[:24](x)) / rms(x) < math.sqrt(math.e) * 1.3


@pytest.mark.parametrize("after", [math.sqrt(0.5), 1.0])
def test_two_branches_of_one_sum_share_what_it_has_room_for(after: float) -> None:
    class Pair(Block):
        def __init__(self) -> None:
            super().__init__()
            self.g = nn.Sequential(nn.ReLU(), *conv(16, 16))

        def forward(self, x: Tensor) -> Tensor:
            return after * (x + self.f(x) + self.g(x))

    model = replaced(nn.Sequential(*(Pair() for _ in range(12)), nn.Conv2d(16, 3, 1)))
    cwn.scale_branches(model)
    assert float(model[0].g[2].weight.detach()[0]) == pytest.approx(
        min(1.0, math.sqrt(1 / 24 + (1 - after**2) / 2) / after)
    )
    x = torch.randn(8, 16, 16, 16)
    assert 0.3 < rms(model[:12](x)) / rms(x) < math.sqrt(math.e) * 1.3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrain(model)


def test_a_number_on_a_bare_stream_is_no_activation() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Sequential(*conv(16, 16), nn.ReLU(), *conv(16, 16))

        def forward(self, x: Tensor) -> Tensor:
            return (x + self.f(x)) / math.sqrt(2)

    model = replaced(nn.Sequential(*conv(16, 16), *(Linear() for _ in range(16)), nn.Conv2d(16, 3, 1)))
    cwn.scale_branches(model)
    x = torch.randn(8, 16, 16, 16)
    assert 0.3 < rms(model[:18](x)) / rms(x) < 3
    assert [float(block.f[1].weight.detach()[0]) for block in model[2:18]] == pytest.approx([C**-0.5] * 16)


def test_a_stream_of_residual_blocks_inside_of_a_branch_has_its_scales() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Sequential(nn.ReLU(), *conv(16, 16))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + self.f(x)
            return y

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(*(Inner() for _ in range(3)))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + 0.2 * self.body(x)
            return y

    model = replaced(nn.Sequential(*(Outer() for _ in range(4)), nn.Conv2d(16, 3, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(cwn.scale_branches(model)) == 12
    x = torch.randn(8, 16, 16, 16)
    assert rms(model[:4](x)) / rms(x) < 3


class Skips(nn.Module):
    """As WaveNet: a stream of residual blocks, and a sum of what each of them gives to the output."""

    def __init__(self, blocks: int = 20) -> None:
        super().__init__()
        self.inner, self.back, self.skip = (
            nn.ModuleList(nn.Conv1d(16, 16, 1) for _ in range(blocks)) for _ in range(3)
        )
        self.norms, self.out = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(blocks)), nn.Conv1d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: Tensor | int = 0
        for inner, back, skip, norm in zip(self.inner, self.back, self.skip, self.norms, strict=True):
            z = F.relu(inner(x))
            skips = skips + skip(z)
            x = x + norm(back(z))
        assert isinstance(skips, Tensor)
        y: Tensor = self.out(F.relu(skips))
        return y


def test_a_sum_of_skips_is_no_end_of_the_stream_before_it() -> None:
    model = replaced(Skips())
    with pytest.warns(UserWarning, match="branches that end in skip.1, skip.2"):
        cwn.scale_branches(model)
    starts = {float(norm.weight.detach()[0]) for norm in model.norms[:-1]}  # the last feeds nothing
    assert len(starts) == 1 and 0.15 < starts.pop() <= 20**-0.5


KEPT = {
    "leaky": (lambda: nn.LeakyReLU(0.2), cwn.leaky_relu_c(0.2)),
    "leaky in place": (lambda: nn.LeakyReLU(0.2, inplace=True), cwn.leaky_relu_c(0.2)),
    "PReLU": (nn.PReLU, cwn.leaky_relu_c(0.25)),
    "ReLU": (nn.ReLU, C),
    "SiLU": (nn.SiLU, C),
    "ELU": (nn.ELU, None),
    "SELU": (nn.SELU, 1.0),
}


@pytest.mark.parametrize(("make", "wanted"), KEPT.values(), ids=KEPT)
def test_behind_an_activation_that_leaves_more_a_scale_starts_smaller(
    make: Callable[[], nn.Module], wanted: float | None
) -> None:
    """The scale times the rows' norm is the norm that keeps the signal, in 40 layers as well as in one."""
    model = replaced(nn.Sequential(*(layer for _ in range(40) for layer in (*conv(16, 16), make()))))
    before = rms(model[:118](torch.randn(4, 16, 16, 16)))
    cwn.scale_branches(model)
    starts = {float(scale.weight.detach()[0]) for scale in model[4::3]}
    assert len(starts) == 1 and float(model[1].weight.detach()[0]) == 1.0
    start = starts.pop()
    if wanted is not None:
        assert start**2 * C == pytest.approx(wanted, rel=1e-4)
    after = rms(model[:118](torch.randn(4, 16, 16, 16)))
    assert 0.2 < after < 5 and (start == 1) == (before < 5), (before, after)


def test_functions_and_methods_count_as_the_modules_of_their_name() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = (nn.Sequential(*conv(4, 4)) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            x = F.leaky_relu(self.one(x), 0.2)
            x = F.elu(self.two(F.avg_pool2d(x, 2)), alpha=0.5, inplace=True)
            y: Tensor = self.three(x)
            return y

    model = replaced(Functional())
    cwn.scale_branches(model)
    z = torch.randn(400_000, dtype=torch.float64)
    for scale, f in ((model.two[1], F.leaky_relu(z, 0.2)), (model.three[1], F.elu(z, 0.5))):
        assert float(scale.weight.detach()[0]) == pytest.approx(float(C * f.var()) ** -0.5, rel=0.01)
    assert model.one[1].weight.detach()[0] == 1


SPELT: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "in place": lambda _, x: F.leaky_relu_(x, 0.3),
    "prelu": lambda layers, x: F.prelu(x, layers.slope),
    "method": lambda layers, x: x.prelu(layers.slope),
    "a number of a buffer": lambda layers, x: F.leaky_relu(x, layers.number),
    "behind padding": lambda layers, x: layers.pad(F.leaky_relu(x, 0.3)),
    "behind dropout": lambda layers, x: layers.drop(F.leaky_relu(x, negative_slope=0.3)),
    "a hooked module": lambda layers, x: layers.act(x),
}


@pytest.mark.parametrize("spelt", SPELT.values(), ids=SPELT)
def test_an_activation_counts_however_it_is_called(spelt: Callable[[nn.Module, Tensor], Tensor]) -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Sequential(*conv(8, 8)) for _ in range(3))
            self.slope, self.out = nn.Parameter(torch.tensor([0.3])), nn.Conv2d(8, 2, 1)
            self.pad, self.drop, self.act = nn.ReflectionPad2d(1), nn.AlphaDropout(0.1), nn.LeakyReLU(0.3)
            self.act.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
            self.register_buffer("number", torch.tensor(0.3))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = spelt(self, layer(x))
            y: Tensor = self.out(x)
            return y

    seen: list[torch.Size] = []
    model = replaced(Plain())
    assert cwn.scale_branches(model) == ("layers.1.1", "layers.2.1") and seen == []
    start = float(model.layers[1][1].weight.detach()[0])
    assert start**2 * C == pytest.approx(cwn.leaky_relu_c(0.3), rel=1e-4)


def test_a_plain_network_that_would_explode_is_warned_of() -> None:
    layers = [layer for _ in range(40) for layer in (*conv(16, 16), nn.LeakyReLU(0.2))]
    with pytest.warns(UserWarning, match=r"grow about .*-fold.* leaves more of it than a ReLU .*leaky_relu_c"):
        constrain(replaced(nn.Sequential(*layers)))
    model = nn.Sequential(*(layer for _ in range(40) for layer in (*conv(16, 16), nn.LeakyReLU(0.2))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwn.replace_batchnorm(model, c=cwn.leaky_relu_c(0.2))
        assert cwn.scale_branches(model) == ()
        constrain(model)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), (2, 2, 0), (3, 1, 1)])
def test_upsampling_keeps_the_signal(kernel: int, stride: int, padding: int) -> None:
    layers = [
        layer
        for _ in range(4)
        for layer in (nn.ConvTranspose2d(32, 32, kernel, stride, padding), nn.BatchNorm2d(32), nn.ReLU())
    ]
    model = replaced(nn.Sequential(*layers, nn.Conv2d(32, 3, 1)))
    x = F.relu(torch.randn(16, 32, 8, 8))
    before = rms(model[:11](x))
    assert bool(cwn.scale_branches(model)) == (stride > 1)
    after = rms(model[:11](x))
    assert 0.75 < after < 1.3 and (after == before or before < 0.2)


def test_scales_at_random_are_warned_of_like_ones() -> None:
    model = replaced(nn.Sequential(*(Block() for _ in range(16)), nn.Conv2d(16, 3, 1)))
    for scale in (module for module in model.modules() if isinstance(module, cwn.ScaleBias)):
        nn.init.normal_(scale.weight, 1.0, 0.02)
    with pytest.warns(UserWarning, match=r"-fold \(16 branches"):
        constrain(model)


def untraceable(blocks: int = 6) -> nn.Module:
    def join(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([x[:, 1:], torch.zeros(x.shape[0], 1, *x.shape[2:])], 1) + y

    return nn.Sequential(*(Block(join) for _ in range(blocks)), nn.Flatten(), nn.Linear(16, 3))


def test_all_that_cannot_be_traced_is_named() -> None:
    with pytest.warns(UserWarning, match="taken for the classifier"):
        model = replaced(untraceable())
    with pytest.warns(UserWarning, match=r"forward of 0, 1, 2 and 3 more .*0\.f\.2, 0\.f\.5, 1\.f\.2 and 9 more"):
        assert cwn.scale_branches(model) == ()


def test_a_start_of_depthwise_rows_does_not_hide_what_cannot_be_traced() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                nn.Sequential(*conv(8, 8, 1), nn.ReLU(), *conv(8, 8, groups=8), nn.ReLU(), *conv(8, 8, 1))
                for _ in range(3)
            )
            self.out = nn.Linear(9, 2)

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = x + block(x)
            y: Tensor = self.out(torch.cat([x.mean((2, 3)), torch.zeros(x.shape[0], 1)], 1))
            return y

    with pytest.warns(UserWarning, match="taken for the classifier"):
        model = replaced(Whole())
    with pytest.warns(UserWarning, match="whether branches end in .* is not known"):
        assert cwn.scale_branches(model) == tuple(f"blocks.{i}.4" for i in range(3))


def test_a_batch_norm_on_the_input_is_missed() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.rest = nn.BatchNorm1d(4), nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
            self.out = nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.out(self.rest(self.first(x.transpose(1, 2).flatten(1))))
            return y

    with pytest.warns(UserWarning, match="that was first standardized the model's input.*standardize the data"):
        constrain(replaced(Turned()))
    flat = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)
    )
    with pytest.warns(UserWarning, match="that was 1 standardized"):
        constrain(replaced(flat))
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrain(replaced(model))


def classifier_of(width: int = 16) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5)]


def test_frozen_rows_without_their_batch_norm_are_warned_of() -> None:
    model = nn.Sequential(*conv(3, 16), nn.ReLU(), *conv(16, 16), nn.ReLU(), *classifier_of())
    model[0].requires_grad_(False)
    with pytest.warns(UserWarning, match=r"behind the frozen 0 any more: .*squared norm of 0\.3"):
        constrain(replaced(model))
    # A scale that makes up for it, and rows that were projected before they were frozen are as they should be.
    model = replaced(nn.Sequential(*conv(3, 16), nn.ReLU(), *conv(16, 16), nn.ReLU(), *classifier_of()))
    model[0].requires_grad_(False)
    other = nn.Sequential(*conv(3, 16), nn.ReLU(), *conv(16, 16), nn.ReLU(), *classifier_of())
    other[0].requires_grad_(False)
    replaced(other)
    nn.init.constant_(other[1].weight, 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrain(model), constrain(other)


def batches(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    x, y = torch.randn(4, 3, 8, 8), torch.arange(4)
    while True:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        yield


def test_weights_that_are_pulled_and_not_projected_are_warned_of() -> None:
    def network() -> nn.Module:
        return replaced(nn.Sequential(*conv(3, 16), nn.ReLU(), *conv(16, 16), nn.ReLU(), *classifier_of()))

    pulled = r"1 of the weights .*\(16, 16, 3, 3\)\), and its pull would shrink them to zero"
    model = network()
    optimizer = cwn.AngularMuon(cwn.angular_groups(model))
    cwn.constrain(optimizer, model, exclude=["3"])
    step = batches(model, optimizer)
    with pytest.warns(UserWarning, match=pulled):
        next(step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(step)  # once
        optimizer.param_groups[0]["lr"] = 0.01
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(3))], "turn": False})
        next(step)
    optimizer.add_param_group({"params": [nn.Parameter(torch.randn(16, 16, 3, 3))]})
    with pytest.warns(UserWarning, match=pulled):
        next(step)

    # Zero means alone keep no length.
    model = network()
    optimizer = cwn.AngularMuon(cwn.angular_groups(model))
    cwn.constrain(optimizer, model, spherize=False)
    with pytest.warns(UserWarning, match="2 of the weights"):
        next(batches(model, optimizer))

    # Two handles that share the weights out, and steps without a pull.
    model = network()
    optimizer = cwn.AngularMuon(cwn.angular_groups(model))
    cwn.constrain(optimizer, model, exclude=["3"])
    cwn.constrain(optimizer, model, exclude=["0"], c=1.0)
    other = network()
    without = cwn.AngularMuon(cwn.angular_groups(other), coherence_decay=0.0)
    cwn.constrain(without, other, exclude=["3"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(batches(model, optimizer)), next(batches(other, without))


def test_tracing_copies_no_optimizer_that_a_model_only_names() -> None:
    class Lit(nn.Module):
        __module__ = "mine"

        def __init__(self) -> None:
            super().__init__()
            self.layers, self.out = nn.Sequential(*conv(3, 8)), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.out(self.layers(x).relu().mean((2, 3)))
            return y

        def configure(self) -> None:
            self.optimizer = None

    model = replaced(Lit())
    optimizer, constraint = constrain(model)
    Lit.configure.__globals__["optimizer"] = optimizer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cwn.fuse(model)
            cwn.fold(model.eval())
    finally:
        del Lit.configure.__globals__["optimizer"]
    assert constraint.names == ("layers.0.weight",)


def alone(n: int, make: Callable[[], list[nn.Module]]) -> nn.Sequential:
    """Return a network of ``n`` times these layers, with its batch norms replaced as the README has it."""
    torch.manual_seed(0)
    layers = [layer for _ in range(n) for layer in make()]
    return cwn.replace_batchnorm(nn.Sequential(*layers), c=C, centralize="mixing", classifier=())


def separable() -> list[nn.Module]:
    depthwise = nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular", groups=32, bias=False)
    return [depthwise, nn.Conv2d(32, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]


class Spelt(nn.Module):
    """Something of the input that bends nothing, then a convolution and batch norm."""

    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.way, self.conv, self.norm = way, nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(self.way(x)))
        return y


class Tokens(nn.Module):
    """A linear map and a batch norm over all tokens, in the shape of the map's output again, as LeViT has them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return self.norm(y.flatten(0, -2)).reshape_as(y)


FAR: dict[str, Callable[[], list[nn.Module]]] = {
    "separable, one scale": separable,
    "activation before the scale": lambda: [nn.Conv2d(32, 32, 1), nn.SELU(), nn.BatchNorm2d(32)],
    "leaky before the scale": lambda: [nn.Conv2d(32, 32, 1), nn.LeakyReLU(0.2), nn.BatchNorm2d(32)],
    "three maps, one scale": lambda: [*(nn.Conv2d(32, 32, 1) for _ in range(3)), nn.BatchNorm2d(32), nn.ReLU()],
    "slice": lambda: [Spelt(lambda x: x[:, :])],
    "padding": lambda: [Spelt(nn.ZeroPad2d(0))],
    "transposed": lambda: [Spelt(lambda x: x.transpose(2, 3).contiguous())],
    "shuffled": lambda: [Spelt(nn.ChannelShuffle(4))],
    "as another's shape": lambda: [Spelt(lambda x: x.flatten(2).reshape_as(x))],
    "a token at a time": lambda: [Tokens()],
    "in chunks": lambda: [Spelt(lambda x: torch.cat(x.chunk(2, 1), 1))],
}


@pytest.mark.parametrize("make", FAR.values(), ids=FAR)
def test_what_lies_between_a_map_and_its_scale_or_the_map_before_hides_neither(
    make: Callable[[], list[nn.Module]],
) -> None:
    x = torch.randn(8, 32, 8, 8)
    model = alone(20, make)
    assert rms(model(x)) > 2 * rms(alone(1, make)(x)), "it grows"
    with pytest.warns(UserWarning, match="rows of this squared norm would make .*scale_branches"):
        constrain(model)
    model = alone(20, make)
    cwn.scale_branches(model)
    assert 0.1 < rms(model(x)) < 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrain(model)


def test_what_trains_after_it_was_frozen_is_named_once() -> None:
    model = replaced(nn.Sequential(*conv(3, 4), nn.ReLU(), *conv(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)))
    model[3].weight.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cwn.constrain(optimizer, model)

    def step() -> list[str]:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            optimizer.zero_grad()
            model(torch.randn(8, 3, 4, 4)).square().mean().backward()
            optimizer.step()
        return warned(said)

    assert step() == []
    model[3].weight.requires_grad_(True)
    (said,) = step()
    assert said.startswith("3.weight, frozen when constrain was called") and "constrain anew" in said
    assert step() == []


def test_an_attention_and_a_function_of_a_parameter_are_branches() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.inner = nn.BatchNorm1d(16), nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            h = self.norm(x.transpose(1, 2)).transpose(1, 2)
            y: Tensor = x + self.inner(h, h, h, need_weights=False)[0]
            return y

    class Function(nn.Module):
        def __init__(self, linear: bool) -> None:
            super().__init__()
            self.weight, self.norm, self.linear = nn.Parameter(torch.eye(16)), nn.BatchNorm1d(16), linear

        def forward(self, x: Tensor) -> Tensor:
            y = F.linear(x, self.weight) if self.linear else x @ self.weight.t()
            return x + self.norm(y.transpose(1, 2)).transpose(1, 2)

    model = replaced(nn.Sequential(nn.Linear(16, 16), Attends(), Function(True), Function(False), nn.Linear(16, 2)))
    assert cwn.scale_branches(model) == ("1.norm", "2.norm", "3.norm")


def test_branches_count_once_though_training_cannot_be_traced() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(*conv(8, 8), nn.ReLU(), *conv(8, 8))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + self.inner(x)
            return y

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.out = nn.Sequential(*conv(3, 8), nn.ReLU()), nn.Linear(8, 2)
            self.blocks = nn.Sequential(*(Adds() for _ in range(16)))

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                x = x * (1 + 0.2 * torch.randn(x.size(0), 1, 1, 1))
            y: Tensor = self.out(self.blocks(self.stem(x)).mean((2, 3)))
            return y

    model = replaced(Noisy(), classifier=("out",))
    assert len(cwn.scale_branches(model)) == 16
    assert model.blocks[0].inner[4].weight[0].item() == 0.25


def test_normed_branches_of_a_stream_are_not_blamed_on_an_activation() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + self.inner(x)
            return y

    stem = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.LeakyReLU()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constrain(replaced(nn.Sequential(*stem, *(Normed() for _ in range(24)), nn.Linear(8, 2))))
