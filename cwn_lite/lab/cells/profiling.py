"""Where the time of a training step goes."""

from __future__ import annotations

from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from ..data import Clouds, Dataset, Photographs
from ..errors import LabError
from ..recipes import Recipe
from ..training import Trainer
from .cell import Options

PARTS = ("data", "forward", "backward", "optimizer and projection", "metrics")
WARM_UP, STEPS = 3, 20
TOP = 10


def profile(recipe: Recipe, data: Dataset | Photographs | Clouds, options: Options) -> str:
    """Train a few steps and return a table of the parts of a step, then of its most expensive operations.

    Nothing is written. On a GPU the time of a part is that of the device, except where it waits for the processor;
    then the sum of the parts is less than the step.

    Args:
        recipe: what to train.
        data: the data set that the recipe names.
        options: device, and whether to compile.

    Raises:
        LabError: an epoch is a single step, and the evaluation behind it would be measured, too.
    """
    trainer = Trainer(recipe, 0, data, options.device, policies=options.policies, workers=options.workers)
    if trainer.steps_per_epoch < 2:
        raise LabError(f"{recipe.name}: an epoch of {data.name} is one step, too short to profile; take more images")
    if options.compile:
        trainer.compile()
    for _ in range(min(WARM_UP, trainer.steps_per_epoch - 2)):
        trainer.step()
    cuda = options.device.type == "cuda"
    steps = min(STEPS, trainer.steps_per_epoch - trainer.batch - 1)  # before the evaluation at the epoch's end
    with torch_profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiler:
        for _ in range(steps):
            trainer.step()
    events = {event.key: event for event in profiler.key_averages()}
    span = max(e.time_range.end for e in profiler.events()) - min(e.time_range.start for e in profiler.events())
    lines = [
        f"{recipe.name}: {1e-3 * span / steps:.2f} ms per step of {recipe.training.batch} samples, {steps} steps",
        f"{'part':28} {'ms':>9} {'share':>7}",
    ]
    for part in PARTS:
        event = events[part]
        busy = event.device_time_total if cuda else event.cpu_time_total
        lines.append(f"{part:28} {1e-3 * busy / steps:9.3f} {100 * busy / span:6.1f} %")
    own = {k: e.self_device_time_total if cuda else e.self_cpu_time_total for k, e in events.items() if k not in PARTS}
    lines.append(f"{'operation':28} {'ms':>9} {'share':>7} {'calls':>7}")
    for key in sorted(own, key=lambda key: -own[key])[:TOP]:
        calls = events[key].count / steps
        lines.append(f"{key[:28]:28} {1e-3 * own[key] / steps:9.3f} {100 * own[key] / span:6.1f} % {calls:6.0f}")
    return "\n".join(lines)
