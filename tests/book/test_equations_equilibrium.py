"""Every displayed equation of "What weight decay balances", read from the page and evaluated."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite.lab.measure import trained_weight

N, LR, DECAY = 16, 0.7, 0.03
Optimizer = Callable[[list[Tensor]], torch.optim.Optimizer]
Symbols = dict[str, Any]


def centre(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def check(label: str, known: Symbols, *wrong: str, rtol: float = 1e-2, by: float = 1.1) -> None:
    """The page's formula holds, and no longer does when any symbol named in `wrong` has another value."""
    tex = formula(f"eq:equilibrium:{label}")
    assert holds(tex, known, rtol=rtol)
    for name in wrong:
        assert not holds(tex, known | {name: by * np.asarray(known[name])}, rtol=rtol), name


def row(length: float = 0.8) -> tuple[nn.Linear, nn.Parameter]:
    layer = cwn.weight_standardization(nn.Linear(N, 1, bias=False).double(), gain=1.3)
    w = trained_weight(layer)
    assert isinstance(w, nn.Parameter)
    with torch.no_grad():
        w.copy_(length * centre(w) / centre(w).norm())
    return layer, w


def real_step(seed: int, lr: float = LR, decay: float = DECAY) -> Symbols:
    """One step of torch's SGD on a loss of a standardized row; G by asking for the gradient at length one."""
    torch.manual_seed(seed)
    layer, w = row()
    x, y = torch.randn(30, N).double(), torch.randn(30, 1).double()

    def gradient() -> Tensor:
        (found,) = torch.autograd.grad((layer(x).tanh() - y).square().mean(), [w])
        return found

    before = w.detach().clone()
    with torch.no_grad():
        w.div_(centre(w).norm())
    at_one = gradient().norm().item()
    with torch.no_grad():
        w.copy_(before)
    w.grad = gradient()
    g = w.grad.clone()
    torch.optim.SGD([w], lr=lr, weight_decay=decay).step()
    after, start = centre(w.detach()), centre(before)
    cosine = float((after * start).sum() / after.norm() / start.norm())
    return {
        "r": start.norm().item(),
        "r_{+}": after.norm().item(),
        "g": g[0].numpy(),
        "G": at_one,
        r"\alpha": lr,
        r"\lambda": decay,
        r"\tan\theta": math.tan(math.acos(cosine)),
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.equation("eq:equilibrium:length", "eq:equilibrium:recursion", "eq:equilibrium:angle")
def test_one_step_of_sgd(seed: int) -> None:
    known = real_step(seed)
    check("length", known, "r", "r_{+}", "g", r"\alpha")
    check("recursion", known, "r", "r_{+}", "G", r"\alpha")
    check("angle", known, "r", "G", r"\tan\theta", r"\lambda")
    for label in ("length", "recursion"):  # the decay is small: ask for it by name
        assert not holds(formula(f"eq:equilibrium:{label}"), known | {r"\lambda": 0.0})


def constant_gradients(
    make: Optimizer,
    steps: int,
    size: float = 0.5,
    rows: int = 32,
    n: int = 64,
    seed: int = 0,
    first: float | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Lengths before, lengths after, angles of each step under random tangent gradients of one size."""
    torch.manual_seed(seed)
    layer = cwn.weight_standardization(nn.Linear(n, rows, bias=False).double(), gain=1.0)
    w = trained_weight(layer)
    if first is not None:
        with torch.no_grad():
            w.copy_(first * centre(w) / centre(w).norm(dim=-1, keepdim=True))
    optimizer = make([w])
    for _ in range(steps):
        unit, before = layer.weight, centre(w.detach()).norm(dim=-1)
        push = centre(torch.randn(rows, n).double())
        push -= (push * unit.detach()).sum(-1, keepdim=True) * unit.detach()
        push *= size / push.norm(dim=-1, keepdim=True)
        optimizer.zero_grad()
        (unit * push).sum().backward()
        optimizer.step()
        cosine = (layer.weight.detach() * unit.detach()).sum(-1).clamp(-1, 1)
        yield before, centre(w.detach()).norm(dim=-1), cosine.acos()


def settled(make: Optimizer, steps: int = 1500) -> tuple[float, float]:
    last = list(constant_gradients(make, steps))[-300:]
    length = float(torch.stack([after for _, after, _ in last]).mean())
    angle = float(torch.stack([angle for *_, angle in last]).square().mean().sqrt())
    return length, angle


@pytest.mark.equation("eq:equilibrium:growth")
def test_without_decay_it_only_grows() -> None:
    size, steps = 0.5, 40
    path = list(constant_gradients(lambda p: torch.optim.SGD(p, lr=LR), steps, size))
    first, final = path[0][0][0].item(), path[-1][1][0].item()
    assert all((after > before).all() for before, after, _ in path)
    tex = formula("eq:equilibrium:growth").replace(r"\sum_{t=0}^{T-1} G_t^2", "S")
    known = {"r_T": final, "r_0": first, r"\alpha": LR, "S": steps * size**2}
    assert holds(tex, known)
    assert not holds(tex, known | {"S": 1.5 * known["S"]})  # nearly an equality here
    _, far, _ = list(constant_gradients(lambda p: torch.optim.SGD(p, lr=0.01), 5, size, first=3.0))[-1]
    from_afar = known | {"r_0": 3.0, "r_T": far[0].item(), r"\alpha": 0.01, "S": 5 * size**2}
    assert holds(tex, from_afar) and not holds(tex, from_afar | {"r_0": 3.1})
    assert not holds(tex.replace("r_T^4", "r_T^2"), from_afar)


@pytest.mark.parametrize("length", [1e-4, 0.3, 10.0])
@pytest.mark.equation("eq:equilibrium:floor", "eq:equilibrium:ceiling")
def test_one_step_reaches_the_floor(length: float) -> None:
    size = 0.5
    torch.manual_seed(0)
    layer, w = row(length)
    norms = []
    for _ in range(2):
        push = centre(torch.randn(1, N).double())
        unit = layer.weight / 1.3
        push -= (push * unit.detach()).sum() * unit.detach()
        (unit * (size * push / push.norm())).sum().backward()
        assert w.grad is not None
        norms.append(w.grad.norm().item())
        if len(norms) == 1:
            torch.optim.SGD([w], lr=LR, weight_decay=DECAY).step()
            after = centre(w.detach()).norm().item()
            w.grad = None
    known = {
        "r_{+}": after,
        "G": size,
        "G_{+}": size,
        r"\alpha": LR,
        r"\lambda": DECAY,
        r"\lVert g_{+} \rVert": norms[1],
    }
    for label in ("floor", "ceiling"):
        assert holds(formula(f"eq:equilibrium:{label}"), known)
    # The bound is sharp: at r² = αG / (1 − αλ) it is an equality.
    sharp = math.sqrt(LR * size / (1 - LR * DECAY))
    least = math.sqrt((1 - LR * DECAY) ** 2 * sharp**2 + (LR * size / sharp) ** 2)
    tight = known | {"r_{+}": least, r"\lVert g_{+} \rVert": size / least}
    for label, name in (("floor", "G"), ("ceiling", r"\lVert g_{+} \rVert")):
        tex = formula(f"eq:equilibrium:{label}")
        assert holds(tex, tight) and not holds(tex, tight | {name: 1.01 * tight[name]})


@pytest.mark.equation("eq:equilibrium:symmetry")
def test_a_longer_start_is_a_larger_rate() -> None:
    a = 5.0

    def train(start: float, lr: float, decay: float) -> np.ndarray:
        torch.manual_seed(0)
        layer, w = row(start)
        optimizer = torch.optim.SGD([w], lr=lr, weight_decay=decay, momentum=0.9)
        x, y = torch.randn(30, N).double(), torch.randn(30, 1).double()
        for _ in range(25):
            optimizer.zero_grad()
            (layer(x).tanh() - y).square().mean().backward()
            optimizer.step()
        return w.detach()[0].numpy().copy()

    # The page's conditions, read as assignments, make the runs; the statement must then hold.
    statement, *conditions = formula("eq:equilibrium:symmetry").split(r"\text{if}")
    given = {"a": a, "w^{(0)}": 1.0, r"\alpha": 0.1, r"\lambda": 0.02}
    assert holds(conditions[0], given | {r"\bar w^{(0)}": a, r"\bar\alpha": a**2 * 0.1, r"\bar\lambda": 0.02 / a**2})
    stretched, usual = train(a * 0.5, a**2 * 0.1, 0.02 / a**2), train(0.5, 0.1, 0.02)
    assert holds(statement, {"a": a, r"\bar w^{(t)}": stretched, "w^{(t)}": usual})
    for wrong in (train(a * 0.5, a * 0.1, 0.02 / a**2), train(a * 0.5, a**2 * 0.1, 0.02)):
        assert not holds(statement, {"a": a, r"\bar w^{(t)}": wrong, "w^{(t)}": usual})


@pytest.mark.equation("eq:equilibrium:star")
def test_where_it_settles() -> None:
    lr, decay, size = 0.1, 0.02, 0.5
    length, angle = settled(lambda p: torch.optim.SGD(p, lr=lr, weight_decay=decay))
    exact = (lr**2 * size**2 / (1 - (1 - lr * decay) ** 2)) ** 0.25
    assert length == pytest.approx(exact, rel=1e-3) and math.cos(angle) == pytest.approx(1 - lr * decay, abs=1e-6)
    known = {
        r"r_\star": exact,
        "G": size,
        r"\alpha": lr,
        r"\lambda": decay,
        r"\cos\theta_\star": 1 - lr * decay,
        r"\theta_\star": math.acos(1 - lr * decay),
    }
    check("star", known, r"r_\star", "G", r"\lambda", r"\theta_\star", by=1.02)


@pytest.mark.equation("eq:equilibrium:time")
def test_how_fast_it_settles() -> None:
    lr, decay, size = 0.1, 0.02, 0.5
    star = lr * size / math.sqrt(1 - (1 - lr * decay) ** 2)  # r²

    def after(square: float) -> float:
        return (1 - lr * decay) ** 2 * square + (lr * size) ** 2 / square

    slope = (after(star + 1e-6) - after(star - 1e-6)) / 2e-6
    # The page's derivative is one symbol here; only its two values are evaluated.
    tex = formula("eq:equilibrium:time").split(r"\quad")[0].replace(r"\frac{d r_{+}^2}{d r^2} =", r"s \approx")
    known = {"s": slope, r"\alpha": lr, r"\lambda": decay}
    assert holds(tex, known, rtol=1e-4)
    assert not holds(tex, known | {r"\lambda": 1.1 * decay}, rtol=1e-4)


@pytest.mark.parametrize("mu", [0.5, 0.9])
@pytest.mark.equation("eq:equilibrium:momentum")
def test_with_momentum(mu: float) -> None:
    lr, decay, size = 0.1, 0.02, 0.5
    length, angle = settled(lambda p: torch.optim.SGD(p, lr=lr, weight_decay=decay, momentum=mu))
    known = {
        r"r_\star": length,
        r"\theta_\star": angle,
        "G": size,
        r"\alpha": lr,
        r"\lambda": decay,
        r"\mu": mu,
    }
    check("momentum", known, r"r_\star", "G", r"\mu", r"\theta_\star", rtol=0.04)


@pytest.mark.parametrize("beta", [0.0, 0.9])
@pytest.mark.equation("eq:equilibrium:adam")
def test_adamw(beta: float) -> None:
    lr, decay, n = 0.01, 0.2, 64
    length, angle = settled(lambda p: torch.optim.AdamW(p, lr=lr, weight_decay=decay, betas=(beta, 0.99)), steps=2500)
    known = {
        r"r_\star": length,
        r"\theta_\star": angle,
        r"\alpha": lr,
        r"\lambda": decay,
        "n": n,
        r"\beta_1": beta,
    }
    check("adam", known, r"r_\star", "n", r"\theta_\star", rtol=0.04)
    if beta:
        check("adam", known, r"\beta_1", rtol=0.04, by=0.9)
