"""What an operation on a model did to each layer, and why."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerReport:
    """One line: the layer's name and class, what was done, and the reason or detail."""

    name: str
    kind: str
    action: str
    reason: str


@dataclass(frozen=True)
class Report:
    """All lines, in module order; ``str()`` is a table.

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
