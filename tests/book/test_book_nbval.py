"""What `make test` relies on: nbval runs each notebook, compares its text, and leaves drawings alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bookcheck.pages import ROOT
from bookcheck.planting import code, notebook

DRAW = (
    "from IPython.display import display\ndisplay({'image/svg+xml': '<svg>new</svg>', 'text/plain': 'alt'}, raw=True)"
)
INTERACT = DRAW.replace("image/svg+xml", "text/html")


def drawing(kind: str, alt: str = "alt") -> list[dict[str, Any]]:
    data = {kind: "<svg>old</svg>", "text/plain": alt}
    return [{"output_type": "display_data", "data": data, "metadata": {}}]


def printed(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}]


GOOD = notebook(
    code("print(1 + 1)", outputs=printed("2\n")),
    code(DRAW, outputs=drawing("image/svg+xml")),
    code(INTERACT, outputs=drawing("text/html")),
    code(INTERACT, outputs=drawing("text/plain")),  # as stored: the drawing taken out
)
GOOD["cells"][3]["outputs"][0]["data"]["text/plain"] = "alt"
BAD = notebook(
    code("print(1 + 1)", outputs=printed("3\n")),
    code(DRAW, outputs=drawing("image/svg+xml", alt="another alt")),
    code("raise ValueError", outputs=[]),
)


@pytest.mark.slow
def test_nbval_compares_text_and_not_drawings(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "good.ipynb").write_text(json.dumps(GOOD))
    (tmp_path / "bad.ipynb").write_text(json.dumps(BAD))
    command = [sys.executable, "-m", "pytest", "-q", "-rfp", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "good.ipynb", "bad.ipynb"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    verdicts = sorted(line.split("::")[0] for line in run.stdout.splitlines() if line.startswith(("PASSED", "FAILED")))
    assert verdicts == 3 * ["FAILED bad.ipynb"] + 4 * ["PASSED good.ipynb"], run.stdout + run.stderr
