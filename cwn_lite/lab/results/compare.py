"""Does one method beat another? Several settings, few seeds, runs that did not train: a verdict by rules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .stats import Difference, paired_difference
from .store import Result
from .tables import check_one_kind

LEVEL = 0.95
"""Coverage of all intervals of one verdict together."""
LEAST_SEEDS = 3
"""With fewer runs of a method a setting decides nothing, with fewer seeds in common its interval does not."""
NAMED = 3
"""Settings that speak for a claim are named if they are no more than these."""
GUESSES = 80.0
"""Per cent: a run that ends with a larger test error has not trained. Guessing makes 90 errors of ten classes, and more
of twelve, which the point clouds have."""


@dataclass(frozen=True)
class Comparison:
    """Two methods in one setting, all else equal.

    Attributes:
        setting: network, data and steps, in words.
        trained: how many runs of the first and of the second method trained.
        runs: how many there were.
        difference: the first's test error minus the second's in points, over the seeds with which both trained;
            ``None`` where there is no such seed.
        p_trained: two-sided probability, by Fisher's exact test, of rates of training as different as these or more
            if both were the same.
        level: coverage of the interval.
        searched: whether each method has the rate of a search; at another rate, one that never trained might have.
    """

    setting: str
    trained: tuple[int, int]
    runs: tuple[int, int]
    difference: Difference | None
    p_trained: float
    level: float
    searched: bool = True

    def favours(self, margin: float = 0.0) -> bool | None:
        """Return whether this setting speaks for "the first is better", or against it, or decides nothing (``None``).

        For it: the first trains more often, or both train alike and the interval ends below ``margin``. Against it:
        the first trains less often, or the interval begins above zero and does not end below ``margin``. Nothing is
        decided by fewer than three runs of a method, by differences without scatter, which tell no interval, or where
        a method never trains at a rate that was not searched.

        Args:
            margin: points of test error that count as equal: 0 for "better", more for "not worse".
        """
        if min(self.runs) < LEAST_SEEDS:  # nor does it count where the level is shared
            return None
        if not self.searched and 0 in self.trained:
            return None
        if self.p_trained < 1 - self.level:
            (a, b), (n, m) = self.trained, self.runs
            return a * m > b * n
        if self.difference is None or self.difference.n < LEAST_SEEDS or self.difference.low == self.difference.high:
            return None
        if self.difference.high < margin:
            return True
        return False if self.difference.low > 0 else None

    def words(self) -> str:
        """Return the numbers in a few words, such as ``−1.2 [−2.0, −0.4], trained 5/5 and 4/5``."""
        if self.difference is None:
            text = "no seed with which both trained"
        elif self.difference.n == 1:
            text = f"{self.difference.mean:+.1f} (one seed)"
        else:
            d = self.difference
            text = f"{d.mean:+.1f} [{d.low:+.1f}, {d.high:+.1f}] ({d.n} seeds)"
        if self.trained != self.runs:
            (a, b), (n, m) = self.trained, self.runs
            text += f", trained {a}/{n} and {b}/{m}"
        return text.replace("-", "−")


def has_trained(run: Result) -> bool:
    """Return whether a run ended, and with fewer errors than guessing makes."""
    return run.status == "done" and run.test_error < GUESSES


def compare(pairs: Mapping[str, tuple[Iterable[Result], Iterable[Result]]]) -> list[Comparison]:
    """Compare two methods in each of several settings, with intervals that hold together.

    Each interval has the coverage ``1 − 0.05 / m`` for the ``m`` settings with enough seeds of both methods
    (Bonferroni's correction), so that all of them cover their means with 95 % if the differences are normal. The same
    level is asked of Fisher's test. A setting with no runs of one method is left out.

    Args:
        pairs: setting -> the runs of the first method and those of the second.

    Raises:
        LabError: runs that do not belong together, as :func:`cwn_lite.lab.results.tables.cell`.
    """
    found = {setting: (list(a), list(b)) for setting, (a, b) in pairs.items()}
    found = {setting: (a, b) for setting, (a, b) in found.items() if a and b}
    count = sum(len(a) >= LEAST_SEEDS and len(b) >= LEAST_SEEDS for a, b in found.values())
    level = 1 - (1 - LEVEL) / max(count, 1)
    for a, b in found.values():
        check_one_kind([*a, *b])
    return [_compared(setting, a, b, level) for setting, (a, b) in found.items()]


def _compared(setting: str, a: Sequence[Result], b: Sequence[Result], level: float) -> Comparison:
    from scipy.stats import fisher_exact

    mine, theirs = ({run.seed: run.test_error for run in runs if has_trained(run)} for runs in (a, b))
    common = mine.keys() & theirs.keys()
    table = [[len(mine), len(a) - len(mine)], [len(theirs), len(b) - len(theirs)]]
    return Comparison(
        setting,
        (len(mine), len(theirs)),
        (len(a), len(b)),
        paired_difference(mine, theirs, level) if common else None,
        float(fisher_exact(table).pvalue),
        level,
    )


def verdict(comparisons: Iterable[Comparison], margin: float = 0.0) -> str:
    """Return what several settings say of "the first method is better" (or, with a margin, "is not worse").

    ``holds``: each setting speaks for it. ``does not hold``: more speak against it than for it. ``partly``: some speak
    for it otherwise. ``open``: none decides.

    Args:
        comparisons: of :func:`compare`.
        margin: points of test error that count as equal.

    Example:
        >>> verdict([])
        'open'
    """
    found = [comparison.favours(margin) for comparison in comparisons]
    wins, losses = found.count(True), found.count(False)
    if losses > wins:
        return "does not hold"
    if wins:
        return "holds" if wins == len(found) else "partly"
    return "open"


def tally(comparisons: Iterable[Comparison], margin: float = 0.0) -> str:
    """Return how many settings speak for and against "the first is better" (or, with a margin, "is not worse").

    Those for it are named where they are few and not all, since a verdict may rest on them.

    Args:
        comparisons: of :func:`compare`.
        margin: points of test error that count as equal.

    Example:
        >>> tally([])
        '0 settings for it, 0 against it, 0 undecided'
    """
    found = [(comparison.setting, comparison.favours(margin)) for comparison in comparisons]
    counts = [sum(says is word for _, says in found) for word in (True, False, None)]
    names = [setting for setting, says in found if says]
    which = f" ({'; '.join(names)})" if 0 < len(names) <= NAMED and len(names) < len(found) else ""
    return f"{counts[0]} setting{'s' * (counts[0] != 1)} for it{which}, {counts[1]} against it, {counts[2]} undecided"


class Together(NamedTuple):
    """Several settings as one test.

    Attributes:
        settings: how many have an interval.
        mean: of their mean differences, in points.
        z: of Stouffer's method, standard normal if no setting had a difference; above zero where the second is better.
        p: two-sided probability of a ``z`` as far from zero or further.
    """

    settings: int
    mean: float
    z: float
    p: float

    def words(self) -> str:
        """Return the numbers in a few words: ``+0.9 points on the mean of 10 settings, z = +4.1, p < 0.001``."""
        p = f"p = {self.p:.3f}" if self.p >= 0.0005 else "p < 0.001"
        text = f"{self.mean:+.1f} points on the mean of {self.settings} settings, z = {self.z:+.1f}, {p}"
        return text.replace("-", "−")


def together(comparisons: Iterable[Comparison]) -> Together | None:
    """Test whether settings lean one way on the whole, although none may decide by itself (Stouffer's method).

    Each setting's paired ``t`` becomes the normal quantile ``z`` of the same probability, and ``Σ z / √K`` is held
    against a normal law: differences are taken as normal, and settings as independent, so that no run may stand in two
    of them. Opposite differences cancel, and there is no margin. Only seeds with which both trained count, and
    settings that have three. Differences that are all zero count as ``z = 0``; others that are all alike have no ``t``,
    and are left out.

    Args:
        comparisons: of :func:`compare`.

    Returns:
        ``None`` if fewer than two settings have an interval.

    Example:
        >>> together([]) is None
        True
    """
    from scipy.stats import norm, t

    quantiles, means = [], []
    for comparison in comparisons:
        d = comparison.difference
        if d is None or d.n < LEAST_SEEDS:
            continue
        if d.low == d.high:
            if d.mean == 0:
                quantiles.append(0.0)
                means.append(0.0)
            continue
        error = (d.high - d.mean) / t.ppf((1 + comparison.level) / 2, d.n - 1)
        tail = t.sf(abs(d.mean) / error, d.n - 1)
        quantiles.append(math.copysign(norm.isf(tail), d.mean))
        means.append(d.mean)
    if len(means) < 2:
        return None
    z = sum(quantiles) / math.sqrt(len(quantiles))
    return Together(len(means), sum(means) / len(means), float(z), float(2 * norm.sf(abs(z))))
