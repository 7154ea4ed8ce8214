"""What a user of the lab can get wrong, each said in one line."""

from __future__ import annotations


class LabError(ValueError):
    """A mistake with a way out: a wrong name, a missing folder, a damaged file.

    The command line prints its text as one line and exits with status 2.
    """
