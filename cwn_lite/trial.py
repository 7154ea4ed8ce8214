"""Trying a change on copies of a model, on real inputs, before the model itself is changed."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cwn_lite.feeds import Source
from cwn_lite.layers import ScaleBias

# Applies the change to a pair: the model, the name of the linear map, the name of the scale.
Change = Callable[[nn.Module, str, str], None]

DIFFERENT = Source("", "on the example inputs, the model would compute something else", "differs")


def refuse_different(
    model: nn.Module, sources: Mapping[str, Source], change: Change, inputs: Any, *, modes: Sequence[bool]
) -> dict[str, Source]:
    """Return ``sources`` without the pairs whose change alters what ``model`` computes on ``inputs``.

    Compared are outputs, and tensors that the model keeps on itself. The copies that are tried have random scales and
    biases, since at a scale of 1 and a bias of 0 a wrong pair would change nothing; and no noise.

    Args:
        model: never changed.
        sources: name of a scale -> its linear map.
        change: what is to be done to a pair, in place.
        inputs: arguments of one forward pass, a tuple or one argument.
        modes: whether to try in training mode, in eval mode, or in both.

    Raises:
        ValueError: the model does not run on ``inputs``.
    """
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    trials = [_Trial(model, change, arguments, training) for training in modes]
    pairs = [(source.name, scale) for scale, source in sources.items() if source.name]
    wrong = {scale for trial in trials for _, scale in trial.culprits(pairs)}
    return {scale: DIFFERENT if scale in wrong else source for scale, source in sources.items()}


class _Trial:
    """One mode, with the outputs of the unchanged model."""

    def __init__(self, model: nn.Module, change: Change, arguments: tuple[Any, ...], training: bool) -> None:
        self.change, self.training = change, training
        self.model = _vivid(copy.deepcopy(model))
        self.arguments, self.tolerance = arguments, 1e-3
        try:
            exact = copy.deepcopy(self.model).double()
            doubled = tuple(_map_tensors(a, lambda t: t.double() if t.is_floating_point() else t) for a in arguments)
            self.expected = self._run(exact, doubled)
            self.model, self.arguments, self.tolerance = self.model.double(), doubled, 1e-7
        except Exception:  # a forward that asks for its own dtype: then it is tried in that one
            try:
                self.expected = self._run(copy.deepcopy(self.model), arguments)
            except Exception as error:
                mode = "training" if training else "eval"
                raise ValueError(
                    f"model does not run on example_inputs in {mode} mode: {type(error).__name__}: {error}"
                ) from error

    def culprits(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the pairs that change the result, found by halving."""
        if not pairs or self._agrees(pairs):
            return []
        if len(pairs) == 1:
            return pairs
        middle = len(pairs) // 2
        return self.culprits(pairs[:middle]) + self.culprits(pairs[middle:]) or pairs

    def _agrees(self, pairs: list[tuple[str, str]]) -> bool:
        changed = copy.deepcopy(self.model)
        for layer, scale in pairs:
            self.change(changed, layer, scale)
        try:
            got = self._run(changed, self.arguments)
        except Exception:  # a change that makes the forward fail is a wrong one
            return False
        return len(got) == len(self.expected) and all(
            a.shape == b.shape and _close(a, b, self.tolerance) for a, b in zip(got, self.expected, strict=True)
        )

    @torch.no_grad()
    def _run(self, model: nn.Module, arguments: tuple[Any, ...]) -> list[Tensor]:
        model.train(self.training)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            out = model(*_map_tensors(arguments, torch.clone))
        kept = [value for module in model.modules() for name, value in vars(module).items() if name != "_parameters"]
        return list(_tensors([out, *kept], set()))


def _vivid(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, ScaleBias):
            module.noise_std = 0.0
            for parameter, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5)):
                drawn = torch.empty(parameter.shape).uniform_(low, high, generator=generator)
                parameter.data = drawn.to(parameter)
    return model


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    if not a.is_floating_point():
        return torch.equal(a, b)
    scale = float(b.abs().nan_to_num(0, 0, 0).max()) if b.numel() else 0.0
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_map_tensors(item, function) for item in value)
    if isinstance(value, dict):
        return {key: _map_tensors(item, function) for key, item in value.items()}
    return value


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """All tensors in ``value``, in containers and attributes, in order."""
    if isinstance(value, Tensor):
        yield value
    elif id(value) not in seen and not isinstance(value, nn.Module | type | str | bytes):
        seen.add(id(value))
        inside = value.values() if isinstance(value, dict) else value
        if not isinstance(value, dict | list | tuple | set):
            inside = vars(value).values() if hasattr(value, "__dict__") and not callable(value) else ()
        for item in list(inside):
            yield from _tensors(item, seen)
