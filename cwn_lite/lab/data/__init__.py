"""Images and point clouds with their labels: archives, folders, meshes and single files, read and checked."""

from .clouds import Clouds
from .dataset import Dataset, build, select
from .kinds import load
from .photographs import Photographs

__all__ = ["Clouds", "Dataset", "Photographs", "build", "load", "select"]
