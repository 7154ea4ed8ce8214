"""The library's own source on the page, and sentences with computed numbers."""

import ast
import json

import pytest
from IPython.display import Markdown

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.source import source_of


def test_it_is_the_code_itself_without_its_docstring() -> None:
    code = source_of(cwn.projected_step)
    assert code.startswith("# cwn_lite/projection.py\ndef projected_step(")
    assert '"""' not in code and "Ikami" not in code
    scope = {"Tensor": object, "C_HE": cwn.C_HE}
    exec(code, scope)  # it still is Python
    assert scope["projected_step"].__code__.co_names == cwn.projected_step.__code__.co_names


def test_the_docstring_can_be_kept() -> None:
    assert "Ikami" in source_of(cwn.projected_step, docstring=True)


@pytest.mark.parametrize("obj", [cwn.ScaleBias, cwn.project_, cwn.Constraint, figures.Choice])
def test_classes_and_decorated_functions_stay_valid_python(obj: object) -> None:
    tree = ast.parse(source_of(obj))
    assert all(ast.get_docstring(n) is None for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef))


def test_only_the_library_s_code_is_shown() -> None:
    with pytest.raises(ValueError, match=r"obj must be defined in cwn_lite, got .* from json"):
        figures.source(json.dumps)


def test_source_displays_markdown_and_plain_text(shown: list[dict[str, str]]) -> None:
    figures.source(cwn.projected_step)
    code = source_of(cwn.projected_step)
    assert shown == [{"text/markdown": f"```python\n{code}\n```", "text/plain": code}]


def test_markdown_displays_a_sentence(shown: list[Markdown]) -> None:
    figures.markdown("""
        The loss fell to 0.5.
    """)
    assert shown[0].data == "The loss fell to 0.5."
