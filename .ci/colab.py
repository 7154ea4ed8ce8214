"""Turn `pip freeze`, on standard input, into constraints: `python .ci/colab.py < pip-freeze.txt > constraints.txt`.

Colab's PyTorch is a build for its driver, from another index: its version counts, not where it is from.
"""

import re
import sys

NAMED = re.compile(r"(?P<name>[\w.-]+)(?: @ \S*/(?P=name)-|==)(?P<version>\d[\w.]*)", re.IGNORECASE)


def constraint(line: str) -> str | None:
    """Return the constraint that a line of `pip freeze` makes, or nothing where it names no version.

    Example:
        >>> constraint("torch @ https://somewhere/cu118/torch-2.1.0%2Bcu118-cp310-cp310-linux_x86_64.whl#sha256=a8")
        'torch==2.1.0'
        >>> constraint("torch==2.9.0+cu126"), constraint("google-colab @ file:///colabtools/dist/colab.tar.gz")
        ('torch==2.9.0', None)
    """
    found = NAMED.match(line)
    return f"{found['name']}=={found['version']}" if found else None


if __name__ == "__main__":
    made = [text for text in map(constraint, sys.stdin) if text]
    if not any(text.startswith("torch==") for text in made):
        sys.exit("the list names no version of torch: has its form changed?")
    print("\n".join(made))
