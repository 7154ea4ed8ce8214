"""What holds on a CPU holds on a GPU, and the host does not wait for it."""

import copy
import gc
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cwn_lite as cwn
from benchmarks import timing
from cwn_lite import fast

plan = pytest.importorskip("cwn_lite.kernel", reason="Triton is made for Linux alone").plan
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def network() -> nn.Module:
    """A small convolutional network whose batch norms were replaced, two weights of it of one shape."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return cwn.replace_batchnorm(model, c=cwn.C_CENTERED)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)


def angular(model: nn.Module) -> torch.optim.Optimizer:
    return cwn.AngularMuon(cwn.angular_groups(model, lr=0.02))


def held(model: nn.Module) -> torch.optim.Optimizer:
    groups = cwn.angular_groups(model, lr=0.02)
    return cwn.AngularMuon(groups, orthogonalize_every=2, coherence_decay_every=3)


OPTIMIZERS: list[Callable[[nn.Module], torch.optim.Optimizer]] = [sgd, angular]
both = pytest.mark.parametrize("make", OPTIMIZERS)
all_three = pytest.mark.parametrize("make", [*OPTIMIZERS, held])


def batch(device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 3, 16, 16, generator=generator), torch.randint(10, (32,), generator=generator)
    return x.to(device), y.to(device)


@pytest.fixture
def exact() -> Iterator[None]:
    """Float32 as a CPU has it, without the GPU's shorter products."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.usefixtures("exact")
def test_a_projection_is_that_of_a_cpu() -> None:
    weight = torch.randn(64, 288)
    on_gpu = weight.clone().to(GPU)
    cwn.project_(weight), cwn.project_(on_gpu)
    torch.testing.assert_close(on_gpu.cpu(), weight, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("exact")
def test_sgd_goes_where_it_goes_on_a_cpu() -> None:
    ends = []
    for device in (torch.device("cpu"), GPU):
        model = network().to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        cwn.constrain(optimizer, model)
        x, y = batch(device)
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        ends.append([p.detach().cpu() for p in model.parameters()])
    for ours, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_orthogonalized_in_bfloat16() -> None:
    matrices = torch.randn(4, 64, 288, device=GPU)
    values = torch.linalg.svdvals(cwn.orthogonalize(matrices, dtype=torch.bfloat16))
    assert values.min() > 0.9 and values.max() < 1.1


@all_three
def test_training_in_bfloat16_stays_on_the_set_and_learns(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    model = network().to(GPU, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch's stubs say
    optimizer = make(model)
    constraint = cwn.constrain(optimizer, model)
    x, y = batch(GPU)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert constraint.violation() < 1e-5


# What torch says of its own mode, which is what finds out whether the host waits.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@all_three
def test_the_host_does_not_wait(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    model = network().to(GPU)
    optimizer = make(model)
    cwn.constrain(optimizer, model)
    x, y = batch(GPU)
    for waits in (True, False, False):  # the first step makes the state
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        torch.cuda.set_sync_debug_mode("default" if waits else "error")
        try:
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@all_three
def test_a_scaler_skips_a_step_with_infinite_gradients(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    model = network().to(GPU)
    optimizer, scaler = make(model), torch.amp.GradScaler("cuda", init_scale=2.0**40)
    if make is sgd:  # whose fused step, if its first is skipped, leaves momentum as memory happened to be (torch 2.11)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    cwn.constrain(optimizer, model)
    x, y = batch(GPU)
    before = copy.deepcopy(model.state_dict())
    for step in range(60):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if step == 0:  # 2^40 overflows float16, and a projection may round
            for name, value in model.state_dict().items():
                torch.testing.assert_close(value, before[name], rtol=0, atol=1e-6)
    assert scaler.get_scale() < 2.0**40
    assert any(not torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(v.isfinite().all() for v in model.state_dict().values())


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty:UserWarning")  # torch's own, of graphs of one warm-up
@both
def test_a_compiled_network_as_a_cuda_graph(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    model = network().to(GPU)
    optimizer = make(model)
    constraint = cwn.constrain(optimizer, model)
    constraint.compile()
    compiled = torch.compile(model, mode="reduce-overhead", dynamic=False)
    x, y = batch(GPU)
    losses = []
    for _ in range(20):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(compiled(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    assert constraint.violation() < 1e-5


@all_three
def test_a_state_goes_from_one_device_to_the_other(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    model = network()
    optimizer = make(model)
    x, y = batch(torch.device("cpu"))
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    other = network().to(GPU)
    taken = make(other)
    taken.load_state_dict(optimizer.state_dict())
    other.load_state_dict(model.state_dict())
    cwn.constrain(taken, other)
    x, y = batch(GPU)
    F.cross_entropy(other(x), y).backward()
    taken.step()
    assert all(p.isfinite().all() for p in other.parameters())


@pytest.mark.usefixtures("exact")
@both
def test_a_whole_step_as_a_cuda_graph(make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
    ends = []
    for captured in (False, True):
        model = network().to(GPU)
        optimizer = make(model) if make is sgd else cwn.AngularMuon(cwn.angular_groups(model), capturable=True)
        constraint = cwn.constrain(optimizer, model)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 1.0 if make is sgd else 0.8)
        step = one_step(model, optimizer)
        take = as_a_graph(step) if captured else [step() for _ in range(3)] and step
        losses = []
        for _ in range(20):
            losses.append(take().item())
            schedule.step()
        assert losses[-1] < 0.95 * losses[0]
        assert constraint.violation() < 1e-5
        ends.append([p.detach() for p in model.parameters()])
    for replayed, called in zip(*ends, strict=True):
        torch.testing.assert_close(replayed, called, rtol=0, atol=1e-2)  # sums on a GPU vary from run to run


def test_a_captured_benchmark_keeps_what_its_graph_reads() -> None:
    def made() -> Callable[[], object]:
        x, total = torch.ones(1 << 20, device=GPU), torch.zeros((), device=GPU)
        totals.append(total)
        return timing.captured(lambda: total.add_(x.sum()), GPU)

    totals: list[Tensor] = []
    replay = made()
    gc.collect()
    taken = [torch.full((1 << 20,), torch.nan, device=GPU) for _ in range(8)]
    before = totals[0].item()
    replay()
    assert totals[0].item() == before + (1 << 20)
    assert len(taken) == 8


def test_a_step_that_a_graph_would_freeze_is_not_captured() -> None:
    model = network().to(GPU)
    optimizer = angular(model)
    cwn.constrain(optimizer, model)
    with pytest.raises(RuntimeError, match="capturable=True"):
        as_a_graph(one_step(model, optimizer))


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[], Tensor]:
    """A training step on one batch."""
    x, y = batch(GPU)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()  # else who keeps it keeps its graph, with nodes of a stream that a capture is not on

    return step


def as_a_graph(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Take three steps, and return the replay of the next."""
    losses: list[Tensor] = []
    replay = timing.captured(lambda: losses.append(step()), GPU)

    def again() -> Tensor:
        replay()
        return losses[-1]  # of the capture, where each replay writes

    return again


def test_the_kernel_is_what_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a weight was left by the kernel")

    model = network().to(GPU)  # projected on the host, before it moves
    for other in ("project_", "project_dense_", "project_together_"):
        monkeypatch.setattr(fast, other, refused)
    optimizer = sgd(model)
    constraint = cwn.constrain(optimizer, model)
    one_step(model, optimizer)()
    assert constraint.violation() < 1e-5


def test_a_graph_keeps_the_tables_that_it_reads() -> None:
    model = network().to(GPU)
    optimizer = sgd(model)
    constraint = cwn.constrain(optimizer, model)
    replay = as_a_graph(one_step(model, optimizer))
    plan.cache_clear()
    gc.collect()
    taken = [torch.full((1 << 10,), -1, dtype=torch.int64, device=GPU) for _ in range(64)]
    for _ in range(3):
        replay()
    assert constraint.violation() < 1e-5
    assert len(taken) == 64


def test_a_state_of_called_steps_can_be_captured() -> None:
    model = network().to(GPU)
    called = angular(model)
    one_step(model, called)()
    optimizer = cwn.AngularMuon(cwn.angular_groups(model), capturable=True)
    optimizer.load_state_dict(called.state_dict())
    replay = as_a_graph(one_step(model, optimizer))
    assert replay().item() < 10
    back = angular(model)
    back.load_state_dict(optimizer.state_dict())
    one_step(model, back)()
    assert all(p.isfinite().all() for p in model.parameters())
