"""The nearest point of the constraint set as a pure function (Eq. 9-11); in place and fast in ``fast.py``.

The set holds every weight row ``w`` of ``n`` numbers with ``‖w‖² = c`` and ``1ᵀw = 0``: a sphere cut by a plane
through its centre. Its nearest point to ``v`` is ``√c · Pv / ‖Pv‖`` with ``P = I − 11ᵀ/n``: centre, then rescale.
"""

import math

import torch
from torch import Tensor

from cwn_lite.checks import check_bool, check_number, check_positive, check_real_dense, check_square

C_HE = 2.0
"""Squared row norm of the paper (Eq. 4): keeps the second moment through ReLU when rows are *not* centred."""

C_CENTERED = 2 * math.pi / (math.pi - 1)
"""About 2.934: keeps the variance through ReLU once rows are centred, so that only ``Var[x]`` reaches the output."""


def project_rows(rows: Tensor, c: float = C_HE, *, centralize: bool = True, spherize: bool = True) -> Tensor:
    """Return the nearest feasible point of each row (Eq. 9, solved exactly).

    ``argmin ‖w − v‖²  s.t.  ‖w‖² = c, 1ᵀw = 0``  is  ``√c · Pv / ‖Pv‖``,  ``P = I − 11ᵀ/n``.

    A row of equal numbers (of zeros, without ``centralize``) has every feasible point at the same distance. It is
    given one fixed feasible point, the rescaled ``linspace(-1, 1, n)``. The result is differentiable; at such a row
    the gradient is zero.

    Args:
        rows: ``(..., n)`` floating-point weights, one row of fan-in ``n`` per output. Never modified.
        c: squared norm of each projected row, positive.
        centralize: impose ``1ᵀw = 0``.
        spherize: impose ``‖w‖² = c``.

    Returns:
        ``(..., n)``, in the dtype of ``rows``; computed in float32 or better.

    Raises:
        TypeError: ``rows`` is no tensor, complex, integer, sparse or of a dtype below 16 bits; ``c`` is no number,
            ``centralize`` or ``spherize`` neither True nor False.
        ValueError: ``c`` is not positive and finite, or no normal number of the dtype of ``rows``; ``n < 2`` while
            ``centralize`` is on.

    Example:
        >>> w = project_rows(torch.tensor([[3.0, 1.0, 2.0]]))
        >>> w
        tensor([[ 1., -1.,  0.]])
        >>> w.square().sum(-1), w.sum(-1)
        (tensor([2.]), tensor([0.]))

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 9-11.
    """
    c = check_positive("c", c)
    check_bool("centralize", centralize), check_bool("spherize", spherize)
    check_real_dense("rows", rows)
    if spherize:
        check_square("c", c, rows.dtype)
    if rows.ndim == 0:
        raise ValueError("rows is a scalar; give a tensor of shape (..., n) with one weight row in its last axis")
    check_fan_in(rows.shape[-1], centralize)
    return nearest(rows, (rows.ndim - 1,), c, centralize, spherize)


def projected_step(w: Tensor, grad: Tensor, lr: float, c: float = C_HE) -> Tensor:
    """One step of Algorithm 1, to the letter (Eq. 11): centre the gradient, step, rescale.

    ``w̃ = w − α(g − (1ᵀg)1/n)``,  ``w⁺ = √c · w̃ / ‖w̃‖``.

    The result has zero mean only if ``w`` has: Eq. 11 centres the gradient and never the weight. It divides by
    ``‖w̃‖``, so a row that the step takes to zero becomes NaN; :func:`project_rows` has a point for it.

    Args:
        w: ``(..., n)`` rows at step ``t``; the paper assumes them feasible.
        grad: ``(..., n)`` gradient of the loss at ``w``.
        lr: learning rate ``α``.
        c: squared norm of each new row, positive.

    Returns:
        ``(..., n)`` rows at step ``t + 1``.

    Raises:
        TypeError: ``w`` or ``grad`` is no real dense tensor; ``lr`` or ``c`` is no number.
        ValueError: ``lr`` or ``c`` is not finite; ``c`` is not positive, or no normal number of the result's dtype;
            the shapes of ``w`` and ``grad`` differ.

    Example:
        >>> w, g = torch.tensor([1.0, -1.0, 0.0]), torch.tensor([0.0, 0.0, 3.0])
        >>> projected_step(w, g, lr=0.0)
        tensor([ 1., -1.,  0.])

    Reference: Ikami, Irie, Shibata, WACV 2021, Eq. 11 and Algorithm 1.
    """
    lr, c = check_number("lr", lr), check_positive("c", c)
    check_real_dense("w", w)
    check_real_dense("grad", grad)
    check_square("c", c, torch.promote_types(w.dtype, grad.dtype))
    if w.shape != grad.shape:
        raise ValueError(f"w and grad must have one shape, got {tuple(w.shape)} and {tuple(grad.shape)}")
    stepped = w - lr * (grad - grad.mean(-1, keepdim=True))
    projected: Tensor = math.sqrt(c) * stepped / stepped.norm(dim=-1, keepdim=True)
    return projected


def check_fan_in(n: int, centralize: bool) -> None:
    """Refuse rows too short for the constraint set to hold a point."""
    least = 2 if centralize else 1
    if n < least:
        raise ValueError(
            f"a row of fan-in {n} cannot be projected: the constraint set is empty; exclude this weight"
            + (" or pass centralize=False" if n == 1 else "")
        )


def nearest(x: Tensor, dims: tuple[int, ...], c: float, centralize: bool, spherize: bool) -> Tensor:
    """Project over ``dims``; the one place where the arithmetic of Eq. 11 lives."""
    if not (centralize or spherize):
        return x.clone()
    v = x.to(torch.promote_types(x.dtype, torch.float32))
    # Divided by a power of two, rows of any magnitude have sums and squares that neither overflow nor vanish, and no
    # bit is lost. The result does not depend on that power, so neither does its gradient.
    high, low = v.detach().amax(dims, keepdim=True), v.detach().amin(dims, keepdim=True)
    unit = torch.exp2((torch.frexp(torch.maximum(high, -low)).exponent - 1).to(v.dtype))
    v = v / unit
    if centralize:
        # The second pass removes the rounding error that a large common offset leaves in the first mean.
        v = v - v.mean(dims, keepdim=True)
        v = v - v.mean(dims, keepdim=True)
    if not spherize:
        return (v * unit).to(x.dtype)
    n = math.prod([x.shape[d] for d in dims])
    shape = [size if d in dims else 1 for d, size in enumerate(x.shape)]
    # Proportional to linspace(-1, 1, n), and a length that a compiler may leave open.
    fixed = (2 * torch.arange(n, dtype=v.dtype, device=v.device) - max(n - 1, 1)).reshape(shape)
    # Asked as a difference, so that a row of infinities, like one with a NaN, stays visible in the result.
    undirected = (high - low if centralize else high.abs() + low.abs()) == 0
    v = torch.where(undirected, fixed, v)
    return (v * (c / v.square().sum(dims, keepdim=True)).sqrt()).to(x.dtype)
