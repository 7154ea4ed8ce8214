"""A formula of a page that holds, and holds for no other values: a lost or swapped symbol cannot pass."""

from collections.abc import Callable
from typing import Any

from bookcheck.equations import formula
from bookcheck.latex import holds


def checker(page: str) -> Callable[..., None]:
    """Return ``check(label, known, *wrong, rtol=0.01)`` for the displayed equations of a page.

    It asserts that the page's formula holds with the values in ``known``, and no longer does when any symbol named in
    ``wrong`` has another value.
    """

    def check(label: str, known: dict[str, Any], *wrong: str, rtol: float = 1e-2) -> None:
        tex = formula(f"eq:{page}:{label}")
        assert holds(tex, known, rtol)
        for name in wrong:
            assert not holds(tex, known | {name: 1.1 * known[name]}, rtol), name

    return check
