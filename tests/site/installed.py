"""Run by test_wheel.py where the library is an unpacked wheel: what a user of that would get, as JSON on stdout.

Arguments: a recorded result of a run that diverged, and an empty folder for a result of the paper's own setting.
"""

import dataclasses
import json
import sys
from pathlib import Path

import cwn_lite
from cwn_lite import figures
from cwn_lite.figures import Choice, Question
from cwn_lite.lab import recipes, results
from cwn_lite.lab.results import tables
from cwn_lite.lab.results.provenance import checkout


def main() -> None:
    """Answer for the library that is imported."""
    recorded, out = map(Path, sys.argv[1:])
    recipe = recipes.get("cnn-bn-e200")
    result = dataclasses.replace(results.read(recorded), recipe=recipe.values(), recipe_sha=recipe.sha)
    results.write(result, out)
    alt = "A sphere cut by a plane through its centre, and one projected step of a weight on their circle."
    answer = {
        "package": str(Path(cwn_lite.__file__).parent),
        "checkout": checkout(),
        "explorable": figures.explorable_html("projection-sphere", {}, alt=alt, static=figures.sphere()),
        "quiz": figures.quiz_html(
            Question("Is $c$ a norm?", [Choice("yes", False, "Its square."), Choice("no", True, "It is ‖w‖².")])
        ),
        "table": tables.table([result]),
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
