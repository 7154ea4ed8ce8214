"""A folded model leaves PyTorch: torch.export and ONNX give the outputs of the model that was trained."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cwn_lite as cwn


class Block(nn.Module):
    """Residual block as in ResNet-18, with a projection on the shortcut where the width changes."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        plain = stride == 1 and inside == out
        projection = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.shortcut = nn.Identity() if plain else projection

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(h)) + self.shortcut(x)).relu()


def trained_resnet() -> nn.Module:
    """A small ResNet-18-like network after the surgery and some steps, in eval mode."""
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    blocks = [Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1), Block(16, 32, 2)]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    cwn.replace_batchnorm(model, noise_std=0.2, schedule="linear")
    optimizer = torch.optim.SGD(cwn.param_groups(model, 1e-3), lr=0.05, momentum=0.9)
    cwn.constrain(optimizer, model)
    x, y = torch.randn(16, 3, 12, 12), torch.randint(10, (16,))
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return trained_resnet()


@pytest.fixture(scope="module")
def folded(model: nn.Module) -> nn.Module:
    return cwn.fold(model)


def assert_equal_outputs(actual: np.ndarray, model: nn.Module, x: Tensor) -> None:
    expected = model(x).detach().numpy()
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def test_nothing_but_convolutions_is_left(folded: nn.Module) -> None:
    kinds = {type(m) for m in folded.modules()}
    assert cwn.ScaleBias not in kinds and nn.BatchNorm2d not in kinds
    assert len(cwn.report(folded).names("folded")) == 11 and not cwn.report(folded).names("kept")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["folded", "with its scales"])
def test_torch_export(which: str, model: nn.Module, folded: nn.Module, tmp_path: Path) -> None:
    """Saved, loaded and run on another batch size; the unfolded model can be exported as well."""
    batch = torch.export.Dim("batch", min=1, max=64)
    chosen = folded if which == "folded" else model
    program = torch.export.export(chosen, (torch.randn(2, 3, 12, 12),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2")
    x = torch.randn(5, 3, 12, 12)
    assert_equal_outputs(loaded.module()(x).detach().numpy(), model, x)
    scales = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert len(scales) == (0 if which == "folded" else 11)


@pytest.mark.slow
def test_onnx(model: nn.Module, folded: nn.Module, tmp_path: Path) -> None:
    """The file holds convolutions and the classifier, no normalization, and runs in another engine."""
    onnx = pytest.importorskip("onnx", reason="the extra for exporting is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="nothing here runs an exported model")
    pytest.importorskip("onnxscript", reason="torch exports through onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(folded, (torch.randn(2, 3, 12, 12),), dynamo=True, verbose=False)
    path = tmp_path / "model.onnx"
    program.save(path)
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert "Conv" in operators and not operators & {"BatchNormalization", "Mul", "Div", "Sqrt"}
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = torch.randn(2, 3, 12, 12)
    (actual,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_equal_outputs(actual, model, x)
