"""What the operations of this library did to each layer of a model, and why."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from cwn_lite.checks import check_module

# Where a module keeps what was done to it: operation -> the fields of its line. Builtins only, so that a model, once
# folded, loads where this library is not installed.
_RECORDS = "_cwn_records"


@dataclass(frozen=True)
class LayerReport:
    """One line of a report.

    Attributes:
        name: of the layer in the model.
        kind: its class, as it was before.
        action: what was done: ``constrained``, ``free``, ``replaced``, ``started``, ``fused``, ``folded`` or
            ``kept``.
        reason: details, or why not more, in words that may change.
        code: the reason in one word for programs, such as ``classifier``; empty where nothing was refused.
    """

    name: str
    kind: str
    action: str
    reason: str
    code: str = ""


@dataclass(frozen=True)
class Report:
    """All lines, in module order; ``str()`` is a table.

    Attributes:
        layers: the lines.

    Example:
        >>> report = Report((LayerReport("conv1", "Conv2d", "constrained", "n = 27"),))
        >>> print(report)
        conv1  Conv2d  constrained  n = 27
        >>> report.names("constrained")
        ('conv1',)
    """

    layers: tuple[LayerReport, ...]

    def names(self, action: str) -> tuple[str, ...]:
        """Return the names of the layers with that ``action``."""
        return tuple(layer.name for layer in self.layers if layer.action == action)

    def __iter__(self) -> Iterator[LayerReport]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __str__(self) -> str:
        rows = [(line.name, line.kind, line.action, line.reason) for line in self.layers]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
        return "\n".join("  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]).rstrip() for row in rows)


def report(model: nn.Module) -> Report:
    """Return what this library did to each layer of ``model``, and why not more.

    One line for each weight that :func:`cwn_lite.replace_batchnorm` or :func:`cwn_lite.constrain` constrained or left
    free, each batch norm that was replaced or kept, each scale that :func:`cwn_lite.scale_branches` started, and each
    that :func:`cwn_lite.fuse` or :func:`cwn_lite.fold` met. Names are those that the layers have in ``model``.

    Args:
        model: any module; not changed.

    Raises:
        TypeError: ``model`` is not a module.

    Example:
        >>> from cwn_lite import fuse, replace_batchnorm
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))
        >>> print(report(fuse(replace_batchnorm(net, noise_std=0.2))))
        0  Conv2d       constrained  fan-in 27
        1  BatchNorm2d  replaced     ScaleBias, noise_std 0.2
        1  ScaleBias    fused        into 0
        3  Linear       free         taken for the classifier: it feeds the output and no scale follows
    """
    check_module("model", model)
    lines = []
    for name, module in model.named_modules():
        lines += [LayerReport(name, *fields) for fields in _records(module).values()]
    return Report(tuple(lines))


def record(module: nn.Module, operation: str, kind: str, action: str, reason: str, code: str = "") -> None:
    """Note on ``module`` what ``operation`` did to it, in the place of what the same operation noted before."""
    vars(module)[_RECORDS] = _records(module) | {operation: (kind, action, reason, code)}


def recorded(module: nn.Module, operation: str) -> LayerReport | None:
    """Return what ``operation`` noted on ``module``, without a name; ``None`` if it never met it."""
    fields = _records(module).get(operation)
    return LayerReport("", *fields) if fields else None


def move_records(source: nn.Module, target: nn.Module) -> None:
    """Let ``target``, which takes the place of ``source``, keep its notes."""
    if _RECORDS in vars(source):
        vars(target)[_RECORDS] = dict(vars(source)[_RECORDS])


def forget(module: nn.Module, operation: str) -> None:
    """Remove what ``operation`` noted."""
    _records(module).pop(operation, None)


def _records(module: nn.Module) -> dict[str, tuple[str, str, str, str]]:
    records = vars(module).get(_RECORDS)
    return records if isinstance(records, dict) else {}
