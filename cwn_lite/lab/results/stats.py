"""What a few seeds can tell: mean, spread, and an interval for the difference of two methods."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """``n`` values, their mean, and their sample standard deviation (NaN for one value)."""

    n: int
    mean: float
    std: float


@dataclass(frozen=True)
class Difference:
    """Mean of ``n`` paired differences, and the ends of its confidence interval.

    For one pair it is infinite. Where all differences are alike there is nothing to estimate from, and its ends are the
    mean.
    """

    n: int
    mean: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Return ``n``, the mean ``x̄ = Σ x / n`` and ``s² = Σ (x − x̄)² / (n − 1)``.

    Args:
        values: at least one, for instance the test errors of all seeds in per cent.

    Raises:
        ValueError: there are none.

    Example:
        >>> summary([1.0, 2.0, 3.0])
        Summary(n=3, mean=2.0, std=1.0)
    """
    n = len(values)
    if n == 0:
        raise ValueError("values is empty: a mean needs at least one")
    return Summary(n, statistics.fmean(values), statistics.stdev(values) if n > 1 else math.nan)


def paired_difference(a: Mapping[int, float], b: Mapping[int, float], level: float = 0.95) -> Difference:
    """Compare two methods seed by seed: ``d̄ ± t s_d / √n`` with Student's ``t`` at ``n − 1`` degrees of freedom.

    Both methods start from the same weights and see the same batches at a seed, so part of the chance is common to
    both and drops out of the difference. Seeds that only one of them has are left out.

    Args:
        a: seed -> value of the first method.
        b: seed -> value of the second method.
        level: coverage of the interval, between 0 and 1.

    Returns:
        The difference ``a − b``.

    Raises:
        ValueError: no seed in common, or ``level`` out of range.

    Example:
        >>> difference = paired_difference({0: 9.0, 1: 8.0, 2: 9.5}, {0: 8.0, 1: 7.5, 2: 8.5})
        >>> f"{difference.mean:.3f} in [{difference.low:.3f}, {difference.high:.3f}]"
        '0.833 in [0.116, 1.550]'
    """
    from scipy.stats import ttest_rel

    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    seeds = sorted(set(a) & set(b))
    if not seeds:
        raise ValueError(f"the two methods share no seed: {sorted(a)} and {sorted(b)}")
    first, second = [a[seed] for seed in seeds], [b[seed] for seed in seeds]
    differences = [x - y for x, y in zip(first, second, strict=True)]
    mean = statistics.fmean(differences)
    if len(seeds) == 1:
        return Difference(1, mean, -math.inf, math.inf)
    if max(differences) - min(differences) <= 1e-12 * max(map(abs, [*first, *second])):  # alike but for rounding
        return Difference(len(seeds), mean, mean, mean)
    interval = ttest_rel(first, second).confidence_interval(level)
    return Difference(len(seeds), mean, float(interval.low), float(interval.high))
