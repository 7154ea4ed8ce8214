"""One step of Algorithm 1 (Eq. 11), and the two squared norms `c` that chapters argue about (Eq. 3-4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import cwn_lite as cwn


def feasible(*shape: int, c: float = 2.0) -> Tensor:
    return cwn.project_rows(torch.randn(*shape, dtype=torch.float64), c)


def algorithm_1(w: np.ndarray, g: np.ndarray, lr: float, c: float) -> np.ndarray:
    """Eq. 11 for one row, number by number."""
    n = len(w)
    mean = sum(g[j] for j in range(n)) / n
    stepped = [w[j] - lr * (g[j] - mean) for j in range(n)]
    length = math.sqrt(sum(x**2 for x in stepped))
    return np.array([math.sqrt(c) * x / length for x in stepped])


@pytest.mark.parametrize("c", [0.5, 2.0, cwn.C_CENTERED])
@pytest.mark.parametrize("lr", [0.0, 0.1, 10.0])
def test_projected_step_is_algorithm_1_also_from_an_infeasible_start(c: float, lr: float) -> None:
    w, g = torch.randn(2, 3, 8, dtype=torch.float64) + 0.5, torch.randn(2, 3, 8, dtype=torch.float64) + 0.5
    actual = cwn.projected_step(w, g, lr, c).numpy()
    for index in np.ndindex(2, 3):
        expected = algorithm_1(w[index].numpy(), g[index].numpy(), lr, c)
        np.testing.assert_allclose(actual[index], expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("c", [0.5, 2.0])
def test_from_a_feasible_start_eq_11_is_the_exact_projection_of_the_plain_step(c: float) -> None:
    """The identity behind `constrain`: centring the gradient or the stepped weight is one and the same there."""
    w, g = feasible(5, 9, c=c), torch.randn(5, 9, dtype=torch.float64) + 3
    torch.testing.assert_close(cwn.projected_step(w, g, 0.3, c), cwn.project_rows(w - 0.3 * g, c))


def test_eq_11_never_centres_the_weight() -> None:
    """From a start with mean m, Algorithm 1 goes to m √c / ‖w̃‖ and not to the constraint set; the projection does."""
    w, g = torch.randn(4, 9, dtype=torch.float64) + 1, torch.randn(4, 9, dtype=torch.float64)
    stepped = w - 0.1 * (g - g.mean(1, keepdim=True))
    after = cwn.projected_step(w, g, 0.1)
    torch.testing.assert_close(after.mean(1), w.mean(1) * math.sqrt(2) / stepped.norm(dim=1))
    assert (after.mean(1).abs() > 0.01).all()
    assert cwn.project_rows(w - 0.1 * g).mean(1).abs().max() < 1e-15


def test_it_is_a_riemannian_step_with_a_learning_rate_of_its_own() -> None:
    """Tangent gradient, retraction by rescaling, and `α / (1 − α⟨w, g⟩ / c)` for each row."""
    c, lr = 2.0, 0.2
    w, g = feasible(6, 9), torch.randn(6, 9, dtype=torch.float64)
    centred = g - g.mean(1, keepdim=True)
    radial = (w * g).sum(1, keepdim=True) / c
    moved = w - lr / (1 - lr * radial) * (centred - radial * w)
    torch.testing.assert_close(cwn.projected_step(w, g, lr, c), math.sqrt(c) * moved / moved.norm(dim=1, keepdim=True))


def test_the_defaults_are_the_paper_s() -> None:
    w, g = torch.randn(3, 5), torch.randn(3, 5)
    assert cwn.C_HE == 2.0
    assert torch.equal(cwn.projected_step(w, g, 0.1), cwn.projected_step(w, g, 0.1, c=2.0))
    assert torch.equal(cwn.project_rows(w), cwn.project_rows(w, 2.0, centralize=True, spherize=True))


# Variance and second moment through one layer after a ReLU. With 4096 samples and 512 rows that share them, the
# relative standard error of the mean over rows is near 0.2 %: 1 % is five of them.


def after_relu(rows: Tensor) -> Tensor:
    """Outputs `(samples, out)` of a linear map with these rows, fed by the ReLU of unit normal numbers."""
    return torch.randn(4096, rows.shape[1]).relu() @ rows.T


@pytest.mark.parametrize(
    ("c", "ratio"), [(cwn.C_HE, 2 * (1 / 2 - 1 / (2 * math.pi))), (cwn.C_CENTERED, 1.0)], ids=["c = 2", "c = 2.934"]
)
def test_variance_through_relu_with_centred_rows(c: float, ratio: float) -> None:
    """Centred rows see only the variance ½ − 1/2π of a rectified unit normal number, not its second moment ½."""
    y = after_relu(cwn.project_rows(torch.randn(512, 768), c))
    assert y.var(0).mean().item() == pytest.approx(ratio, rel=0.01)
    assert y.square().mean().item() == pytest.approx(ratio, rel=0.01), "the outputs have no mean"


def test_second_moment_through_relu_with_uncentred_rows() -> None:
    """Eq. 4: c = 2 is right on the sphere alone. The squared row sums make it noisier: 4 % is four standard errors."""
    y = after_relu(cwn.project_rows(torch.randn(4096, 256), cwn.C_HE, centralize=False))
    assert y.square().mean().item() == pytest.approx(1.0, rel=0.04)


def test_the_centred_constant_in_closed_form() -> None:
    assert cwn.C_CENTERED * (1 / 2 - 1 / (2 * math.pi)) == pytest.approx(1.0, rel=1e-15)
    # The gain for ReLU in networks of standardized weights (Brock et al., 2021) is its root.
    assert math.sqrt(cwn.C_CENTERED) == pytest.approx(math.sqrt(2 / (1 - 1 / math.pi)), rel=1e-15)
