"""Every displayed equation of "Reading an experiment", read from the page where it can be, and simulated."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from bookcheck.tight import checker
from scipy import integrate
from scipy.stats import fisher_exact, norm, ttest_rel

from cwn_lite.lab.results import stats

X = [8.31, 7.92, 8.55, 8.08]
Y = [8.02, 7.99, 8.01, 7.75]
rng = np.random.default_rng(0)


check = checker("reading")


@pytest.mark.equation("eq:reading:mean-std")
def test_mean_and_sample_standard_deviation() -> None:
    summary = stats.summary(X)
    assert summary.n == 4
    assert summary.mean == pytest.approx(statistics.fmean(X))
    assert summary.std == pytest.approx(statistics.stdev(X))
    assert math.isnan(stats.summary([1.0]).std)


@pytest.mark.equation("eq:reading:binomial")
def test_scatter_of_a_test_set() -> None:
    p, m = 0.1, 400
    simulated = float((rng.random((20_000, m)) < p).mean(1).std())
    check("binomial", {r"s_{\mathrm{test}}": math.sqrt(p * (1 - p) / m), "p": p, "m": float(m)}, "p", "m")
    assert simulated == pytest.approx(math.sqrt(p * (1 - p) / m), rel=0.03)  # 6 standard errors


@pytest.mark.equation("eq:reading:pairing")
def test_what_two_runs_share_drops_out() -> None:
    s, r = 0.7, 0.6
    shared, own = rng.standard_normal(200_000), rng.standard_normal((2, 200_000))
    x, y = s * (math.sqrt(r) * shared + math.sqrt(1 - r) * own)
    assert float((x - y).std()) == pytest.approx(s * math.sqrt(2 * (1 - r)), rel=0.01)
    check("pairing", {r"\operatorname{sd}[d_i]": s * math.sqrt(2 * (1 - r)), "s": s, "r": r}, "s", "r")


@pytest.mark.equation("eq:reading:paired")
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


@pytest.mark.equation("eq:reading:none")
def test_no_run_fails() -> None:
    q, k = 0.2, 3
    simulated = float((rng.random((100_000, k)) >= q).all(1).mean())
    assert simulated == pytest.approx((1 - q) ** k, abs=0.01)
    check("none", {r"p_{\mathrm{none}}": (1 - q) ** k, "q": q, "k": float(k)}, "q", "k")


@pytest.mark.equation("eq:reading:fisher")
@pytest.mark.equation("eq:reading:least")
def test_fishers_exact_test() -> None:
    n, m, trained = 5, 4, 6

    def chance(a: int) -> float:
        return math.comb(n, a) * math.comb(m, trained - a) / math.comb(n + m, trained)

    a, b = 5, 1
    known = {r"P(a)": chance(a), r"\binom{k}{a}": math.comb(n, a), r"\binom{l}{b}": math.comb(m, b)}
    check("fisher", known | {r"\binom{k + l}{a + b}": math.comb(n + m, a + b)}, *known)
    outcomes = [chance(x) for x in range(trained - m, n + 1)]
    assert sum(outcomes) == pytest.approx(1)
    exact = fisher_exact([[a, n - a], [b, m - b]]).pvalue
    assert sum(p for p in outcomes if p <= chance(a) * (1 + 1e-9)) == pytest.approx(exact)
    for runs in (3, 4):
        least = fisher_exact([[runs, 0], [0, runs]]).pvalue
        check("least", {r"p_{\mathrm{least}}": least, r"\binom{2 k}{k}": math.comb(2 * runs, runs)}, r"\binom{2 k}{k}")


@pytest.mark.equation("eq:reading:chance")
def test_many_comparisons() -> None:
    phi, k = 0.05, 12
    excluded = rng.random((100_000, k)) < phi
    expected, some = phi * k, 1 - (1 - phi) ** k
    assert float(excluded.sum(1).mean()) == pytest.approx(expected, rel=0.02)
    assert float(excluded.any(1).mean()) == pytest.approx(some, rel=0.02)
    known = {r"\operatorname{E}[F]": expected, r"p_{\mathrm{any}}": some, r"\varphi": phi, "K": float(k)}
    check("chance", known, r"\operatorname{E}[F]", r"p_{\mathrm{any}}", r"\varphi")


@pytest.mark.equation("eq:reading:best")
def test_the_best_of_several_equal_cells() -> None:
    k, s, mu = 9, 0.21, 4.5
    gain = s * integrate.quad(lambda u: k * u ** (k - 1) * norm.ppf(u), 0, 1)[0]
    simulated = mu - float((mu + s * rng.standard_normal((200_000, k))).min(1).mean())
    assert simulated == pytest.approx(gain, rel=0.01)
    known = {
        r"\operatorname{E}\bigl[\mu - \min_{j \le K} x_j\bigr]": gain,
        "s": s,
        r"\int_0^1 K \, u^{K-1} \, \Phi^{-1}(u) \, du": gain / s,
    }
    check("best", known, "s")
