"""What a course needs beside the book: assignments, grading, and the bank of quiz questions: `python -m classroom`.

It works on the book's own notebooks, of a checkout, and shares with the build how solutions are taken out.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"

if str(BOOK / "_ext") not in sys.path:  # `student` and `course`, which the build imports from there
    sys.path.insert(0, str(BOOK / "_ext"))
