"""What a weight must be to be constrained: alone in its memory, with values, with rows that have a direction."""

import itertools
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cwn_lite.rows import fan_in, is_linear_map, layout, local_part, row_view
from cwn_lite.settings import Settings


def check_alone(model: nn.Module, chosen: dict[str, nn.Module], maps: dict[str, nn.Module]) -> None:
    """Raise ValueError if the weight of a chosen layer is that of another one too, or shares memory with one.

    Args:
        model: holds all layers.
        chosen: name of a weight -> layer whose weight is projected.
        maps: the same with the layers that must not share a weight with these.
    """
    owner: dict[int, str] = {}
    for name, module in maps.items():
        other = owner.setdefault(id(module.weight), name)
        if other != name:
            raise ValueError(
                f"{other} and {name} are one tied weight and would be projected twice; exclude one of them"
            )
    weights = {id(module.weight): name for name, module in chosen.items()}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        holder = model.get_submodule(name.rpartition(".")[0])
        if id(parameter) in weights and not is_linear_map(holder):
            mine = weights[id(parameter)]
            raise ValueError(
                f"{mine} is also {name}, of a {type(holder).__name__}, which would be projected, too; exclude "
                f"{mine.removesuffix('.weight')!r}"
            )
    spans = sorted(span for name, module in chosen.items() for span in _span(name, module))
    for (device, _, end, name), (other_device, start, _, other) in itertools.pairwise(spans):
        if device == other_device and start < end:
            raise ValueError(f"{name} and {other} share memory and would be projected twice; exclude one of them")


def _span(name: str, module: nn.Module) -> list[tuple[str, int, int, str]]:
    """Device, first and last address of a weight, where it has them."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    if hasattr(weight, "placements") or weight.layout != torch.strided or weight.is_meta or not weight.numel():
        return []
    steps = sum(stride * (size - 1) for stride, size in zip(weight.stride(), weight.shape, strict=True))
    start = weight.data_ptr()
    return [(str(weight.device), start, start + (steps + 1) * weight.element_size(), name)]


def check_rows(name: str, module: nn.Module) -> None:
    """Raise an error if the weight of ``module`` is none that can be projected.

    Args:
        name: of the weight.
        module: a linear map.

    Raises:
        TypeError: the weight is complex, integer or sparse.
        ValueError: it has no values, was made in inference mode, is an expanded view, or holds non-finite numbers.
    """
    assert isinstance(module.weight, Tensor)
    weight = module.weight.detach()
    if weight.layout != torch.strided or not weight.dtype.is_floating_point or torch.finfo(weight.dtype).bits < 16:
        kind = f"{weight.dtype}, {weight.layout}"
        raise TypeError(f"{name} is {kind}; only dense real weights can be constrained: exclude it")
    if weight.is_meta:
        raise ValueError(f"{name} is on the meta device, without values; call model.to_empty and initialize it first")
    if weight.is_inference():
        raise ValueError(f"{name} was made in inference mode and cannot be trained; build the model outside of it")
    if any(stride == 0 and size > 1 for stride, size in zip(weight.stride(), weight.shape, strict=True)):
        raise ValueError(f"{name} is an expanded view, whose entries share memory; replace it by a clone of itself")
    if not local_part(weight, transposed=layout(module)["transposed"], name=name).isfinite().all():
        raise ValueError(f"{name} holds non-finite numbers; initialize it again")


def check_directions(modules: Mapping[str, nn.Module], settings: Settings) -> None:
    """Raise an error if a row has no unique nearest point on its constraint set, and warn of rows that cannot learn.

    Without the norm the set is a linear space, on which every row has one.

    Args:
        modules: name of a weight -> the layer to constrain, which passed :func:`check_rows`.
        settings: what is imposed on its rows.

    Raises:
        ValueError: a row of zeros, or, where it is to have zero mean, of equal numbers.
    """
    if not settings.spherize:
        return
    for name, module in modules.items():
        assert isinstance(module.weight, Tensor)
        stored, centred = layout(module), settings.centred(module)
        view, dims = row_view(local_part(module.weight.detach(), transposed=stored["transposed"]), **stored)
        high, low = view.amax(dims), view.amin(dims)
        nowhere = high == low if centred else (high == 0) & (low == 0)
        if nowhere.any():
            numbers = "equal numbers (zero, for example)" if centred else "zeros"
            raise ValueError(
                f"{name} has {int(nowhere.sum())} rows of {numbers}, whose nearest feasible point is not unique; "
                f"initialize them, or exclude {name.removesuffix('.weight')!r}"
            )
        if centred and fan_in(module) == 2:
            warnings.warn(
                f"{name} has fan-in 2: only two points, ±(1, −1) rescaled, are feasible, so it cannot learn; "
                "consider excluding it",
                stacklevel=3,
            )
