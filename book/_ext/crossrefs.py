"""What a page's references say outside of the site: words, numbers and whole addresses, as Sphinx resolves them.

Numbers of equations, chapters and exercises and the names of authors are those of the site, since the same domains
are asked. What they do not know is an error: the build stops rather than write a notebook with a hole.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from docutils import nodes
from pybtex.backends import markdown
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import paper_numbers
from chapter_numbers import chapter_number
from origin import Origin

WORDED = re.compile(r"^(?P<words>.+?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
HERE = "here"
"""A page at the site's root that does not exist: what is linked from there is linked from the root."""


class CrossReferences:
    """The references of one page.

    Args:
        app: with the environment of a build that has read all pages.
        page: such as `book/deriving`.
        origin: where links lead.
    """

    def __init__(self, app: Sphinx, page: str, origin: Origin) -> None:
        self.app, self.page, self.origin = app, page, origin
        self.cited: set[str] = set()
        """Keys of the works that were cited so far."""

    def role(self, name: str, content: str) -> str:
        """Return the Markdown of a role.

        Raises:
            ValueError: there is no rule for the role, or it leads nowhere.
        """
        kind, _, form = name.partition(":")
        if kind == "cite":
            return self._citation(form or "p", content)
        if kind == "paper" and (quote := paper_numbers.QUOTE.match(content)):
            return quote["number"]
        if kind == "math":
            return f"${content}$"
        if kind == "eq":
            return self._equation(content)
        if kind in ("ref", "numref", "doc"):
            worded = WORDED.match(content)
            words, target = worded.groups() if worded else ("", content)
            return self.link(words, f"{target}.md" if kind == "doc" else target)
        raise self._error(f"no rule turns the role {{{name}}}`{content}` into Markdown")

    def link(self, words: str, target: str) -> str:
        """Return a link of MyST with a whole address; its words alone, where the page has no address.

        Raises:
            ValueError: the target is neither a page nor a label.
        """
        if re.match(r"[a-z]+:", target):
            return f"[{words}]({target})"
        uri, title = self.find(target)
        address = self._address(uri)
        return f"[{words or title}]({address})" if address else words or title

    def leads(self, target: str) -> bool:
        """Return whether a target is one of this book's pages or labels."""
        try:
            return bool(self.find(target))
        except ValueError:
            return False

    def find(self, target: str) -> tuple[str, str]:
        """Return the page and anchor that a link of MyST names, from the site's root, and its title.

        Raises:
            ValueError: the target is neither a page nor a label.
        """
        env, path, anchor = self.app.env, *target.partition("#")[::2]
        docname = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), posixpath.splitext(path)[0]))
        docname = docname if path else self.page
        if docname in env.found_docs:
            number, title = chapter_number(env, docname), env.titles[docname].astext()
            uri = self.app.builder.get_relative_uri(HERE, docname)
            return uri + (f"#{anchor}" if anchor else ""), f"{number}. {title}" if number else title
        standard: Any = env.get_domain("std")
        if target not in standard.anonlabels:
            raise self._error(f"the link to {target!r} leads nowhere")
        docname, identifier = standard.anonlabels[target]
        title = self.number("exercise", target, docname) or standard.labels.get(target, ("", "", target))[2]
        return f"{self.app.builder.get_relative_uri(HERE, docname)}#{identifier}", title

    def number(self, kind: str, label: str, page: str | None = None) -> str:
        """Return the title with the number of what is counted, such as an exercise; nothing for what is not."""
        numbers = self.app.env.toc_fignumbers.get(page or self.page, {}).get(kind, {}).get(label)
        return self.app.config.numfig_format[kind] % ".".join(map(str, numbers)) if numbers else ""

    def tag(self, label: str) -> str:
        """Return the number of an equation, to be set beside it."""
        return str(self._resolved("math", "eq", label).astext()).strip("()")

    def works(self) -> list[str]:
        """Return the works that were cited, as Markdown, in the order of the book's list."""
        domain: Any = self.app.env.get_domain("cite")
        found = {c.key: c.formatted_entry.text.render(_Backend("utf8")) for c in domain.citations}
        return [" ".join(text.split()) for key, text in found.items() if key in self.cited]

    def picture(self, path: str) -> str:
        """Return the address of a picture in the book's repository, or nothing."""
        return self.origin.source(posixpath.normpath(posixpath.join(posixpath.dirname(self.page), path)))

    def _citation(self, form: str, content: str) -> str:
        domain: Any = self.app.env.get_domain("cite")
        keys = {key.strip() for key in content.split(",")}
        if missing := keys - {citation.key for citation in domain.citations}:  # of which Sphinx only warns
            raise self._error(f"{', '.join(sorted(missing))} is not in the bibliography")
        self.cited |= keys
        return str(self._resolved("cite", form, content).astext())

    def _equation(self, label: str) -> str:
        node = self._resolved("math", "eq", label)
        number, uri = node.astext(), node["refuri"]
        address = "" if self._docname(uri) == self.page else self._address(uri)
        return f"[{number}]({address})" if address else number

    def _resolved(self, domain: str, role: str, target: str) -> Any:
        node = pending_xref("", refdoc=self.page)
        resolver: Any = self.app.env.get_domain(domain)
        found = resolver.resolve_xref(self.app.env, HERE, self.app.builder, role, target, node, nodes.inline())
        if found is None or not found.astext():
            raise self._error(f"{{{role}}}`{target}` leads nowhere")
        return found

    def _docname(self, uri: str) -> str:
        return uri.partition("#")[0].removesuffix(".html")

    def _address(self, uri: str) -> str:
        return self.origin.page(uri, str(self.app.env.doc2path(self._docname(uri), base=False)))

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"{self.page}, as a notebook to take away: {problem}")


class _Backend(markdown.Backend):
    """Markdown with as few backslashes as possible, since notebooks take some of them for math."""

    def format_str(self, text: str) -> str:
        return re.sub(r"([\\`*_\[\]<>$])", r"\\\1", text)

    def format_href(self, url: str, text: str, external: bool = False) -> str:
        return f"[{text}]({url})"
