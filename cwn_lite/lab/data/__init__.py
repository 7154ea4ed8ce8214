"""Images and labels: archives, folders and single pictures, read and checked."""

from .dataset import SHAPES, Dataset, build, load, select

__all__ = ["SHAPES", "Dataset", "build", "load", "select"]
