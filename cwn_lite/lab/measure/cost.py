"""What a computation costs, counted and not timed: bytes that operations read and write, bytes kept for backward."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten
# They return memory that they did not touch; the schema does not say so.
_NO_TRAFFIC = {_aten._unsafe_view, _aten.empty, _aten.empty_like, _aten.new_empty, _aten.empty_strided}
# The first argument is written, whatever was in it.
_OVERWRITE = {_aten.copy_, _aten.fill_, _aten.zero_, _aten._foreach_copy_, _aten.normal_, _aten.uniform_}
# In training they need sums over a whole channel before they can write its first value, and so read all inputs twice.
# With given statistics torch's backward kernels still read the gradient twice, for the sums and to rescale it.
_TWO_READS = {
    _aten.native_batch_norm,
    _aten._native_batch_norm_legit,
    _aten.native_batch_norm_backward,
    _aten.cudnn_batch_norm,
    _aten.cudnn_batch_norm_backward,
}


class Traffic(TorchDispatchMode):
    """Counts, while it is active, the bytes that each of torch's operations reads and writes.

    An operation reads each input once and writes each output once; batch norm reads its inputs twice, since the mean
    of a channel comes before its first normalized value. With given statistics it reads only the gradient twice, as
    torch's kernels do. Views are free. This is the traffic of code that runs one operation after the other on tensors
    larger than any cache: a compiler that merges operations moves less.

    Attributes:
        bytes: name of the operation -> bytes.
        calls: name of the operation -> how often it ran.

    Example:
        >>> x = torch.ones(1000)
        >>> with Traffic() as traffic:
        ...     y = x.relu() + 1
        >>> traffic.total, dict(traffic.bytes)
        (16000, {'relu': 8000, 'add': 8000})
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All bytes so far."""
        return self.bytes.total()

    def __enter__(self) -> Traffic:
        """Start to count."""
        super().__enter__()
        return self

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and add what it moved."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func.overloadpacket
        schema = func._schema
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
        if not (is_view or packet in _NO_TRAFFIC):
            values = {a.name: args[i] if i < len(args) else kwargs.get(a.name) for i, a in enumerate(schema.arguments)}
            in_training = values.get("training", values.get("train", True))
            moved = 0
            for position, argument in enumerate(schema.arguments):
                twice = packet in _TWO_READS and (in_training or argument.name == "grad_out")
                size = sum(map(_size, _tensors(values[argument.name])))
                overwritten = (packet in _OVERWRITE and position == 0) or argument.is_out
                # Fused SGD may unscale gradients in place, so its schema says that it writes them; it does not here.
                writes = argument.alias_info is not None and argument.alias_info.is_write and argument.name != "grads"
                moved += (0 if overwritten else (1 + twice) * size) + (size if writes else 0)
            if all(r.alias_info is None for r in schema.returns):
                moved += sum(map(_size, _tensors(out)))
            name = packet.__name__
            self.bytes[name] += moved
            self.calls[name] += 1
        return out


def kept_for_backward(model: nn.Module, call: Callable[[], object]) -> int:
    """Return the bytes of distinct memory, besides the model's own, that a forward pass keeps for the backward one.

    Args:
        model: its parameters and buffers are there anyway and do not count.
        call: runs the forward pass, its result is dropped.

    Example:
        >>> x = torch.ones(10, 4)
        >>> layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU())  # the first keeps its input, the second its output
        >>> kept_for_backward(layers, lambda: layers(x)) == 4 * (10 * 4 + 10 * 3)
        True
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    kept: dict[int, int] = {}
    held: list[object] = []  # as long as it is held, no other tensor can get the same address

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held.append(call())
    return sum(kept.values())


def _tensors(value: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _size(tensor: Tensor) -> int:
    # An expanded axis has stride 0: one value in memory.
    axes = zip(tensor.shape, tensor.stride(), strict=True)
    return math.prod(size for size, stride in axes if stride or size == 0) * tensor.element_size()
