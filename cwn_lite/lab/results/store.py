"""Results as files: one run, one JSON, written once and checked whenever it is read."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_type_hints

from ..disk.files import write_atomically
from ..disk.paths import check_folder, expand
from ..errors import LabError
from ..recipes import Recipe
from ..recipes.recipe import recipe_sha
from .provenance import checkout
from .typed import mistyped

SCHEMA = 1
STATUSES = ("done", "diverged", "failed")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run: what was run, by which code, on which data, and what came out.

    The fields are the keys of the JSON file; ``book/results/README.md`` describes each.
    """

    schema: int
    status: str
    reason: dict[str, Any] | None
    recipe: dict[str, Any]
    recipe_sha: str
    seed: int
    commit: str | None
    dirty: bool | None
    library_sha: str
    env: dict[str, Any]
    sessions: list[dict[str, Any]]
    data: dict[str, Any]
    started: str
    wall_s: float
    epoch_s: list[float]
    parameters: int
    constrained: list[str]
    skipped: dict[str, str]
    curve: list[dict[str, float]]
    final: dict[str, float] | None
    weights_sha256: str | None

    @property
    def name(self) -> str:
        """Name of the recipe."""
        return str(self.recipe["name"])

    @property
    def method(self) -> str:
        """Method of the recipe."""
        return str(self.recipe["method"])

    @property
    def test_error(self) -> float:
        """Test error in per cent after the last epoch; NaN for a run that did not end well."""
        return self.final["test_error"] if self.final else math.nan


_NUMBERS = dict.fromkeys(("train_loss", "train_error", "test_loss", "test_error"), float)
_EVENT = {"epoch": int, "step": int, "reason": str}
_hints = functools.cache(get_type_hints)
_DATA = {"name": str, "sha256": str, "train": int, "test": int}


def default_root() -> Path:
    """Return the folder of results: ``book/results`` of the checkout, else ``./results``."""
    root = checkout()
    return root / "book" / "results" if root else Path("results")


def path_of(root: Path, directory: str, seed: int) -> Path:
    """Return where the result of a cell lives."""
    return root / directory / f"seed-{seed}.json"


def is_taken(root: Path, directory: str, seed: int) -> bool:
    """Return whether something lies where the result of a cell is to be: a result, or a link that leads nowhere."""
    return os.path.lexists(path_of(root, directory, seed))


def check_data(root: Path, recipe: Recipe, seed: int, data: str, sha256: str) -> None:
    """Refuse to put a run beside other seeds of its recipe that saw other data: no table could hold both.

    Args:
        root: folder of results.
        recipe: what is to be trained.
        seed: its seed.
        data: display name of the data.
        sha256: their hash.

    Raises:
        LabError: there are such runs; the text says where to write instead. Or a result is damaged.
    """
    for other in map(read, sorted((root / recipe.directory).glob("seed-*.json"))):
        if other.seed != seed and other.data["sha256"] != sha256:
            raise LabError(
                f"{recipe.name} seed {seed} would be trained on {data} ({sha256[:8]}), but seed {other.seed} in {root} "
                f"was on {other.data['name']} ({other.data['sha256'][:8]}): give these images a folder of their own, "
                "--out FOLDER"
            )


def write(result: Result, root: Path) -> Path:
    """Write a result once, atomically.

    Raises:
        LabError: the file exists; results are never overwritten.
    """
    path = path_of(root, f"{result.name}-{result.recipe_sha[:8]}", result.seed)
    values = dataclasses.asdict(result)
    values["checksum"] = _checksum(values)
    try:
        write_atomically(path, (_pretty(values) + "\n").encode(), overwrite=False)
    except FileExistsError:
        raise LabError(f"{path} exists already; results are never overwritten") from None
    return path


def read(path: Path) -> Result:
    """Read and check one result.

    Raises:
        LabError: not a whole, unedited result of this schema in its own place; the text says what is wrong.
    """
    try:
        if path.exists() and not path.is_file():  # to read a pipe would be to wait for ever
            raise LabError("a folder or a device, no file")
        values = json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_without_twins,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except OSError as error:
        raise LabError(f"{path}: not a readable result ({error.strerror or error}); move it away") from error
    except (ValueError, RecursionError) as error:
        raise LabError(f"{path}: not a readable result ({error}); restore it or move it away") from error
    problem = _problem(values, path)
    if problem:
        raise LabError(f"{path}: {problem}; restore it or move it away")
    del values["checksum"]
    return Result(**values)


def load(root: Path | str | None = None, pattern: str = "*") -> list[Result]:
    """Load all results whose recipe name matches, sorted by name, hash and seed.

    Args:
        root: folder of results; ``None`` is :func:`default_root`.
        pattern: ``fnmatch`` pattern on the recipe name, for instance ``"cnn16-*"``.

    Raises:
        LabError: a file is damaged, a run is recorded under two names, ``root`` is no folder, or the checkout's own
            folder, which chapters read, holds no result at all. Of recipes whose folders do not match, no file is read.

    Example:
        >>> load("no-such-folder")
        []
    """
    # A folder is called by the recipe's name and the start of its hash.
    found = [read(path) for path in _files(root, f"{pattern}-????????")]
    return sorted(
        _once(result for result in found if fnmatchcase(result.name, pattern)),
        key=lambda result: (result.name, result.recipe_sha, result.seed),
    )


def of_recipe(recipe: Recipe, root: Path | str | None = None) -> list[Result]:
    """Load the results of one recipe, whatever it was called when it ran, sorted by seed.

    Args:
        recipe: what was trained.
        root: as for :func:`load`.

    Raises:
        LabError: as for :func:`load`.

    Example:
        >>> from cwn_lite.lab import recipes
        >>> of_recipe(recipes.get("digits-bn"), "no-such-folder")
        []
    """
    sha = recipe.sha
    found = [read(path) for path in _files(root, f"*-{sha[:8]}")]
    return sorted(_once(result for result in found if result.recipe_sha == sha), key=lambda result: result.seed)


def _once(found: Iterable[Result]) -> list[Result]:
    """Return the results, if no run is among them under two names: it would count twice."""
    known: dict[tuple[str, int], Result] = {}
    for result in found:
        other = known.setdefault((result.recipe_sha, result.seed), result)
        if other is not result:
            names = " and ".join(f"{twin.name}-{twin.recipe_sha[:8]}" for twin in (other, result))
            raise LabError(f"seed {result.seed} is recorded twice, under {names}; move one of them away")
    return list(known.values())


def _files(root: Path | str | None, folders: str = "*") -> list[Path]:
    """Return the files of results in order, of folders of that pattern.

    A folder that may not be read is an error: `glob` would pass it over.
    """
    folder = default_root() if root is None else expand(root, "folder of results")
    check_folder(folder, "folder of results")
    if root is None and checkout() and next(folder.glob("*/seed-*.json"), None) is None:
        raise LabError(f"{folder}: no results there, and the book is made of them; restore the folder")
    if not folder.exists():
        return []
    cells = [cell for cell in sorted(folder.iterdir()) if fnmatchcase(cell.name, folders) and cell.is_dir()]
    return [path for cell in cells for path in sorted(cell.iterdir()) if fnmatchcase(path.name, "seed-*.json")]


def _problem(values: Any, path: Path) -> str | None:
    """Return what is wrong with the content of a result file, ``None`` if nothing is."""
    if not isinstance(values, dict):
        return "not a result"
    if values.get("schema") != SCHEMA:
        return f"schema {values.get('schema')!r}, this version reads {SCHEMA}"
    expected = {field.name for field in dataclasses.fields(Result)} | {"checksum"}
    if set(values) != expected:
        return f"keys {', '.join(sorted(set(values) ^ expected))} missing or unknown"
    if values["checksum"] != _checksum(values):
        return "it was edited or damaged, its checksum does not match"
    if wrong := next(filter(None, _mistyped(values)), None):
        return wrong
    if values["recipe_sha"] != recipe_sha(values["recipe"]):
        return "its recipe does not have the hash it states"
    if values["status"] not in STATUSES:
        return f"status {values['status']!r} is none of {', '.join(STATUSES)}"
    done = values["status"] == "done"
    if (values["final"] is not None) != done or (values["reason"] is None) != done:
        return "final numbers, reason and status do not agree"
    last = values["curve"][-1] if values["curve"] else {}
    if done and {**last, **values["final"]} != last:
        return "its final numbers are not those at the end of its curve"
    try:
        Recipe.of(**values["recipe"])
    except (TypeError, ValueError) as error:
        return f"not a recipe of this version ({error})"
    directory = f"{values['recipe']['name']}-{values['recipe_sha'][:8]}"
    if (path.parent.name, path.name) != (directory, f"seed-{values['seed']}.json"):
        return f"it belongs at {directory}/seed-{values['seed']}.json"
    return None


def _mistyped(values: dict[str, Any]) -> Iterator[str | None]:
    """Yield for each part of a result what is wrong with its type, ``None`` where nothing is."""
    for key, hint in _hints(Result).items():
        yield mistyped(values[key], hint, key)
    yield mistyped(values["data"], _DATA, "data")
    yield mistyped(values["env"], dict[str, str | int | bool | None], "env")
    for key, keys in (("final", _NUMBERS), ("reason", _EVENT)):
        if values[key] is not None:
            yield mistyped(values[key], keys, key)
    for epoch, entry in enumerate(values["curve"]):
        if not _NUMBERS.keys() <= entry.keys():
            yield mistyped(entry, _NUMBERS, f"curve[{epoch}]")


def _checksum(values: dict[str, Any]) -> str:
    content = {key: value for key, value in values.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _pretty(values: dict[str, Any]) -> str:
    """Return JSON with one line per key, and one per epoch of the curve: a diff stays readable."""
    lines = []
    for key, value in values.items():
        if key == "curve" and value:
            text = "[\n" + ",\n".join(f"    {json.dumps(entry)}" for entry in value) + "\n  ]"
        else:
            text = json.dumps(value, allow_nan=False)
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        raise ValueError(f"{text} is beyond all floats")
    return float(text)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says one key twice: readers would differ in which of the two counts."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"two values for {Counter(key for key, _ in pairs).most_common(1)[0][0]}")
    return values
