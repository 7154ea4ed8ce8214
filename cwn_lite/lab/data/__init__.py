"""Images, point clouds and labels: archives, folders and single files, read and checked."""

from .clouds import CLOUD_SHAPES, Clouds, build_clouds, load_clouds
from .dataset import SHAPES, Dataset, build, load, select

__all__ = ["CLOUD_SHAPES", "SHAPES", "Clouds", "Dataset", "build", "build_clouds", "load", "load_clouds", "select"]
