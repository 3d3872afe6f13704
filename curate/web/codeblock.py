"""Code on a page: its text as it is, and its language as the page says it.

Peers whose marks of languages were read: facebook/docusaurus and PrismJS (language-x), Sphinx
(highlight-x), pandoc (sourceCode x), SyntaxHighlighter (brush: x), org-mode (src-x), GitHub
(highlight-source-x). Numbers of lines and buttons inside a block are left out.

Does not do: guess the language of a block that says none; only Python's `>>>` is told.
"""

from __future__ import annotations

import re
from typing import Any, Final

from curate.web.tree import UNSEEN, is_mark, steps

# Names that pages use -> ours. A name that is its own is here too: what stands after "highlight-"
# is taken for a language only where it is known.
_NAMES: Final = {
    alias: name
    for name, aliases in {
        "python": "py python3 python2 py3 ipython ipython3 sage",
        "pycon": "pycon3 python-console python-repl doctest", "javascript": "js jsx node mjs",
        "typescript": "ts tsx", "java": "", "kotlin": "kt", "c": "objc-c h",
        "c++": "cpp cxx cc hpp", "c#": "csharp cs", "go": "golang", "rust": "rs",
        "ruby": "rb irb", "php": "", "perl": "pl", "lua": "", "r": "rsplus",
        "shell": "sh bash zsh console shell-session shellsession bash-session ksh terminal",
        "powershell": "ps1 pwsh posh", "batchfile": "bat batch dos dosbatch cmd doscon",
        "sql": "mysql postgresql plpgsql pgsql sqlite3 tsql plsql", "html": "xhtml htm",
        "css": "", "scss": "sass", "less": "", "xml": "xsd svg", "json": "json5 jsonc",
        "yaml": "yml", "toml": "", "ini": "cfg conf", "diff": "patch udiff",
        "makefile": "make mak", "dockerfile": "docker", "cmake": "", "scala": "", "swift": "",
        "haskell": "hs", "ocaml": "ml", "f#": "fsharp", "clojure": "clj", "elixir": "ex",
        "erlang": "erl", "common lisp": "lisp cl common-lisp", "emacs lisp": "elisp emacs-lisp",
        "scheme": "scm", "racket": "rkt", "julia": "jl", "matlab": "octave", "fortran": "f90",
        "assembly": "asm nasm gas", "visual basic": "vb vbnet vb.net", "tex": "latex",
        "markdown": "md", "restructuredtext": "rst",
        "html+django": "django jinja jinja2 html+jinja htmldjango", "http": "", "nginx": "",
        "apache": "apacheconf", "graphql": "gql", "protocol buffer": "proto protobuf",
        "solidity": "sol", "dart": "", "groovy": "", "tcl": "", "vim script": "vim viml",
        "text": "none plain plaintext txt nohighlight output",
    }.items()
    for alias in (name, *aliases.split())
}  # fmt: skip
_SURE: Final = re.compile(r"(?:language|lang|highlight-source|src|brush:)-?([\w+#.-]{1,30})")
_LIKELY: Final = re.compile(r"(?:highlight|hl|code|syntax|prettyprint)-([\w+#.-]{1,30})")
_BESIDE: Final = frozenset(("sourcecode", "hljs", "highlight", "brush:", "src", "prettyprint"))
_ABOVE: Final = 3  # ours: how far above the block its language is looked for
_LINES: Final = frozenset(
    ("div", "p", "li", "tr", "table", "tbody", "ol", "ul", "section", "article")
)


def code_text(node: Any) -> str:
    """Return the text of a `<pre>` or of another element of code, byte for byte as it is shown."""
    parts: list[str] = []
    last = "\n"
    apart = False  # a line of its own ends or begins here

    def skip(one: Any) -> bool:
        return one.is_comment_node or (
            one.is_element_node and (one.tag in UNSEEN or is_mark(one, one.attributes))
        )

    for one, begins in steps(node, skip):
        if one.is_text_node or one.tag == "br":
            if not begins:
                continue
            piece = "\n" if one.tag == "br" else one.text_content or ""
            if apart and last != "\n" and piece and piece[0] != "\n":
                parts.append("\n")
            apart = apart and not piece
            if piece:
                parts.append(piece)
                last = piece[-1]
        elif one.tag in _LINES:
            apart = True
    return "".join(parts)


def language_of(node: Any, text: str) -> str:
    """Return the language that the page gives the block, in lower case; "" where it gives none."""
    inner = node.css_first("code") if node.tag != "code" else None
    looked = [one for one in (inner, node) if one is not None]
    above = node.parent
    for _ in range(_ABOVE):
        if above is None or above.tag in ("body", "html", "main", "article"):
            break
        looked.append(above)
        above = above.parent
    found = next((name for one in looked if (name := _declared(one.attributes))), "")
    if found in ("python", "") and text.lstrip().startswith(">>> "):
        return "pycon"
    return "" if found == "default" else found


def _declared(attributes: dict[str, str | None]) -> str:
    for key in ("data-lang", "data-language", "lang-name"):
        if value := (attributes.get(key) or "").strip().lower():
            return _NAMES.get(value, value[:30])
    tokens = (attributes.get("class") or "").lower().replace(";", " ").split()
    for token in tokens:
        if (match := _SURE.fullmatch(token)) and match[1] not in ("xl", "container"):
            return _NAMES.get(match[1], match[1])
        if (match := _LIKELY.fullmatch(token)) and match[1] in _NAMES:
            return _NAMES[match[1]]
        if token == "highlight-default":
            return "default"
    if not _BESIDE.isdisjoint(tokens):
        return next((_NAMES[token] for token in tokens if token in _NAMES), "")
    return ""
