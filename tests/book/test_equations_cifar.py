"""Every displayed equation of the chapter "CIFAR on a GPU", checked against the lab's statistics."""

import math
import statistics

import pytest
import torch
from scipy.stats import ttest_rel

from cwn_lite.lab.results import stats

X = [8.31, 7.92, 8.55, 8.08]
Y = [8.02, 7.99, 8.01, 7.75]


@pytest.mark.equation("eq:cifar:mean-std")
def test_mean_and_sample_standard_deviation() -> None:
    summary = stats.summary(X)
    assert summary.n == 4
    assert summary.mean == pytest.approx(statistics.fmean(X))
    assert summary.std == pytest.approx(statistics.stdev(X))
    assert math.isnan(stats.summary([1.0]).std)


@pytest.mark.equation("eq:cifar:paired")
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_paired_interval_is_students(level: float) -> None:
    difference = stats.paired_difference(dict(enumerate(X)), {**dict(enumerate(Y)), 9: 1.0}, level)
    expected = ttest_rel(X, Y).confidence_interval(level)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.n == 4  # the seed that only one method has is left out


def test_one_pair_decides_nothing_and_none_is_an_error() -> None:
    one = stats.paired_difference({0: 2.0}, {0: 1.0})
    assert (one.mean, one.low, one.high) == (1.0, -math.inf, math.inf)
    with pytest.raises(ValueError, match="share no seed"):
        stats.paired_difference({0: 2.0}, {1: 1.0})


@pytest.mark.equation("eq:cifar:binomial")
def test_scatter_of_a_test_set() -> None:
    p, m = 0.1, 400
    wrong = torch.rand(20_000, m, generator=torch.Generator().manual_seed(0)) < p
    simulated = wrong.double().mean(1).std().item()
    assert simulated == pytest.approx(math.sqrt(p * (1 - p) / m), rel=0.03)  # 6 standard errors
