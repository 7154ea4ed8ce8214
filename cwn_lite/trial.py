"""Trying a change on copies of a model, on real inputs, before the model itself is changed."""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from cwn_lite.feeds import Source
from cwn_lite.fused import detach
from cwn_lite.layers import ScaleBias
from cwn_lite.stand_in import duplicate, tensors_in

# Applies the change to a pair: the model, the name of the linear map, the name of the scale.
Change = Callable[[nn.Module, str, str], None]

DIFFERENT = Source("", "on the example inputs, the model would compute something else", "differs")


def refuse_different(
    model: nn.Module, sources: Mapping[str, Source], change: Change, inputs: Any, *, modes: Sequence[bool]
) -> dict[str, Source]:
    """Return ``sources`` without the pairs whose change alters what ``model`` computes on ``inputs``.

    Compared are outputs, tensors that the model keeps on itself, and in training mode the gradients of all
    parameters. The copies that are tried have random scales and biases, since at a scale of 1 and a bias of 0 a wrong
    pair would change nothing; and no noise.

    Args:
        model: never changed.
        sources: name of a scale -> its linear map.
        change: what is to be done to a pair, in place.
        inputs: arguments of one forward pass, a tuple or one argument.
        modes: whether to try in training mode, in eval mode, or in both.

    Raises:
        ValueError: the model cannot be copied, does not run on ``inputs``, or gives no finite number on them.
    """
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    with torch.inference_mode(False):
        return _refuse(model, sources, change, arguments, modes)


def _refuse(
    model: nn.Module, sources: Mapping[str, Source], change: Change, arguments: tuple[Any, ...], modes: Sequence[bool]
) -> dict[str, Source]:
    pairs = [(source.name, scale) for scale, source in sources.items() if source.name]
    wrong = {scale for training in modes for _, scale in _Trial(model, change, arguments, training).culprits(pairs)}
    return {scale: DIFFERENT if scale in wrong else source for scale, source in sources.items()}


class _Trial:
    """One mode, with the outputs of the unchanged model."""

    def __init__(self, model: nn.Module, change: Change, arguments: tuple[Any, ...], training: bool) -> None:
        self.change, self.training = change, training
        try:
            self.model = _vivid(duplicate(model))
            for module in self.model.modules():
                detach(module)
        except Exception as error:  # whatever a user's object may raise
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"model cannot be copied, so example_inputs cannot be tried: {why}") from error
        self.arguments, self.tolerance = arguments, 1e-3
        try:
            exact = duplicate(self.model).double()
            doubled = _map_tensors(arguments, lambda t: t.double() if t.is_floating_point() else t)
            self.expected = self._run(exact, doubled)
            self.model, self.arguments, self.tolerance = self.model.double(), doubled, 1e-7
        except Exception:  # a forward that asks for its own dtype: then it is tried in that one
            try:
                self.expected = self._run(duplicate(self.model), arguments)
            except Exception as error:
                mode = "training" if training else "eval"
                raise ValueError(
                    f"model does not run on example_inputs in {mode} mode: {type(error).__name__}: {error}"
                ) from error
        if not any(bool(t.isfinite().any()) for t in self.expected[: self.outputs]):
            raise ValueError("the model gives no finite number on example_inputs, so they prove nothing; give others")

    def culprits(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the pairs that change the result, found by halving."""
        if not pairs or self._agrees(pairs):
            return []
        if len(pairs) == 1:
            return pairs
        middle = len(pairs) // 2
        return self.culprits(pairs[:middle]) + self.culprits(pairs[middle:]) or pairs

    def _agrees(self, pairs: list[tuple[str, str]]) -> bool:
        changed = duplicate(self.model)
        for layer, scale in pairs:
            self.change(changed, layer, scale)
        try:
            got = self._run(changed, self.arguments)
        except Exception:  # a change that makes the forward fail is a wrong one
            return False
        return len(got) == len(self.expected) and all(
            _close(a, b, self.tolerance) for a, b in zip(got, self.expected, strict=True)
        )

    def _run(self, model: nn.Module, arguments: tuple[Any, ...]) -> list[Tensor]:
        model.train(self.training)
        numpy = sys.modules.get("numpy")
        states = random.getstate(), numpy.random.get_state() if numpy else None
        devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=devices))
            stack.enter_context(torch.set_grad_enabled(self.training))
            torch.default_generator.manual_seed(0)
            for device in devices:
                torch.cuda.default_generators[device].manual_seed(0)
            random.seed(0)
            if numpy:
                numpy.random.seed(0)
            try:
                out = model(*_map_tensors(arguments, lambda t: t.detach().clone()))
            finally:
                random.setstate(states[0])
                if numpy:
                    numpy.random.set_state(states[1])
            results = list(tensors_in(out))
            self.outputs = len(results)
            own = [value for module in model.modules() for name, value in vars(module).items() if name != "_parameters"]
            results += tensors_in(own)
            return results + _gradients(model, results[: self.outputs])


def _gradients(model: nn.Module, outputs: list[Tensor]) -> list[Tensor]:
    """The gradients of a sum of outputs, each weighted by numbers that are no constants, and which there are."""
    parts = [out for out in outputs if out.requires_grad]
    wanted = [p for p in model.parameters() if p.requires_grad]
    if not parts or not wanted:
        return []
    weights = [torch.linspace(0.5, 1.5, part.numel(), device=part.device).reshape(part.shape) for part in parts]
    total = sum((part * weight.to(part.dtype)).sum().real for part, weight in zip(parts, weights, strict=True))
    found = torch.autograd.grad(total, wanted, allow_unused=True)  # type: ignore[arg-type]  # a sum of tensors
    # In one tensor, whose largest entry is the measure: the gradient of a bias before a batch norm is rounding alone.
    filled = [torch.zeros_like(p) if g is None else g for g, p in zip(found, wanted, strict=True)]
    return [torch.cat([g.flatten() for g in filled]), torch.tensor([g is not None for g in found], device="cpu")]


def _vivid(model: nn.Module) -> nn.Module:
    generator = torch.Generator("cpu").manual_seed(0)
    for module in model.modules():
        if isinstance(module, ScaleBias):
            module.noise_std = 0.0
            for parameter, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5)):
                drawn = torch.empty(parameter.shape, device="cpu").uniform_(low, high, generator=generator)
                parameter.data = drawn.to(parameter)
    return model


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    a, b = a.detach(), b.detach()
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not (a.is_floating_point() or a.is_complex()):
        return torch.equal(a, b)
    finite = b.abs().nan_to_num(0, 0, 0)
    scale = float(finite.max()) if b.numel() else 0.0
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_map_tensors(item, function) for item in value)
    if isinstance(value, dict):
        return {key: _map_tensors(item, function) for key, item in value.items()}
    return value
