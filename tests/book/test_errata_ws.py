"""Errata of Eq. 15-20: Weight Standardization, by the library's parametrization and by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.errata import entries
from bookcheck.latex import holds
from numpy.typing import NDArray

import cwn_lite as cwn

N, LR, DECAY = 24, 0.3, 0.05


@pytest.fixture(params=range(3))
def symbols(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One row behind Weight Standardization, its gradients by autograd, and one step of stock SGD."""
    torch.manual_seed(request.param)
    layer = torch.nn.Linear(N, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.add_(0.1)
    cwn.weight_standardization(layer)
    raw = layer.get_parameter("parametrizations.weight.original")
    x, y = torch.randn(50, N).double(), torch.randn(50, 1).double()
    standardized = layer.weight
    standardized.retain_grad()
    loss = (torch.nn.functional.linear(x, standardized).tanh() - y).square().mean()
    loss.backward()
    w = raw.detach()[0].numpy().copy()
    torch.optim.SGD([raw], lr=LR, weight_decay=DECAY).step()
    after = raw.detach()[0].numpy()
    assert raw.grad is not None and standardized.grad is not None
    return {
        "n": N,
        "P": np.eye(N) - np.ones((N, N)) / N,
        "s": w.std(),
        "s_{+}": after.std(),
        r"\hat w": (w - w.mean()) / w.std(),
        r"\hat g": standardized.grad[0].numpy(),
        "g": raw.grad[0].numpy(),
        r"\alpha": LR,
        r"\lambda": DECAY,
        "w^{(t)}": w,
        "w^{(t+1)}": after,
    }


@pytest.mark.equation("eq:errata:ws-gradient")
def test_ws_gradient(symbols: dict[str, Any]) -> None:
    hat, g_hat, s = symbols[r"\hat w"], symbols[r"\hat g"], symbols["s"]
    known = symbols | {r"\dot g": (g_hat - hat * (hat @ g_hat) / N) / s}
    assert holds(formula("eq:errata:ws-gradient"), known)
    assert not holds(formula("eq:errata:ws-gradient"), known | {"s": 1.1 * s})
    names = {r"\nabla_w L": symbols["g"], r"\nabla_{\hat w} L": g_hat, r"\sigma_w": s}
    eq18, eq19 = entries()["errata-ws-gradient"].printed
    assert not holds(eq18, symbols | names)
    assert holds(eq18, symbols | names | {r"\nabla_{\hat w} L": known[r"\dot g"]})
    assert not holds(eq19, symbols | names)


def test_printed_pair_is_circular(symbols: dict[str, Any]) -> None:
    """Eq. 18 put into Eq. 19 leaves only the zero gradient, unless s = 1."""
    hat, identity = symbols[r"\hat w"], np.eye(N)
    both = (identity - np.outer(hat, hat) / N) @ symbols["P"]
    assert np.linalg.matrix_rank(identity - both / symbols["s"]) == N
    assert np.linalg.matrix_rank(identity - both) == 2


@pytest.mark.equation("eq:errata:ws-step")
def test_ws_step(symbols: dict[str, Any]) -> None:
    assert holds(formula("eq:errata:ws-step"), symbols)
    (printed,) = entries()["errata-ws-step"].printed
    best_reading = {r"\beta": LR * DECAY, r"\alpha'": LR}
    assert not holds(printed, symbols | best_reading)
    hat, g_hat = symbols[r"\hat w"], symbols[r"\hat g"]
    centred = (g_hat - hat * (hat @ g_hat) / N) / symbols["s"]
    assert holds(printed, symbols | best_reading | {r"\hat g": centred})


@pytest.mark.equation("eq:errata:ws-explosion")
def test_ws_explosion(symbols: dict[str, Any]) -> None:
    assert holds(formula("eq:errata:ws-explosion"), symbols)
    assert not holds(formula("eq:errata:ws-explosion"), symbols | {r"\lambda": 0.0})
    grown = symbols["w^{(t)}"] - LR * symbols["g"]
    assert grown.std() > symbols["s"], "without weight decay it can only grow"
    assert abs((symbols["w^{(t)}"] - symbols["w^{(t)}"].mean()) @ symbols["g"]) < 1e-12


@pytest.mark.equation("eq:errata:ws-forward")
def test_ws_forward() -> None:
    torch.manual_seed(0)
    n = 576
    layer = cwn.weight_standardization(torch.nn.Linear(n, n, bias=False))
    weight = layer.weight.detach()
    before = torch.randn(64, n)
    after = torch.nn.functional.linear(before.relu(), weight)
    known = {
        r"\hat w": weight[0].double().numpy(),
        "n": n,
        r"c^\star": cwn.C_CENTERED,
        r"\operatorname{E}[y_l^2]": float(after.square().mean()),
        r"\operatorname{E}[y_{l-1}^2]": float(before.square().mean()),
    }
    exact, measured = formula("eq:errata:ws-forward").split(r"\qquad")
    assert holds(exact.replace("=", r"\approx"), known, rtol=1e-5)
    assert holds(measured, known, rtol=0.05)
    assert not holds(measured, known | {r"c^\star": 2.0}, rtol=0.05)
    gained = cwn.weight_standardization(torch.nn.Linear(n, n, bias=False), gain=2**0.5).weight
    assert float(gained.detach()[0].square().sum()) == pytest.approx(2, rel=1e-5)


@pytest.mark.equation("eq:errata:ws-normalized")
@pytest.mark.parametrize("behind", ["nothing", "batch norm", "group norm"])
@pytest.mark.parametrize("standardized", [True, False])
def test_ws_normalized(behind: str, standardized: bool) -> None:
    """The gradient by autograd at several lengths of a row, with and without a normalization behind the layer."""
    torch.manual_seed(0)
    x, target, start = torch.randn(50, N).double(), torch.randn(50, 8).double(), torch.randn(8, N).double() + 0.1
    norms = {"nothing": torch.nn.Identity(), "batch norm": torch.nn.BatchNorm1d(8, eps=1e-24)}
    norm = (norms | {"group norm": torch.nn.GroupNorm(2, 8, eps=1e-24)})[behind]

    def gradients(row: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Of the first row: the gradient of what is trained, and the product of standardized row and its gradient."""
        layer = torch.nn.Linear(N, 8, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(start)
            layer.weight[0] = torch.from_numpy(row)
        if standardized:
            cwn.weight_standardization(layer)
        weight = layer.weight
        weight.retain_grad()
        loss = (norm.double()(torch.nn.functional.linear(x, weight)).tanh() - target).square().mean()
        loss.backward()
        trained = next(layer.parameters())
        assert trained.grad is not None and weight.grad is not None
        return trained.grad[0].numpy(), float(weight[0].detach() @ weight.grad[0])

    w = start[0].numpy()
    page = formula("eq:errata:ws-normalized")
    invariant = standardized or behind == "batch norm"  # group norm sees the length of one row of its group
    for a in (0.1, 3.0):
        known: dict[str, Any] = {"a": a, "w": w, "g": lambda row: gradients(row)[0]}
        assert holds(page, known) == invariant
        assert not holds(page.replace(r"\frac{1}{a}", "a"), known)
    gradient, along = gradients(w)
    assert (abs(along) < 1e-12) == (behind == "batch norm")
    assert float(np.linalg.norm(gradient)) > 1e-3, "there is something to compare"
