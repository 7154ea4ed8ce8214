"""The displayed equation of "When it explodes, and when it does not", read from the page and evaluated."""

import itertools

import numpy as np
import pytest
from bookcheck.equations import formula
from bookcheck.latex import holds
from scipy.stats import ttest_1samp


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.8])
@pytest.mark.equation("eq:exploding:alike")
def test_three_runs_alike(q: float) -> None:
    """Every outcome of three runs, by its probability."""
    alike = sum(
        q ** sum(failed) * (1 - q) ** (3 - sum(failed))
        for failed in itertools.product((0, 1), repeat=3)
        if len(set(failed)) == 1
    )
    assert holds(formula("eq:exploding:alike"), {"A": alike, "q": q})
    assert not holds(formula("eq:exploding:alike"), {"A": alike + 0.01, "q": q})


@pytest.mark.parametrize("q", [0.1, 0.2])
def test_the_interval_covers_the_mean_where_the_runs_differ(q: float) -> None:
    """Two heaps without width: by the page, Student's interval covers their mean with probability 1 − A."""
    mean, covered = 3 * (1 - q) + 90 * q, 0.0
    for failed in itertools.product((False, True), repeat=3):
        errors = np.where(failed, 90.0, 3.0) + np.array([-1e-6, 0.0, 1e-6])
        low, high = ttest_1samp(errors, 0).confidence_interval(0.95)
        if low <= mean <= high:
            covered += q ** sum(failed) * (1 - q) ** (3 - sum(failed))
    assert holds(formula("eq:exploding:alike"), {"A": 1 - covered, "q": q}, rtol=1e-9)
