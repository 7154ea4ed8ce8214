"""The nearest matrix with orthonormal rows or columns, by matrix products alone."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from cwn_lite.checks import check_positive, check_real_dense


def orthogonalize(
    matrices: Tensor, *, accuracy: float = 0.1, floor: float = 1e-2, dtype: torch.dtype | None = None
) -> Tensor:
    """Return the orthogonal polar factor ``UVᵀ`` of each matrix ``UΣVᵀ``, approximately.

    All singular values become 1. Odd polynomials ``x (a + b x² + c x⁴)``, each the best for what the ones before it
    left, are applied to the singular values. They need products of matrices only, and of these only two with the
    matrix itself: the rest acts on the Gram matrix of its short side.

    Args:
        matrices: ``(..., rows, n)``. Zero and non-finite matrices become zero.
        accuracy: singular values of at least ``floor`` end within ``1 ± accuracy``.
        floor: relative to the fourth root of ``Σσ⁴``, which bounds the largest. Smaller ones end below, in order.
            The Gram matrix holds squares, so in float32 values under about 1e-3 are lost in rounding.
        dtype: of the products. ``None`` is float32 or better. In ``torch.bfloat16``, which GPUs multiply many times
            faster, the Gram matrix is made anew in each step, since rounding would hide small values behind large
            ones, and ends are within ``1 ± accuracy`` for singular values of at least about twice ``floor``.

    Returns:
        ``(..., rows, n)``, in the dtype of ``matrices``.

    Raises:
        TypeError: ``matrices`` is complex, integer or sparse, or ``dtype`` no floating-point dtype.
        ValueError: fewer than two axes, ``accuracy`` or ``floor`` outside of (0, 1).

    Example:
        >>> m = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
        >>> orthogonalize(m, accuracy=1e-3).round(decimals=2)
        tensor([[1., 0., 0.],
                [0., 1., 0.]])

    Reference: Björck and Bowie 1971 for the iteration; Amsel et al., The Polar Express, 2025, for best polynomials.
    """
    check_real_dense("matrices", matrices)
    if matrices.ndim < 2:
        raise ValueError(f"matrices has shape {tuple(matrices.shape)}; give (..., rows, n)")
    for name, value in (("accuracy", accuracy), ("floor", floor)):
        if check_positive(name, value) >= 1:
            raise ValueError(f"{name} must be below 1, got {value}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point and dtype.itemsize > 1):
        raise TypeError(f"dtype must be a real floating-point dtype of at least 16 bits, got {dtype}")
    if not matrices.numel():
        return matrices.clone()
    x, tall = wide(scaled(matrices.to(torch.promote_types(matrices.dtype, torch.float32))))
    x = x.to(dtype or x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        out = (_by_gram if x.dtype.itemsize > 2 else _by_rows)(x, best_polynomials(accuracy, floor))
    return (out.mT if tall else out).to(matrices.dtype)


def inverse_root(matrices: Tensor, *, accuracy: float = 0.1, floor: float = 1e-2) -> Tensor:
    """Return the symmetric matrices ``S ≈ (X Xᵀ)^-½`` of :func:`orthogonalize`: ``S X``, or ``X S`` of tall ones.

    Args:
        matrices: ``(..., rows, n)``, real, in float32 or better, with a largest number of 1: see :func:`scaled`. Where
            all are zero, ``S`` is the identity.
        accuracy: as for :func:`orthogonalize`.
        floor: likewise; what lies below is enlarged about as much as ``floor`` is.

    Returns:
        ``(..., s, s)`` with ``s = min(rows, n)``.

    Example:
        >>> m = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
        >>> inverse_root(m, accuracy=1e-3).round(decimals=2)
        tensor([[1., 0.],
                [0., 2.]])
    """
    x, _ = wide(matrices)
    root, bound = _gram_root(x, best_polynomials(accuracy, floor))
    eye = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device)
    return torch.where((x != 0).any(-1, keepdim=True).any(-2, keepdim=True), root * bound.rsqrt(), eye)


def wide(matrices: Tensor) -> tuple[Tensor, bool]:
    """Return matrices with their short side first, and whether it was their second one."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    return (matrices.mT if tall else matrices), tall


def scaled(matrices: Tensor) -> Tensor:
    """Return matrices over their largest number, so that squares neither overflow nor vanish; zero where it is none."""
    largest = matrices.detach().abs().amax((-2, -1), keepdim=True)
    return torch.where((largest > 0) & largest.isfinite(), matrices / largest, 0.0)


Function = TypeVar("Function", bound=Callable[..., Any])
Polynomials = tuple[tuple[float, float, float], ...]
MARGIN = 1.02
"""By how much rounding to 16 bits may enlarge a singular value within a step."""


def _by_gram(x: Tensor, polynomials: Polynomials) -> Tensor:
    """All steps on the Gram matrix: two products with the matrix itself, in all."""
    root, bound = _gram_root(x, polynomials)
    return root @ x * bound.rsqrt()


def _gram_root(x: Tensor, polynomials: Polynomials) -> tuple[Tensor, Tensor]:
    """Return ``root`` and ``bound`` such that ``root @ x / sqrt(bound)`` is the result."""
    gram, bound = _bounded(x @ x.mT)
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    root: Tensor | None = None
    for step, (a, b, c) in enumerate(polynomials):
        factor = a * eye + b * gram + c * (gram @ gram)
        root = factor if root is None else factor @ root
        if step + 1 < len(polynomials):
            gram = factor @ gram @ factor
    assert root is not None
    return root, bound


def _by_rows(x: Tensor, polynomials: Polynomials) -> Tensor:
    """Two products with the matrix in each step; rounding stays where it arises.

    A polynomial is steep beyond the end of its interval, where rounding may push the largest values: they are shrunk
    by a margin first. Sums of products are rounded once, which ``baddbmm`` sees to.
    """
    _, bound = _bounded(x @ x.mT)
    flat = (x * bound.rsqrt()).flatten(0, -3) if x.ndim > 2 else (x * bound.rsqrt())[None]
    for step, (a, b, c) in enumerate(polynomials):
        shrink = 1 / MARGIN if step + 1 < len(polynomials) else 1.0
        gram = flat @ flat.mT
        factor = torch.baddbmm(gram, gram, gram, beta=b * shrink**3, alpha=c * shrink**5)
        flat = torch.baddbmm(flat, factor, flat, beta=a * shrink)
    return flat.reshape(x.shape)


def _bounded(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return a Gram matrix divided by its Frobenius norm, which bounds its eigenvalues, and that norm."""
    norm = torch.linalg.matrix_norm(gram.to(torch.promote_types(gram.dtype, torch.float32)))
    # Rows of which the largest number is 1 have a norm of at least 1; what is less is a matrix of zeros.
    bound = norm.clamp_min(1.0)[..., None, None].to(gram.dtype)
    return gram / bound, bound


def _constant(function: Function) -> Function:
    """What torch.compiler.assume_constant_result does, but for importing the compiler, as long as torch itself."""
    function.__dict__["_dynamo_marked_constant"] = True
    return function


@_constant
def best_polynomials(accuracy: float, floor: float) -> Polynomials:
    """Return ``(a, b, c)`` of as many odd polynomials as bring ``[floor, 1]`` to ``1 ± accuracy``.

    Each is the one of degree 5 that deviates least from 1 on the interval that the ones before it left.

    Args:
        accuracy: largest deviation in the end.
        floor: lower end of the interval.

    Example:
        >>> len(best_polynomials(0.1, 1e-2)), len(best_polynomials(1e-6, 1e-4))
        (4, 9)
    """
    # Apart from its cache: torch's compiler takes this result as a constant, and cannot look through a cache.
    return _best_polynomials(accuracy, floor)


@functools.cache
def _best_polynomials(accuracy: float, floor: float) -> Polynomials:
    found = []
    low, high = floor, 1.0
    while True:
        a, b, c, error = _best(low, high)
        found.append((a, b, c))
        low, high = 1 - error, 1 + error
        if error <= accuracy:
            return tuple(found)


def _best(low: float, high: float) -> tuple[float, float, float, float]:
    """The best odd quintic for 1 on ``[low, high]`` and its deviation, by the exchange algorithm of Remez."""
    if high - low < 1e-6:  # what Newton and Schulz do at 1, beyond the digits of the exchange
        return 15 / 8, -10 / 8, 3 / 8, (high - low) ** 3
    points = [low, low + (high - low) / 4, low + 3 * (high - low) / 4, high]
    for _ in range(100):
        rows = [[x, x**3, x**5, (-1.0) ** i] for i, x in enumerate(points)]
        a, b, c, e = torch.linalg.solve(
            torch.tensor(rows, dtype=torch.float64, device="cpu"), torch.ones(4, dtype=torch.float64, device="cpu")
        ).tolist()
        # Where the derivative a + 3b x² + 5c x⁴ is 0: the two places between the ends where it deviates most.
        root = max(9 * b * b - 20 * a * c, 0.0) ** 0.5
        new = sorted(max((-3 * b + sign * root) / (10 * c), low * low) ** 0.5 for sign in (-1, 1))
        if max(abs(x - y) for x, y in zip(new, points[1:3], strict=True)) < 1e-12:
            break
        points[1:3] = new
    return a, b, c, abs(e)
