"""Training as a sequence of steps that can stop after any one and go on later, bit for bit."""

from __future__ import annotations

import contextlib
import copy
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import record_function

import cwn_lite as cwn

from ..data import Clouds, Dataset, Photographs
from ..measure import grad_norm, row_norms
from ..nets.methods import build, classifier, normalized_layers
from ..recipes import Recipe
from ..recipes.parts import CWO
from ..seeding import derive
from . import shards, tasks
from .clip import clip_
from .evaluation import Evaluation, evaluate
from .schedule import learning_rate, set_rates
from .world import World

# How often a GPU is asked whether the loss is still finite: asking makes the CPU wait for it.
CHECK_EVERY = {"cpu": 1, "cuda": 50}


class Trainer:
    """One run of one recipe: its model, its optimizer and where it stands.

    Args:
        recipe: what to train.
        seed: of the initial weights, the order of the images, the crops and the noise.
        data: the data set that the recipe names.
        device: ``cpu`` (float32) or ``cuda`` (bfloat16 autocast).
        world: the processes that share the run. They train as one would, but for the batch statistics of batch
            norm, which each takes over its part of the batch.
        policies: the file of Fast AutoAugment's policies, for a recipe that wants them.
        workers: processes that decode photographs; ``None`` is one per CPU, up to 8.

    Attributes:
        curve: one entry per finished epoch; losses are means over images, errors are percentages.
        epoch_s: seconds of each finished epoch, its evaluation included.
        pace: since this trainer was made: samples of all processes trained on, seconds of its steps, and those of
            them that it waited for data.
        diverged: where and why the run ended early, or ``None``.
        compiled: whether :meth:`compile` succeeded.

    Raises:
        LabError: the recipe cannot be shared by so many processes, its policies are not in the file, or a channel has
            the same value in all training images.

    Example:
        >>> from cwn_lite.lab import data, recipes
        >>> trainer = Trainer(recipes.get("digits-bn"), 0, data.load("digits"))
        >>> trainer.step(); trainer.epoch, trainer.batch
        (0, 1)
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        data: Dataset | Photographs | Clouds,
        device: torch.device | str = "cpu",
        world: World | None = None,
        policies: Path | None = None,
        workers: int | None = None,
    ) -> None:
        self.recipe, self.seed, self.device = recipe, seed, torch.device(device)
        self.world = World() if world is None else world
        self.task = tasks.make(recipe, seed, data, self.device, self.world, policies, workers)
        split = partial(shards.split, device=self.device, processes=self.world.size) if self.world.sharded else None
        self.model, self.optimizer, self.constraint = build(recipe, seed, self.device, split)
        last = classifier(self.model) if recipe.training.clip else None
        self._clipped = [p for p in self.model.parameters() if last is not None and p not in set(last.parameters())]
        # What a step calls: the model, or what wraps or compiles it.
        self._network: Callable[[Tensor], Any] = self.world.wrap(self.model, self.device)
        self.compiled = False
        self.steps_per_epoch = math.ceil(self.task.train_count / recipe.training.batch)
        self.epoch = self.batch = 0
        self.curve: list[dict[str, float]] = []
        self.epoch_s: list[float] = []
        self.diverged: dict[str, Any] | None = None
        self.pace = {"samples": 0, "train_s": 0.0, "data_s": 0.0}
        # Of the epoch under way: sums of losses and errors of this process, of gradient norms; first bad step or -1.
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self._norms = torch.zeros((), dtype=torch.float64, device=self.device)
        self._first_bad = torch.tensor(-1, device=self.device)
        self._largest_norm = torch.zeros((), dtype=torch.float64, device=self.device)
        self._seconds = 0.0
        torch.manual_seed(derive(seed, "noise"))  # ScaleBias draws from the global generator

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.diverged is not None or self.epoch == self.recipe.training.epochs

    @property
    def global_step(self) -> int:
        """Number of steps taken."""
        return self.epoch * self.steps_per_epoch + self.batch

    def lr(self) -> float:
        """Return the learning rate of the next step: a cosine from the first one to 0, after the warm-up if any."""
        return learning_rate(self.recipe.training, self.global_step, self.steps_per_epoch)

    def step(self) -> None:
        """Take one optimizer step; after the last one of an epoch, evaluate."""
        begun = time.perf_counter()
        with record_function("data"):
            x, target, weight = self._next_batch()
        fetched = time.perf_counter()
        set_rates(self.optimizer, self.lr())
        self._set_noise()
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        logits, loss = self._add_gradients(x, target, weight)
        with record_function("optimizer and projection"):
            if self._clipped:
                clip_(self._clipped, self.recipe.training.clip)
            self.optimizer.step()
        with record_function("metrics"):
            self._count(logits, loss, target)
        self.batch += 1
        ended = self.batch == self.steps_per_epoch
        if ended or self.batch % CHECK_EVERY[self.device.type] == 0:
            self._check()
        stepped = time.perf_counter()
        self.pace["samples"] += self._step_size(self.batch - 1)
        self.pace["train_s"] += stepped - begun
        self.pace["data_s"] += fetched - begun
        if ended and self.diverged is None:
            self._finish_epoch()
        self._seconds += time.perf_counter() - begun
        if ended and self.diverged is None:
            self.epoch_s.append(round(self._seconds, 3))
            self._seconds = 0.0

    def advance(self, steps: int | None = None) -> Trainer:
        """Go on until ``steps`` steps were taken in all, to the end without; earlier where the run diverges."""
        while not self.done and self.global_step != steps:
            self.step()
        return self

    def compile(self) -> None:
        """Let torch compile network and projection, and run them once on each shape of a run, before any clock runs.

        On CUDA the compiled network is a CUDA graph, so that a small one does not wait for kernel launches. Where
        compilation fails, the run goes on without, and says so. A run that processes share is not compiled.
        """
        if self.world.size > 1:  # the compiled network would stand in the place of the one that shares gradients
            return
        if isinstance(self.recipe.method, CWO) and self.recipe.method.noise_rises:  # a graph for each level, and more
            return
        # All networks compile the same wrapper, and torch stops compiling it after some eight graphs without a word:
        # the second run of a process would be eager. It forgets the networks of earlier runs here.
        torch.compiler.reset()
        state = copy.deepcopy(self.state_dict())
        cuda = self.device.type == "cuda"
        self._network = torch.compile(self.model, mode="reduce-overhead" if cuda else None, dynamic=False)
        if self.constraint is not None:
            self.constraint.compile()
        try:
            self._rehearse()
            self.compiled = True
        except RuntimeError as error:  # all errors of the compiler are
            self._network = self.model
            if self.constraint is not None:
                self.constraint.compile(disable=True)
            reason = str(error).strip().partition("\n")[0]
            print(f"torch.compile failed ({type(error).__name__}: {reason}); going on without it", file=sys.stderr)
        self.load_state_dict(state)

    def _rehearse(self) -> None:
        """Run forward and backward on both sizes of a batch, project, evaluate; the caller restores the state."""
        n, batch = self.task.train_count, self.recipe.training.batch
        self.model.train()
        for size in {min(batch, n), n % batch or batch}:
            for _ in range(3):  # a CUDA graph is recorded at the second or third call
                self._add_gradients(*self.task.first(size), 1.0)
                self.optimizer.zero_grad(set_to_none=True)
        if self.constraint is not None:
            self.constraint.project()
        self.evaluate()

    def _set_noise(self) -> None:
        """Let the noise rise to its level, epoch by epoch, where the recipe asks for it."""
        method, last = self.recipe.method, self.recipe.training.epochs - 1
        if isinstance(method, CWO) and method.noise_rises:
            cwn.set_noise(self.model, method.sigma * self.epoch / max(last, 1), method.schedule)

    def _step_size(self, step: int) -> int:
        """Return how many samples a step of an epoch takes, in all processes."""
        return min(self.recipe.training.batch, self.task.train_count - step * self.recipe.training.batch)

    def _next_batch(self) -> tuple[Tensor, Tensor, float]:
        """Return this process's input, its labels, and the weight of its mean loss in the whole batch's."""
        x, labels = self.task.batch(self.batch)
        return x, labels, len(labels) * self.world.size / self._step_size(self.batch)

    def _add_gradients(self, x: Tensor, target: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Add the gradient of a batch, piece by piece where the recipe accumulates; return logits and mean loss.

        Noise that is drawn once per step is the same in all pieces.
        """
        pieces = min(self.recipe.training.accumulate, len(target))
        method = self.recipe.method
        once = isinstance(method, CWO) and method.sigma > 0 and not method.noise_per_sample
        random = self._random_state() if once and pieces > 1 else None
        found, losses = [], []
        for k, (inputs, labels) in enumerate(zip(x.tensor_split(pieces), target.tensor_split(pieces), strict=True)):
            if k and random is not None:
                self._set_random_state(random)
            with contextlib.nullcontext() if k == pieces - 1 else self.world.adding(self._network):
                with record_function("forward"):
                    logits = self._forward(inputs)
                    loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.training.label_smoothing)
                share = weight * len(labels) / len(target)
                with record_function("backward"):
                    (loss if share == 1 else loss * share).backward()
            found.append(logits.detach())
            losses.append(loss.detach() * (len(labels) / len(target)))
        return torch.cat(found), torch.stack(losses).sum()

    @torch.no_grad()
    def _count(self, logits: Tensor, loss: Tensor, target: Tensor) -> None:
        wrong = (logits.argmax(1) != target).sum().double()
        norm = grad_norm(self.model)
        self._sums += torch.stack([loss.double() * len(target), wrong])
        self._norms += norm
        self._largest_norm = torch.maximum(self._largest_norm, norm)
        bad = ~(torch.isfinite(loss) & torch.isfinite(norm)) & (self._first_bad < 0)
        self._first_bad = torch.where(bad, self.global_step, self._first_bad)

    def evaluate(self) -> Evaluation:
        """Return how the network does on the test set, without augmentation or noise."""
        self.world.share_buffers(self.model)
        self.model.eval()
        network = self._network if self.world.size == 1 else self.model
        return evaluate(partial(self._forward, network=network), self.task, self.world, self.device)

    def progress(self) -> tuple[float, float]:
        """Return mean training loss and error in per cent of the epoch under way, of this process's images."""
        seen = max(1.0, min(self.batch * self.recipe.training.batch, self.task.train_count) / self.world.size)
        loss, wrong = self._sums.tolist()
        return loss / seen, 100 * wrong / seen

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on; where processes share it, all of them must ask."""
        random = self._random_state()
        return {
            "model": shards.gathered(self.model.state_dict()),
            "optimizer": shards.gathered(self.optimizer.state_dict()),
            "rng": random[0],
            "cuda_rng": random[1],
            "position": [self.epoch, self.batch],
            "sums": self.world.total(self._sums),
            "norms": self._norms,
            "first_bad": self._first_bad,
            "largest_norm": self._largest_norm,
            "curve": self.curve,
            "epoch_s": self.epoch_s,
            "seconds": self._seconds,
            "diverged": self.diverged,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where :meth:`state_dict` was taken, by as many processes or another number of them."""
        shards.load_model(self.model, state["model"])
        shards.load_optimizer(self.optimizer, state["optimizer"])
        self.epoch, self.batch = state["position"]
        self._sums.copy_(state["sums"] / self.world.size)  # they add up to the whole again
        self._norms.copy_(state["norms"])
        self._first_bad.copy_(state["first_bad"])
        self._largest_norm.copy_(state["largest_norm"])
        self.curve, self.epoch_s = list(state["curve"]), list(state["epoch_s"])
        self._seconds, self.diverged = state["seconds"], state["diverged"]
        self.task.start(self.epoch)
        self._set_random_state((state["rng"], state["cuda_rng"]))

    def _random_state(self) -> tuple[Tensor, Tensor | None]:
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return torch.get_rng_state(), cuda

    def _set_random_state(self, state: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(state[0].cpu())
        if self.device.type == "cuda" and state[1] is not None:
            torch.cuda.set_rng_state(state[1].cpu(), self.device)

    def _forward(self, x: Tensor, network: Callable[[Tensor], Any] | None = None) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = (self._network if network is None else network)(x)
        assert isinstance(logits, Tensor)
        return logits.to(torch.get_default_dtype())

    def _check(self) -> None:
        first_bad = int(self.world.largest(self._first_bad))
        if first_bad >= 0:
            self._diverge(first_bad, "the training loss or its gradient is not finite")

    def _diverge(self, step: int, reason: str) -> None:
        self.diverged = {"epoch": step // self.steps_per_epoch, "step": step, "reason": reason}

    def _finish_epoch(self) -> None:
        n = self.task.train_count
        loss, wrong = self.world.total(self._sums).tolist()
        test = self.evaluate()
        if not math.isfinite(test.loss):
            self._diverge(self.global_step - 1, "the test loss is not finite")
            return
        rows = torch.cat([row_norms(layer) for layer in normalized_layers(self.model)])
        entry = {
            "train_loss": loss / n,
            "train_error": 100 * wrong / n,
            "test_loss": test.loss,
            "test_error": test.error,
            "lr": learning_rate(self.recipe.training, self.epoch * self.steps_per_epoch, self.steps_per_epoch),
            "grad_norm": float(self._norms) / self.steps_per_epoch,
            "grad_norm_max": float(self._largest_norm),
            "row_norm_min": float(rows.min()),
            "row_norm_max": float(rows.max()),
        }
        if self.task.by_class:
            entry["test_class_error"] = test.class_error
        if self.task.top5:
            entry["test_top5_error"] = test.top5_error
        self.curve.append(entry)
        self.epoch, self.batch = self.epoch + 1, 0
        self._sums.zero_()
        self._norms.zero_()
        self._largest_norm.zero_()
        if not self.done:
            self.task.start(self.epoch)
