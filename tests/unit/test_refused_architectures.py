"""Well-known networks that the library does not take as they come: what it says, and what its user then does."""

from __future__ import annotations

import pytest
import torch
from architectures import CLASSES, import_library
from torch import nn

import cwn_lite as cwn

# Networks without a batch norm -> what they have instead.
WITHOUT = {
    "squeezenet1_0": "SqueezeNet",
    "convnext_tiny": "ConvNeXt; it has 5 LayerNorm2d, 18 LayerNorm",
}
ZERO = "stages.0.0.attn.mlp_add.fc2.weight has 64 rows of equal numbers (zero, for example), whose nearest feasible "


@pytest.mark.parametrize("name", WITHOUT)
def test_a_network_without_batch_norm_is_refused(name: str) -> None:
    with torch.device("meta"):
        model = import_library().models.get_model(name, weights=None)
    with pytest.raises(ValueError) as caught:
        cwn.replace_batchnorm(model)
    assert str(caught.value) == f"model has no batch norm to replace: {WITHOUT[name]}"


def timm_model(name: str) -> nn.Module:
    import_library()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    return timm.create_model(name, num_classes=CLASSES)


def test_layers_that_start_at_zero_are_to_be_excluded() -> None:
    """Global context adds a branch that starts at zero, and a row of zeros has no nearest feasible point."""
    model = timm_model("gcresnext26ts")
    with pytest.raises(ValueError) as caught:
        cwn.replace_batchnorm(model)
    way_out = "point is not unique; initialize them, or exclude 'stages.0.0.attn.mlp_add.fc2'"
    assert str(caught.value) == ZERO + way_out
    cwn.replace_batchnorm(model, exclude=("*.mlp_add.fc2",))
    assert [line.name for line in cwn.report(model) if line.code == "classifier"] == ["head.fc"]
    assert sum(line.code == "excluded" for line in cwn.report(model)) == 8


def test_a_layer_with_two_inputs_cannot_learn_and_that_is_said() -> None:
    """A squeeze of 16 channels by 8, the narrowest of MobileNets, leaves a row of two numbers."""
    model = timm_model("tinynet_e")
    with pytest.warns(UserWarning, match=r"blocks\.1\.0\.se\.conv_expand\.weight has fan-in 2: only two points"):
        cwn.replace_batchnorm(model)


def test_where_the_forward_cannot_be_traced_the_last_linear_is_the_classifier() -> None:
    """MobileViT asks for the size of its input; its blocks are read one by one, and its classifier is a guess."""
    with pytest.warns(UserWarning, match=r"the forward of ByobNet could not be traced.*so head\.fc, the last Linear"):
        model = cwn.replace_batchnorm(timm_model("mobilevit_xxs"))
    (line,) = [line for line in cwn.report(model) if line.code == "classifier"]
    assert line.name == "head.fc"
    assert line.reason == (
        "the last Linear, taken for the classifier, since the forward could not be traced; classifier= names another"
    )


@pytest.mark.filterwarnings("ignore:without normalization")  # its backbone is residual
def test_the_classifiers_of_a_detector_are_to_be_named() -> None:
    """Faster R-CNN has two on one level, and its forward cannot be traced, so the last one alone would be taken."""
    models = import_library().models
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES)
    both = ["roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"]
    with pytest.warns(UserWarning, match=r"box_predictor\.bbox_pred, the last Linear, .*; say classifier="):
        cwn.replace_batchnorm(model)
    lines = {line.name: line for line in cwn.report(model) if line.code == "classifier"}
    assert list(lines) == both[1:] and "classifier= names another" in lines[both[1]].reason
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    constraint = cwn.constrain(optimizer, model, classifier=both)
    assert [name for name, code in constraint.codes.items() if code == "classifier"] == [f"{n}.weight" for n in both]


def test_a_synchronized_batch_norm_with_an_activation_is_to_be_replaced_before_it_is_made() -> None:
    """timm's has a forward of its own, which cannot be tried without several processes."""
    model = timm_model("test_byobnet")
    timm = pytest.importorskip("timm", reason="timm is not installed")
    with pytest.raises(ValueError) as caught:
        cwn.replace_batchnorm(timm.layers.convert_sync_batchnorm(model))
    reason = "a subclass with a forward of its own; replace it by hand"
    assert str(caught.value).startswith("model has 14 batch norms (14 SyncBatchNormAct; ")
    assert str(caught.value).endswith(f"and none can be replaced: {reason}")
