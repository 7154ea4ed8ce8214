"""The one displayed formula of the first page, against the library's projection."""

import numpy as np
import pytest
import torch
from bookcheck.equations import formula
from bookcheck.latex import holds

import cwn_lite as cwn


@pytest.mark.equation("eq:index:constraints")
def test_constraints() -> None:
    torch.manual_seed(0)
    before = torch.randn(9, dtype=torch.float64)
    known = {"w": cwn.project_rows(before[None])[0].numpy(), "c": cwn.C_HE, r"\mathbf 1": np.ones(9)}
    assert holds(formula("eq:index:constraints"), known)
    assert not holds(formula("eq:index:constraints"), known | {"w": before.numpy()})
