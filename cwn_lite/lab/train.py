"""Training as a sequence of steps that can stop after any one and go on later, bit for bit."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .augment import EpochPlan
from .data import Dataset, select
from .measure import grad_norm, row_norms
from .methods import build
from .recipe import Recipe
from .seeding import derive

EVAL_BATCH = 500
# How often a GPU is asked whether the loss is still finite: asking makes the CPU wait for it.
CHECK_EVERY = {"cpu": 1, "cuda": 50}


class Trainer:
    """One run of one recipe: its model, its optimizer and where it stands.

    Args:
        recipe: what to train.
        seed: of the initial weights, the order of the images, the crops and the noise.
        data: the data set that the recipe names.
        device: ``cpu`` (float32) or ``cuda`` (bfloat16 autocast).

    Attributes:
        curve: one entry per finished epoch; losses are means over images, errors are percentages.
        epoch_s: seconds of each finished epoch, its evaluation included.
        diverged: where and why the run ended early, or ``None``.

    Example:
        >>> from cwn_lite.lab import data, recipes
        >>> trainer = Trainer(recipes.get("digits-bn"), 0, data.load("digits"))
        >>> trainer.step(); trainer.epoch, trainer.batch
        (0, 1)
    """

    def __init__(self, recipe: Recipe, seed: int, data: Dataset, device: torch.device | str = "cpu") -> None:
        self.recipe, self.seed, self.device = recipe, seed, torch.device(device)
        data = select(data, recipe)
        self.model, self.optimizer, self.constraint = build(recipe, seed, self.device)
        self._tensors = tuple(
            part.to(self.device) for part in (data.train_images, data.train_labels, data.test_images, data.test_labels)
        )
        self._mean, self._std = (part.to(self.device).view(1, -1, 1, 1) for part in (data.mean, data.std))
        self.steps_per_epoch = math.ceil(len(data.train_labels) / recipe.batch)
        self.epoch = self.batch = 0
        self.curve: list[dict[str, float]] = []
        self.epoch_s: list[float] = []
        self.diverged: dict[str, Any] | None = None
        # Of the epoch under way: sum of losses, of errors, of gradient norms; the first step with a bad loss or -1.
        self._sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self._first_bad = torch.tensor(-1, device=self.device)
        self._largest_norm = torch.zeros((), dtype=torch.float64, device=self.device)
        self._seconds = 0.0
        self._plan = self._draw_plan()
        torch.manual_seed(derive(seed, "noise"))  # ScaleBias draws from the global generator

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.diverged is not None or self.epoch == self.recipe.epochs

    @property
    def global_step(self) -> int:
        """Number of steps taken."""
        return self.epoch * self.steps_per_epoch + self.batch

    def lr(self) -> float:
        """Return the learning rate of the next step: a cosine from ``recipe.lr`` to 0, after the warm-up if any."""
        return self._lr_at(self.global_step)

    def _lr_at(self, step: int) -> float:
        warmup, total = (n * self.steps_per_epoch for n in (self.recipe.warmup_epochs, self.recipe.epochs))
        if step < warmup:
            return self.recipe.lr * (step + 1) / warmup
        progress = (step - warmup) / (total - warmup)
        return self.recipe.lr * (1 + math.cos(math.pi * progress)) / 2

    def step(self) -> None:
        """Take one optimizer step; after the last one of an epoch, evaluate."""
        begun = time.perf_counter()
        images, labels = self._tensors[:2]
        batch, index = self._plan.batch(images, self.batch, self.recipe.batch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr()
        self.model.train()
        target = labels[index]
        logits = self._forward(batch)
        loss = F.cross_entropy(logits, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            wrong = (logits.argmax(1) != target).sum().double()
            norm = grad_norm(self.model)
            self._sums += torch.stack([loss.detach().double() * len(target), wrong, norm])
            self._largest_norm = torch.maximum(self._largest_norm, norm)
            bad = ~(torch.isfinite(loss.detach()) & torch.isfinite(norm)) & (self._first_bad < 0)
            self._first_bad = torch.where(bad, self.global_step, self._first_bad)
        self.batch += 1
        ended = self.batch == self.steps_per_epoch
        if ended or self.batch % CHECK_EVERY[self.device.type] == 0:
            self._check(int(self._first_bad))
        if ended and self.diverged is None:
            self._finish_epoch()
        self._seconds += time.perf_counter() - begun
        if ended and self.diverged is None:
            self.epoch_s.append(round(self._seconds, 3))
            self._seconds = 0.0

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Return mean loss and error in per cent on the test set, without augmentation or noise."""
        images, labels = self._tensors[2:]
        self.model.eval()
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        wrong = torch.zeros((), dtype=torch.int64, device=self.device)
        for batch, target in zip(images.split(EVAL_BATCH), labels.split(EVAL_BATCH), strict=True):
            logits = self._forward(batch)
            loss += F.cross_entropy(logits, target, reduction="sum").double()
            wrong += (logits.argmax(1) != target).sum()
        return float(loss) / len(labels), 100 * int(wrong) / len(labels)

    def progress(self) -> tuple[float, float]:
        """Return mean training loss and error in per cent of the epoch under way."""
        seen = max(1, min(self.batch * self.recipe.batch, len(self._tensors[1])))
        loss, wrong, _ = self._sums.tolist()
        return loss / seen, 100 * wrong / seen

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "position": [self.epoch, self.batch],
            "sums": self._sums,
            "first_bad": self._first_bad,
            "largest_norm": self._largest_norm,
            "curve": self.curve,
            "epoch_s": self.epoch_s,
            "seconds": self._seconds,
            "diverged": self.diverged,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where :meth:`state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.batch = state["position"]
        self._sums.copy_(state["sums"])
        self._first_bad.copy_(state["first_bad"])
        self._largest_norm.copy_(state["largest_norm"])
        self.curve, self.epoch_s = list(state["curve"]), list(state["epoch_s"])
        self._seconds, self.diverged = state["seconds"], state["diverged"]
        self._plan = self._draw_plan()
        torch.set_rng_state(state["rng"].cpu())
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu(), self.device)

    def _forward(self, batch: Tensor) -> Tensor:
        x = (batch.float() - self._mean) / self._std
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.model(x)
        assert isinstance(logits, Tensor)
        return logits.float()

    def _draw_plan(self) -> EpochPlan:
        n = len(self._tensors[1])
        augment = self.recipe.augment != "none"
        return EpochPlan.draw(self.seed, self.epoch, n, augment=augment).to(self.device)

    def _check(self, first_bad: int) -> None:
        if first_bad >= 0:
            self._diverge(first_bad, "the training loss or its gradient is not finite")

    def _diverge(self, step: int, reason: str) -> None:
        self.diverged = {"epoch": step // self.steps_per_epoch, "step": step, "reason": reason}

    def _finish_epoch(self) -> None:
        n = len(self._tensors[1])
        loss, wrong, norm = self._sums.tolist()
        test_loss, test_error = self.evaluate()
        if not math.isfinite(test_loss):
            self._diverge(self.global_step - 1, "the test loss is not finite")
            return
        rows = torch.cat([row_norms(layer) for layer in self.model.modules() if isinstance(layer, nn.Conv2d)])
        self.curve.append(
            {
                "train_loss": loss / n,
                "train_error": 100 * wrong / n,
                "test_loss": test_loss,
                "test_error": test_error,
                "lr": self._lr_at(self.epoch * self.steps_per_epoch),
                "grad_norm": norm / self.steps_per_epoch,
                "grad_norm_max": float(self._largest_norm),
                "row_norm_min": float(rows.min()),
                "row_norm_max": float(rows.max()),
            }
        )
        self.epoch, self.batch = self.epoch + 1, 0
        self._sums.zero_()
        self._largest_norm.zero_()
        if not self.done:
            self._plan = self._draw_plan()
