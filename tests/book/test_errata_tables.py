"""Errata of the experiments: what the paper's sentences say about the paper's tables."""

import operator
from decimal import Decimal
from itertools import product
from math import sqrt
from statistics import mean
from typing import Any

import pytest
from bookcheck.equations import formula
from bookcheck.latex import holds
from paper_numbers import load, look_up
from scipy.integrate import quad
from scipy.stats import norm

PAPER: dict[str, Any] = load()
DATA = ("cifar10", "cifar100")


def table1_rows() -> list[dict[str, Decimal]]:
    return [networks[name] for data in PAPER["table1"].values() for networks in data.values() for name in networks]


def test_table1() -> None:
    """Better than batch norm in eight rows, worse in four."""
    gaps = [row["ours"] - row["bn"] for row in table1_rows()]
    assert (sum(gap < 0 for gap in gaps), sum(gap > 0 for gap in gaps)) == (8, 4)
    assert sum(row["ours"] < row["bn"] for row in table1_rows()[6:]) == 5  # the rows of CIFAR-100
    worst = PAPER["table1"]["cifar10"]["standard"]["wideresnet-28-10"]
    assert max(gaps) == worst["ours"] - worst["bn"]


def of_images(percent: Decimal, images: Decimal | int) -> float:
    """Standard error of an error or an accuracy, in per cent, from the sample of images alone."""
    return 100 * sqrt(float(percent) / 100 * (1 - float(percent) / 100) / float(images))


@pytest.mark.equation("eq:errata:standard-error")
def test_standard_error() -> None:
    images = PAPER["settings"]["cifar"]["test_images"]

    def standard_error(error: Decimal) -> float:
        p = float(error) / 100
        outcomes = p * (1 - p) ** 2 + (1 - p) * p**2  # the variance of one image, wrong or right
        known = {"p": p, "N": float(images), r"\operatorname{se}": sqrt(outcomes / float(images))}
        assert holds(formula("eq:errata:standard-error"), known)
        assert not holds(formula("eq:errata:standard-error"), known | {"N": float(images) / 2})
        return 100 * known[r"\operatorname{se}"]

    within = 0
    for row in table1_rows():
        of_difference = sqrt(standard_error(row["ours"]) ** 2 + standard_error(row["bn"]) ** 2)
        within += abs(float(row["ours"] - row["bn"])) < 2 * of_difference
    assert (within, len(table1_rows())) == (11, 12)


def test_table3() -> None:
    """One constraint alone: better than none in five cells of eight, in all four of CIFAR-100."""
    better = {
        (data, only, sigma): PAPER["table3"][data][only][sigma] < PAPER["table3"][data]["none"][sigma]
        for data, only, sigma in product(DATA, ("centralize", "spherize"), ("0.0", "1.0"))
    }
    assert (sum(better.values()), len(better)) == (5, 8)
    assert all(better[key] for key in better if key[0] == "cifar100")
    for data, sigma in product(DATA, ("0.0", "1.0")):
        column = {name: cells[sigma] for name, cells in PAPER["table3"][data].items()}
        assert min(column, key=column.__getitem__) == "both"


def test_table4() -> None:
    cifar10 = PAPER["table4"]["cifar10"]
    best_constant = min(cifar10["constant"].values())
    images = (best_constant - min(cifar10["linear"].values())) * PAPER["settings"]["cifar"]["test_images"] / 100
    assert images == 6
    others = sorted(cifar10["linear"].values())[1:]
    assert len(others) == 4 and min(others) == Decimal("4.45") > best_constant
    assert PAPER["table4"]["cifar100"]["constant"]["0.4"] is None
    noise_of_linear = sqrt((25 + 1) * (2 * 25 + 1) / (6 * 25**2))
    assert noise_of_linear > max(map(float, cifar10["constant"])), "no constant cell has as much noise"


@pytest.mark.equation("eq:errata:best")
def test_best_of_nine() -> None:
    cells, images = PAPER["table4"]["cifar10"], PAPER["settings"]["cifar"]["test_images"]
    constant, linear = (list(cells[kind].values()) for kind in ("constant", "linear"))
    nine, without = [*constant, *linear], cells["none"]
    counts = [sum(compare(x, without) for x in nine) for compare in (operator.lt, operator.eq, operator.gt)]
    assert counts == [2, 2, 5] and mean(nine) > without
    s = of_images(without, images)
    expected = -quad(lambda x: 9 * x * norm.pdf(x) * norm.sf(x) ** 8, -9, 9)[0]
    known = {r"\operatorname{E}[x_{\min}]": 4.5 - expected * s, r"\mu": 4.5, "s": s}
    assert holds(formula("eq:errata:best"), known, rtol=1e-5)
    assert not holds(formula("eq:errata:best").replace("-", "+"), known, rtol=1e-5)
    assert not holds(formula("eq:errata:best"), known | {"s": 1.01 * s}, rtol=1e-5)
    assert float(without - min(nine)) < expected * s, "no more than choosing gives"

    # what speaks for the noise
    assert min(constant) == constant[-1] and min(linear) == linear[-1], "one in 4 times 5 by chance"
    for data, rows in product(DATA, ("none", "centralize", "spherize", "both")):
        assert PAPER["table3"][data][rows]["1.0"] < PAPER["table3"][data][rows]["0.0"]
    hundred = PAPER["table4"]["cifar100"]
    assert float(hundred["none"] - min(hundred["linear"].values())) > 5 * of_images(hundred["none"], images)
    chosen = {data: PAPER["table1"][data]["standard"]["wideresnet-28-10"]["ours"] for data in DATA}
    assert all(chosen[data] == PAPER["table4"][data]["linear"]["1.0"] for data in DATA)


def test_quoted() -> None:
    """The only two numbers of one laboratory that Tables 5 and 6 let one compare."""
    assert (len(PAPER["table5"]), len(PAPER["table6"])) == (5, 6)
    ours, plain = (PAPER["table6"][name]["top1"] for name in ("ours", "plain"))
    images = 50_000  # "50,000 validation images"
    assert float(ours - plain) > 5 * sqrt(of_images(ours, images) ** 2 + of_images(plain, images) ** 2)


def test_table6() -> None:
    rows = PAPER["table6"]
    assert all(row["top5"] > row["top1"] for row in rows.values()), "so they cannot be error rates"
    order = sorted(rows, key=lambda name: rows[name]["top1"])
    assert order[:2] == ["plain", "ours"], "second to last"


def test_left_open() -> None:
    """What the page calls unstated is empty in the settings."""
    empty = (
        "cifar.cnn.sigma",
        "cifar.resnet-110.sigma",
        "cifar.cutout_size",
        "imagenet.epochs",
        "imagenet.weight_decay",
    )
    for path in (*empty, "imagenet.sigma"):
        assert look_up(PAPER, f"settings.{path}") is None
