"""Every displayed equation of "Ablations: what each part does", read from the page and evaluated."""

import math

import numpy as np
import pytest
import torch
from bookcheck.tight import checker

check = checker("ablations")


@pytest.mark.equation("eq:ablations:interaction")
def test_interaction_is_the_product_term_of_a_linear_model() -> None:
    errors = {"e_0": 5.3, "e_{C}": 5.6, "e_{S}": 5.7, "e_{CS}": 4.5}
    centred, sphere = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    design = np.stack([np.ones(4), centred, sphere, centred * sphere], axis=1)
    product = np.linalg.solve(design, np.array(list(errors.values())))[-1]
    known = {key.replace("{C}", "C").replace("{S}", "S"): value for key, value in errors.items()}
    check("interaction", known | {r"\Delta": product}, *known, r"\Delta")


@pytest.mark.equation("eq:ablations:dose")
@pytest.mark.parametrize("decay", [1e-3, 0.02])
def test_what_decay_leaves_of_a_row_without_gradient(decay: float) -> None:
    """SGD with momentum along the cosine of the digits recipe, drawn out so that its ends do not count."""
    momentum, first, steps = 0.9, 0.01, 20_000
    w = torch.ones(4, dtype=torch.float64, requires_grad=True)
    w.grad = torch.zeros_like(w)
    optimizer = torch.optim.SGD([w], lr=first, momentum=momentum, weight_decay=decay / 10)
    rates = [0.5 * first * (1 + math.cos(math.pi * t / steps)) for t in range(steps)]
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    dose = decay / 10 * sum(rates) / (1 - momentum)
    known = {
        "d": dose,
        r"\lambda": decay / 10,
        r"\mu": momentum,
        r"\sum_{t=1}^{T} \alpha_t": sum(rates),
        r"w^{(T)}": w.detach().numpy(),
        r"w^{(0)}": np.ones(4),
    }
    check("dose", known, "d", r"\lambda", r"\sum_{t=1}^{T} \alpha_t", r"w^{(T)}")
    assert dose == pytest.approx(decay / 10 * first * steps / 2 / (1 - momentum), rel=1e-3)  # the mean of a cosine


@pytest.mark.equation("eq:ablations:decayed")
def test_difference_of_what_the_sphere_does() -> None:
    """The formula is the interaction of decay and sphere, from four errors at a seed."""
    errors = {r"e_S^{\lambda}": 3.3, r"e_0^{\lambda}": 88.4, "e_S^0": 2.2, "e_0^0": 2.9}
    found = (3.3 - 88.4) - (2.2 - 2.9)
    check("decayed", errors | {r"\Delta_\lambda": found}, *errors, r"\Delta_\lambda")
