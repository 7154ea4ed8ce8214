"""Is the installed wheel whole? Run by itself, with PyTorch and nothing else: `python -I .ci/wheel.py`.

The examples in the docstrings of the core run, and the recommended recipe trains a small network and folds it.
"""

import doctest
import importlib
import pkgutil
from pathlib import Path

import torch
from torch import nn

import cwn_lite as cwn


def examples() -> int:
    """Run the examples of the core's modules; the lab and the figures need more than PyTorch."""
    tried = 0
    for found in pkgutil.iter_modules(cwn.__path__, "cwn_lite."):
        if not found.ispkg:
            module = importlib.import_module(found.name)
            result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            assert result.failed == 0, found.name
            tried += result.attempted
    return tried


def recipe() -> None:
    """Train a small network by the recommended recipe, and fold it."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 36, 4),
    )
    model = cwn.replace_batchnorm(model, c=cwn.C_CENTERED, centralize="mixing")
    optimizer = cwn.AngularMuon(cwn.angular_groups(model, lr=0.015))
    constraint = cwn.constrain(optimizer, model)
    x, y = torch.randn(32, 3, 8, 8), torch.arange(32) % 4
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2, losses
    assert constraint.violation() < 1e-4
    expected = model.eval()(x)
    assert torch.allclose(cwn.fold(model)(x), expected, rtol=1e-4, atol=1e-5)


def main() -> None:
    """Say what was found."""
    tried = examples()
    assert tried > 50, f"only {tried} examples"
    recipe()
    place = Path(cwn.__file__).parent
    print(f"cwn_lite {cwn.__version__} in {place}, PyTorch {torch.__version__}: {tried} examples and the recipe work")


if __name__ == "__main__":
    main()
