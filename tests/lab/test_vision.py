"""torchvision can be imported, and its networks run, whatever build it is."""

import subprocess
import sys

import torch

from cwn_lite.lab.results import provenance
from cwn_lite.lab.vision import import_torchvision


def test_networks_of_torchvision_run() -> None:
    torchvision = import_torchvision()
    assert import_torchvision() is torchvision
    model = torchvision.models.resnet18(num_classes=10)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_the_lab_itself_imports_nothing_that_takes_long() -> None:
    """The compiler alone takes as long as torch without it."""
    late = {"torchvision", "sklearn", "torch._dynamo", "sympy"}
    code = f"import sys, cwn_lite.lab.__main__; sys.exit(', '.join({late} & sys.modules.keys()) or 0)"
    subprocess.run([sys.executable, "-c", code], cwd=provenance.PACKAGE.parent, check=True)
