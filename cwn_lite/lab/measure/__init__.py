"""What is measured on a model or counted in a computation."""

from .model import grad_norm, parameter_count, row_norms, trained_weight, weights_sha256

__all__ = ["grad_norm", "parameter_count", "row_norms", "trained_weight", "weights_sha256"]
