"""The compiled projection: one kernel for all shapes, with the results of plain PyTorch."""

import copy
import os

import pytest
import torch
from torch import nn

import cwn_lite as cwn
from cwn_lite import fast
from cwn_lite.fast import dense_rows
from cwn_lite.projection import nearest


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 16, 3),
        nn.Conv2d(16, 16, 3).to(memory_format=torch.channels_last),
        nn.Conv2d(16, 96, 3).to(memory_format=torch.channels_last),  # too large for a bucket on a CPU
        nn.Conv2d(96, 128, 3, groups=2),
        nn.ConvTranspose2d(128, 8, 3),
        nn.Conv2d(8, 1, 1),
        nn.Flatten(),
        nn.Linear(1, 2),
    )


def constrained(model: nn.Module) -> tuple[torch.optim.Optimizer, cwn.Constraint]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return optimizer, cwn.constrain(optimizer, model)


@pytest.fixture
def also_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "can_compile", lambda rows: True)


@pytest.mark.usefixtures("also_on_a_cpu")
def test_steps_are_those_of_plain_pytorch() -> None:
    model = network()
    twin = copy.deepcopy(model)
    (plain, reference), (optimizer, constraint) = constrained(twin), constrained(model)
    torch.compiler.reset()
    # Traced and run without a code generator: the one for CPUs fails on rows written in place.
    constraint.compile(backend="aot_eager", fullgraph=True)
    for step in range(3):
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        if step == 1:  # rows without a direction, and rows at the ends of the range
            for net in (model, twin):
                with torch.no_grad():
                    net[1].weight[0], net[3].weight[1] = 0.0, 2.5
                    net[1].weight[2] *= 1e30
                    net[3].weight[3] *= 1e-30
        optimizer.step()
        plain.step()
        for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")
        assert constraint.violation() < 1e-5 and reference.violation() < 1e-5


@pytest.mark.skipif(
    "ATEN_CPU_CAPABILITY" in os.environ,
    reason="torch generates code for the processor and not for the kernels asked for",
)
def test_generated_code_gives_the_results_of_plain_pytorch() -> None:
    torch.compiler.reset()
    compiled = torch.compile(lambda rows, c: nearest(rows, (1,), c, True, True), dynamic=True, fullgraph=True)
    torch.manual_seed(0)
    for shape in ((64, 576), (32, 27), (9, 2), (1, 8)):
        rows = torch.randn(shape)
        rows[0, 0] = 1e30
        rows[-1] *= 1e-30
        for row in (rows, torch.zeros(shape), torch.full(shape, -3.0)):
            expected = nearest(row, (1,), 2.9, True, True)
            torch.testing.assert_close(compiled(row, 2.9), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("also_on_a_cpu")
def test_it_compiles_one_more_time_for_another_dtype_only() -> None:
    torch.compiler.reset()
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    for dtype in (torch.float32, torch.float64):
        for width in (4, 8, 12, 16, 20, 24, 28, 32, 36, 40):
            model = nn.Sequential(nn.Conv2d(width, width, 3), nn.Flatten(), nn.Linear(2, 2)).to(dtype)
            _, constraint = constrained(model)
            constraint.compile(backend=backend)
            constraint.project()
            assert constraint.violation() < 1e-5
    assert len(graphs) == 2


def test_weights_on_a_cpu_are_projected_as_before() -> None:
    def fails(*_: object) -> None:
        raise AssertionError("compiled")

    model = network()
    _, constraint = constrained(model)
    constraint._compiled = fails
    constraint.project()
    with pytest.raises(AssertionError, match="compiled"):
        elsewhere = torch.ones(4, 9, device="meta")
        fast.project_together_([elsewhere], 2.0, centralize=True, spherize=True, compiled=fails)


def test_dense_rows_are_found_on_any_device() -> None:
    rows = dense_rows(nn.Conv2d(8, 4, 3, device="meta").weight)
    assert rows is not None and rows.shape == (4, 72)
