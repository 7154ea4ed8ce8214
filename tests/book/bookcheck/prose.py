"""What a reader reads: Markdown without its code."""

import re

FENCE = re.compile(r"^(?P<indent>[ ]*)(?P<fence>`{3,}|~{3,}|:{3,})[ \t]*(?P<info>[^`\n]*)$")
CODE_DIRECTIVES = {"code", "code-block", "code-cell", "literalinclude", "sourcecode"}
CODE_DIRECTIVES |= {"bibliography", "tableofcontents", "raw", "eval-rst"}
ROLE = r"\{[\w:-]+\}`[^`]*`"
ROLE_OR_SPAN = re.compile(rf"(?P<role>{ROLE})|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)", re.DOTALL)
COMMENT = re.compile(r"<!--(?s:.*?)-->|^%.*$", re.MULTILINE)


def without_code(markdown: str, keep: tuple[str, ...] = ()) -> str:
    """Drop code blocks, code spans and comments. Directives with prose in them lose their fences; those named
    in `keep` keep them, as colons."""
    kept: list[str] = []
    open_fences: list[tuple[str, bool, bool]] = []  # fence, is code, is kept whole
    for line in markdown.split("\n"):
        match = FENCE.match(line)
        in_code = bool(open_fences) and open_fences[-1][1]
        if match and open_fences and not match["info"].strip() and match["fence"].startswith(open_fences[-1][0]):
            fence_kept = open_fences.pop()[2]
            kept.append(line.replace("`", ":") if fence_kept else "")
        elif match and not in_code:
            directive = re.match(r"\{([\w:-]+)\}", match["info"])
            name = directive[1] if directive else None
            is_code = name is None or name in CODE_DIRECTIVES
            is_kept = name in keep
            open_fences.append((match["fence"], is_code, is_kept))
            title = match["info"][directive.end() :] if directive else ""
            kept.append(line.replace("`", ":") if is_kept else "" if is_code else title)
        else:
            kept.append("" if in_code else line)
    text = COMMENT.sub("", "\n".join(kept))
    return ROLE_OR_SPAN.sub(lambda match: match["role"] or "", text)
