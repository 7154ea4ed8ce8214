"""The reader of displayed formulas: it evaluates them, and notices every change."""

import numpy as np
import pytest
from bookcheck.latex import FormulaError, evaluate, holds

RNG = np.random.default_rng(0)
N = 5
W, V, ONES = RNG.normal(size=N), RNG.normal(size=N), np.ones(N)
P = np.eye(N) - np.ones((N, N)) / N
KNOWN = {
    "w": W,
    "v": V,
    "w_i": W[1],
    "n": N,
    "c": 2.0,
    "P": P,
    "I": np.eye(N),
    r"\mathbf 1": ONES,
    r"\tilde w": 3 * W,
    "w^{(t+1)}": np.sqrt(2) * P @ V / np.linalg.norm(P @ V),
    r"\operatorname{Var}[y]": 4.0,
    "f": np.sin,
}
STEP = r"w^{(t+1)} = \sqrt{c}\, \frac{P v}{\lVert P v \rVert}"


@pytest.mark.parametrize(
    "tex",
    [
        STEP,
        r"P = I - \frac{1}{n} \mathbf{1}\mathbf{1}^\top",
        r"P = I - \tfrac1n \mathbf 1 \mathbf 1^{\top} ,",
        r"\lVert w\rVert^2 = w^\top w = \langle w, w\rangle = \|w\|^2",
        r"\|w\|\|v\| = \left\lVert w \right\rVert \bigl\lVert v \bigr\rVert",
        r"\tilde w = 3 w \qquad \tilde{w} - w = 2w",
        r"\operatorname{Var}[y] = 2^2 = c^2, \text{ and } 2\pi/(\pi - 1) \approx 2.934",
        r"-w + v = v - w \\ \mathbf 1^\top P v \le 0.001",
        r"f(n) + f\left(-n\right) = 0 \quad e^{-1/2} < 1 \quad 1 \ne 2 \quad \lvert -2 \rvert = 2 \cdot 1",
        r"\begin{aligned} w &= w \\ v &= v \end{aligned}",
    ],
)
def test_true(tex: str) -> None:
    assert holds(tex, KNOWN, rtol=1e-3)


@pytest.mark.parametrize(
    "mutant",
    [
        STEP.replace(r"\sqrt{c}", "c"),
        STEP.replace(r"\sqrt{c}\,", ""),
        STEP.replace("P v", "v"),
        STEP.replace("v", "w"),
        STEP.replace("=", "= -"),
        r"P = I + \frac{1}{n} \mathbf 1\mathbf 1^\top",
        r"P = I - \mathbf 1\mathbf 1^\top",
        r"1 < 1 \quad 2 \ge 1",
        r"w = w \\ w = v",
        r"w = 1",
    ],
)
def test_mutants_are_false(mutant: str) -> None:
    assert not holds(mutant, KNOWN)


@pytest.mark.parametrize(
    ("tex", "message"),
    [
        ("x = 1", "cannot read 'x"),
        (r"\lVert w \rVert", "nothing to check"),
        (r"\mathbf 1 \mathbf 1 = n", "transpose"),
        ("1/2n = 1", "ambiguous"),
        ("w + 1 = w", "cannot add"),
        (r"\sqrt w = 1", "a scalar is needed"),
        ("w' = w", "cannot read"),
        ("f w = 1", "cannot read"),
        (r"\lVert w = w", "expected"),
    ],
)
def test_what_it_cannot_read(tex: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message.replace("(", r"\(")):
        holds(tex, KNOWN)


def test_values() -> None:
    assert evaluate("n w_i", KNOWN) == pytest.approx(N * W[1])
    assert evaluate("(n - 1)(n + 1)/2", KNOWN) == pytest.approx(12)
    assert evaluate(r"\sum_{i=1}^{n} w_i", {r"\sum_{i=1}^{n}w_i": 7.0}) == 7
