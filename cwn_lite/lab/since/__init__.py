"""Ideas around the paper and since, each as a few lines in one small harness: forward, direction, move, return."""

from .ideas import IDEAS, Idea
from .training import Setting, train

__all__ = ["IDEAS", "Idea", "Setting", "train"]
