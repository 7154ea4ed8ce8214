"""Weight Standardization, the reparameterization that the method is compared with (Eq. 15-17)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cwn_lite.checks import ModuleT, check_nonnegative, check_positive, check_real_dense, check_values
from cwn_lite.rows import LINEAR_MAPS, layout, row_view


class WeightStandardization(nn.Module):
    """The parametrization ``w -> ŵ`` of :func:`weight_standardization`."""

    def __init__(self, *, gain: float | None, eps: float, transposed: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.gain, self.eps = gain, eps
        self.transposed, self.groups = transposed, groups

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``(w − μ) / σ`` row by row, times ``gain / √n`` if there is a gain."""
        view, dims = row_view(weight, transposed=self.transposed, groups=self.groups)
        n = math.prod([view.shape[d] for d in dims])
        centred = view - view.mean(dims, keepdim=True)
        # A norm: at a constant row its gradient is 0, that of a root is NaN.
        length = torch.linalg.vector_norm(centred, dim=dims, keepdim=True)
        standardized: Tensor = centred / (length / math.sqrt(n) + self.eps)
        if self.gain is not None:
            standardized = standardized * (self.gain / math.sqrt(n))
        return standardized.reshape(weight.shape)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"gain={self.gain}, eps={self.eps:g}"


def weight_standardization(module: ModuleT, *, gain: float | None = None, eps: float = 0.0) -> ModuleT:
    """Let ``module`` compute with the standardized weight, and train the weight behind it (Eq. 15-17).

    ``ŵ = (w − μ) / σ``,  ``μ = 1ᵀw / n``,  ``σ² = Σ (w_j − μ)² / n``  for each row, so ``‖ŵ‖² = n``.
    With a ``gain`` the result is multiplied by ``gain / √n``, so ``‖ŵ‖ = gain``: ``gain=√2`` gives the rows the norm
    that the constraint ``c = 2`` does.

    The authors' code divides by ``n − 1`` and adds ``eps = 1e-5`` to ``σ``; Eq. 17 has ``n`` and no ``eps``, and so
    has this function by default.

    Args:
        module: a Linear or a (transposed) convolution; changed in place by ``torch.nn.utils.parametrize``.
        gain: norm of each standardized row; ``None`` is the paper's, ``√n``.
        eps: added to ``σ``.

    Returns:
        ``module``. Its parameter is now ``module.parametrizations.weight.original``.

    Raises:
        TypeError: ``module`` has no rows to standardize, a complex or a sparse weight; ``gain`` or ``eps`` no number.
        ValueError: ``gain <= 0``, ``eps < 0``, a row without variance while ``eps`` is 0, or a second call; a weight
            that is uninitialized, on the meta device or made in inference mode.

    Example:
        >>> linear = weight_standardization(nn.Linear(9, 4))
        >>> torch.allclose(linear.weight.square().sum(1), torch.tensor(9.0))
        True

    Reference: Qiao et al., Weight Standardization, 2019; Ikami, Irie, Shibata, WACV 2021, Eq. 15-17.
    """
    if not isinstance(module, LINEAR_MAPS):
        raise TypeError(
            f"module must be a Linear or a convolution, got {type(module).__name__}; loop over model.modules()"
        )
    if gain is not None:
        gain = check_positive("gain", gain)
    eps = check_nonnegative("eps", eps)
    if parametrize.is_parametrized(module, "weight"):
        raise ValueError("the weight of module is parametrized already; remove that parametrization first")
    check_real_dense("module.weight", module.weight)
    check_values("module.weight", module.weight)
    view, dims = row_view(module.weight.detach(), **layout(module))
    if eps == 0 and bool((view.amax(dims) == view.amin(dims)).any()):
        raise ValueError("module has a row of equal weights, whose σ is 0; initialize it, or pass eps=1e-5")
    with torch.no_grad():
        parametrize.register_parametrization(
            module, "weight", WeightStandardization(gain=gain, eps=eps, **layout(module))
        )
    return module
