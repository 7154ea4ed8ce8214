"""The foot of a page: what is known of it and nothing else, and ways back to whoever builds it."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import browse
import foot
import origin
import pytest
import yaml

import cwn_lite

pytestmark = pytest.mark.site

HOME = origin.Origin("https://github.com/teacher/fork", "12ab")


def git(folder: Path, *arguments: str, when: str = "") -> None:
    stamp = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, env=stamp | PATH)


PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of two pages: one changed in January, both made the year before."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for name in ("a.md", "b.md"):
        (folder / name).write_text("one", encoding="utf8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "one", when="2025-11-05T12:00:00+00:00")
    (folder / "a.md").write_text("two", encoding="utf8")
    git(folder, "commit", "--quiet", "--all", "--message", "two", when="2026-01-31T23:30:00+00:00")
    return folder


def test_the_day_is_that_of_the_page_s_last_commit(checkout: Path) -> None:
    assert foot.day(checkout / "a.md") == date(2026, 1, 31)
    assert foot.day(checkout / "b.md") == date(2025, 11, 5)


def test_a_day_that_is_not_known_is_not_invented(checkout: Path, tmp_path: Path) -> None:
    (checkout / "b.md").write_text("not committed", encoding="utf8")
    (checkout / "c.md").write_text("new", encoding="utf8")
    assert foot.day(checkout / "b.md") is None and foot.day(checkout / "c.md") is None
    git(tmp_path, "clone", "--quiet", "--depth", "1", checkout.as_uri(), "shallow")
    assert foot.day(tmp_path / "shallow" / "b.md") is None  # its only commit says nothing of this page
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.md").touch()
    assert foot.day(tmp_path / "plain" / "a.md") is None


def test_without_a_home_nothing_outside_is_named() -> None:
    written = foot.foot("book/a.ipynb", "A", origin.Origin(commit="12ab"), date(2026, 1, 31))
    assert "http" not in written and "<a" not in written
    assert f"cwn_lite {cwn_lite.__version__}<" in written and "Text of <time>2026-01-31</time>" in written


def test_the_ways_back_are_the_builder_s() -> None:
    written = unescape(foot.foot("book/a.ipynb", "A & B", HOME, None))
    source, edit, report = re.findall(r'href="([^"]+)"', written)
    assert source == f"{HOME.repository}/blob/12ab/book/a.ipynb"
    assert edit == f"{HOME.repository}/edit/main/book/a.ipynb"
    asked = urlsplit(report)
    assert report.startswith(f"{HOME.repository}/issues/new?")
    assert parse_qs(asked.query) == {"title": ["A & B: "], "body": ["Page: book/a.ipynb\nCommit: 12ab\n\n"]}
    elsewhere = foot.foot("book/a.md", "A", origin.Origin("https://git.example.org/a/b", "12ab"), None)
    assert elsewhere.count("<a ") == 1  # the source; how another host edits is not known


def test_what_ran_a_page_is_said_where_something_ran() -> None:
    assert "PyTorch" in foot.foot("book/a.ipynb", "A", HOME, None)
    assert "PyTorch" not in foot.foot("book/a.md", "A", HOME, None)


def test_edits_go_to_the_branch_that_the_pages_are_built_from() -> None:
    text = (browse.ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf8")
    flow = yaml.safe_load(text)
    assert flow[True]["push"]["branches"] == [origin.BRANCH]  # YAML reads the key `on` as true
    checkout = flow["jobs"]["build"]["steps"][0]
    assert checkout["with"]["fetch-depth"] == 0, "pages would lose their dates"


@pytest.mark.parametrize("name", [*browse.pages(), "search.html", "404.html"])
def test_every_page_has_its_foot(name: str) -> None:
    if not (browse.HTML / name).is_file():
        pytest.skip("the book is not built: run `make book`")
    (found,) = re.findall(r'<p class="cwn-foot">(.*?)</p>', (browse.HTML / name).read_text(encoding="utf8"))
    assert f"cwn_lite {cwn_lite.__version__}" in found
    assert ("PyTorch" in found) == (browse.ROOT / name).with_suffix(".ipynb").is_file()
