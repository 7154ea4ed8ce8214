"""Workflows: least rights, pinned actions, nothing of a stranger's in a shell, and commands that exist."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from typing import Any

import house
import pytest
import yaml

FOLDER = house.ROOT / ".github" / "workflows"
MAKEFILE = (house.ROOT / "Makefile").read_text(encoding="utf8")
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
# What a job may do beyond reading, and which job needs it.
RIGHTS = {("pages", "build"): {"contents": "write"}, ("release", "publish"): {"id-token": "write"}}
UNTRUSTED = ("pull_request_target", "workflow_run", "issue_comment", "issues", "discussion")


def problems(text: str) -> list[str]:
    """What is wrong with a workflow."""
    flow: dict[Any, Any] = yaml.safe_load(text)
    events = flow.get(True, flow.get("on", {}))  # YAML takes `on` for a truth value
    found = [f"runs on {event}" for event in UNTRUSTED if event in events]
    if flow.get("permissions") != {"contents": "read"}:
        found.append("permissions: contents: read, at the top")
    if not isinstance(flow.get("concurrency"), dict):
        found.append("no concurrency")
    for line in text.splitlines():
        if "uses:" in line and not PINNED.search(line):
            found.append(f"not pinned by commit, with its version beside it: {line.strip()}")
    for name, job in flow["jobs"].items():
        if job.get("permissions", {}) != RIGHTS.get((flow["name"], name), {}):
            found.append(f"{name}: rights that it is not meant to have, or lacks")
        if "timeout-minutes" not in job:
            found.append(f"{name}: no timeout-minutes")
        for step in job["steps"]:
            command = step.get("run", "")
            if "${{" in command:
                found.append(f"{name}: an expression inside of a command; hand it over by env")
            found += [f"{name}: no make {it}" for it in re.findall(r"\bmake (\w+)", command) if it not in TARGETS]
            found += [f"{name}: no {it}" for it in re.findall(r"\.ci/\w+(?:\.py)?", command) if not there(it)]
            is_checkout = step.get("uses", "").startswith("actions/checkout@")
            if is_checkout and step.get("with", {}).get("persist-credentials") is not False:
                found.append(f"{name}: the checkout keeps its token")
    return found


TARGETS = house.targets(MAKEFILE)


def there(name: str) -> bool:
    return (house.ROOT / name).is_file()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflow(path: Path) -> None:
    assert problems(path.read_text(encoding="utf8")) == []


def test_they_are_all_there() -> None:
    assert {path.stem for path in WORKFLOWS} == {"arithmetic", "ci", "links", "newest", "pages", "release"}


def test_one_commit_for_each_action() -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for path in WORKFLOWS:
        for match in PINNED.finditer(path.read_text(encoding="utf8")):
            seen.setdefault(match["action"], set()).add((match["commit"], match["version"]))
    assert {action: len(pins) for action, pins in seen.items()} == dict.fromkeys(seen, 1)


CI = (FOLDER / "ci.yml").read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  contents: read\n", "  contents: write\n", "permissions: contents"),
        ("permissions:\n  contents: read\n", "", "permissions: contents"),
        (" # v4.2.2", "", "not pinned"),
        ("@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@v4", "not pinned"),
        ("  pull_request:", "  pull_request_target:", "runs on pull_request_target"),
        ("run: .ci/run", "run: make tea", "no make tea"),
        ("run: .ci/run", "run: .ci/tea", "no .ci/tea"),
        ("run: .ci/run", "run: echo ${{ github.head_ref }}", "hand it over by env"),
        ("    timeout-minutes: 45\n", "", "no timeout"),
        ("    timeout-minutes: 45\n", "    timeout-minutes: 4\n    permissions: write-all\n", "not meant to have"),
        ("persist-credentials: false", "persist-credentials: true", "keeps its token"),
        ("concurrency:\n  group: ci-${{ github.ref }}\n  cancel-in-progress: true\n", "", "no concurrency"),
    ],
)
def test_a_fault_is_seen(old: str, new: str, problem: str) -> None:
    assert old in CI
    assert any(problem in found for found in problems(CI.replace(old, new)))


def test_the_release_tries_the_oldest_versions_that_are_promised() -> None:
    jobs = yaml.safe_load((FOLDER / "release.yml").read_text(encoding="utf8"))["jobs"]
    oldest, newest = jobs["wheel"]["strategy"]["matrix"]["include"]
    pyproject = (house.ROOT / "pyproject.toml").read_text(encoding="utf8")
    assert f'requires-python = ">={oldest["python"]}"' in pyproject
    assert f'dependencies = ["{oldest["torch"].replace("==", ">=").removesuffix(".0")}"]' in pyproject
    assert newest["torch"] == "torch" and newest["python"] > oldest["python"]
    assert set(jobs["publish"]["needs"]) == {"build", "wheel"}
    version = (house.ROOT / "cwn_lite" / "__init__.py").read_text(encoding="utf8")
    assert re.search(r'^__version__ = "[\d.]+"$', version, re.MULTILINE), "what the release compares its tag with"


def test_dependabot_watches_actions_and_the_lock() -> None:
    settings = yaml.safe_load((house.ROOT / ".github" / "dependabot.yml").read_text(encoding="utf8"))
    assert settings["version"] == 2
    assert {update["package-ecosystem"] for update in settings["updates"]} == {"github-actions", "pip"}


def test_colab_s_list_becomes_constraints() -> None:
    found = runpy.run_path(str(house.ROOT / ".ci" / "colab.py"))
    (example,) = doctest.DocTestFinder().find(found["constraint"], "constraint", globs=found)
    assert doctest.DocTestRunner().run(example) == (0, 2)
    lines = ["# pip freeze", "PyYAML==6.0.1", "prometheus.client==1.0rc1", "a-b @ git+https://c/d.git@0123"]
    assert [found["constraint"](line) for line in lines] == [None, "PyYAML==6.0.1", "prometheus.client==1.0rc1", None]


def test_what_tries_the_wheel_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(house.ROOT / ".ci" / "wheel.py"), run_name="__main__")
    assert "examples and the recipe work" in capsys.readouterr().out
