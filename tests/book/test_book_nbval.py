"""What `make arithmetic` relies on: nbval runs each notebook, compares its text, and leaves drawings alone."""

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
KERNELS = "import torch\nprint(torch.backends.cpu.get_cpu_capability())"


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
    code(KERNELS, outputs=printed("DEFAULT\n")),
)
GOOD["cells"][3]["outputs"][0]["data"]["text/plain"] = "alt"
BAD = notebook(
    code("print(1 + 1)", outputs=printed("3\n")),
    code(DRAW, outputs=drawing("image/svg+xml", alt="another alt")),
    code("raise ValueError", outputs=[]),
    code(KERNELS, outputs=printed("AVX9000\n")),
)


def nbval(folder: Path, arithmetic: str, *notebooks: str) -> tuple[list[str], str]:
    """Run notebooks; return the verdict of each cell, and all that was said."""
    shutil.copy(ROOT / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "--arithmetic", arithmetic, *notebooks], cwd=folder, capture_output=True, text=True, timeout=120
    )
    said = [line.split("::")[0] for line in run.stdout.splitlines() if line.startswith(("PASSED", "FAILED", "SKIPPED"))]
    return sorted(said), run.stdout + run.stderr


@pytest.mark.slow
def test_nbval_compares_text_and_not_drawings_on_the_kernels_asked_for(tmp_path: Path) -> None:
    (tmp_path / "good.ipynb").write_text(json.dumps(GOOD))
    (tmp_path / "bad.ipynb").write_text(json.dumps(BAD))
    verdicts, said = nbval(tmp_path, "plain", "good.ipynb", "bad.ipynb")
    assert verdicts == 4 * ["FAILED bad.ipynb"] + 5 * ["PASSED good.ipynb"], said


@pytest.mark.slow
def test_kernels_that_the_processor_lacks_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")  # as if it had no others
    (tmp_path / "good.ipynb").write_text(json.dumps(GOOD))
    verdicts, said = nbval(tmp_path, "avx2", "good.ipynb")
    assert len(verdicts) == 1 and verdicts[0].startswith("SKIPPED [5]") and "has no AVX2" in verdicts[0], said
