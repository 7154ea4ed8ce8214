"""Where the book lives: the repository that builds it, the commit, and the address of the site.

All buttons, links and exported notebooks take it from here, so that a fork's pages lead to the fork.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlencode

from sphinx.application import Sphinx

from cwn_lite.lab.results import provenance

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/github/"
BRANCH = "main"
"""The branch that the pages are built from, and that changes to them are meant for."""
PAGES_BRANCH = "gh-pages"
"""The branch that holds the built site; Colab opens notebooks from a branch on GitHub only."""


@dataclass(frozen=True)
class Origin:
    """The book's home. What is not known is empty, and nothing links there."""

    repository: str = ""
    commit: str = ""
    site: str = ""

    @classmethod
    def of(cls, app: Sphinx) -> Origin:
        """Read REPOSITORY_URL from the environment, the commit from git, `baseurl` from the configuration."""
        return cls(
            repository=os.environ.get("REPOSITORY_URL", "").rstrip("/").removesuffix(".git"),
            commit=provenance.source()["commit"] or "",
            site=app.config.html_baseurl.rstrip("/"),
        )

    def source(self, path: str) -> str:
        """Return the address of a file of the repository, as it was when the site was built.

        Example:
            >>> Origin("https://github.com/a/b", "12ab").source("book/x.ipynb")
            'https://github.com/a/b/blob/12ab/book/x.ipynb'
        """
        return self.repository and f"{self.repository}/blob/{self.commit or 'HEAD'}/{path}"

    def edit(self, path: str) -> str:
        """Return the address at which GitHub lets a reader propose a change of a file.

        Example:
            >>> Origin("https://github.com/a/b", "12ab").edit("book/x.md")
            'https://github.com/a/b/edit/main/book/x.md'
        """
        return f"{self.repository}/edit/{BRANCH}/{path}" if self.repository.startswith(GITHUB) else ""

    def report(self, title: str, body: str) -> str:
        """Return the address at which GitHub opens an issue, with its title and text begun.

        Example:
            >>> Origin("https://github.com/a/b").report("Signals: ", "Page: x")
            'https://github.com/a/b/issues/new?title=Signals%3A+&body=Page%3A+x'
        """
        begun = urlencode({"title": title, "body": body})
        return f"{self.repository}/issues/new?{begun}" if self.repository.startswith(GITHUB) else ""

    def page(self, uri: str, path: str) -> str:
        """Return the address of a page of the site or, where the site has none, of the file it is made of.

        Example:
            >>> Origin("https://github.com/a/b", site="https://a.github.io/b").page("book/x.html#y", "book/x.md")
            'https://a.github.io/b/book/x.html#y'
            >>> Origin("https://github.com/a/b").page("book/x.html#y", "book/x.md")
            'https://github.com/a/b/blob/HEAD/book/x.md'
        """
        return f"{self.site}/{uri}" if self.site else self.source(path)

    def colab(self, path: str) -> str:
        """Return the address at which Colab opens a file of the built site.

        Example:
            >>> Origin("https://github.com/a/b").colab("notebooks/exercises/x.ipynb")
            'https://colab.research.google.com/github/a/b/blob/gh-pages/notebooks/exercises/x.ipynb'
        """
        if not self.repository.startswith(GITHUB):
            return ""
        return f"{COLAB}{self.repository.removeprefix(GITHUB)}/blob/{PAGES_BRANCH}/{path}"
