"""How strictly each language is judged: what a grammar refuses is not always wrong.

Of files that real projects ship, tree-sitter finds errors in none of Python's and Java's, in 1.5%
of Go's and less of JavaScript's, PHP's and Ruby's, but in 51 to 55% of C's and 34% of C++'s
(macros), 78% of HTML's, 33% of CSS's and 85% of SQL's (measured). So some are strict, some have a
budget, which is a share of the text's bytes that may lie in errors, and some are not judged.
Languages that nobody has measured have the budget. All is ours, from the measurement; the paper
only says that files with syntax errors are dropped (section 2.2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BUDGET: Final = 0.05  # of bytes; C 13%, C++ 6.6%, HTML 3.3%, CSS 5.8% of shipped files are above it

STRICT: Final = frozenset(("python", "java", "go", "javascript", "php", "ruby", "rust"))
# Dialects, templates and prose: the grammar says nothing of them.
UNJUDGED: Final = frozenset(
    (
        "", "sql", "plsql", "tsql", "markdown", "rst", "restructuredtext", "org", "asciidoc",
        "text", "latex", "tex", "bibtex", "xml", "svg", "csv", "tsv", "psv", "po", "diff", "ini",
        "properties", "requirements", "gitignore", "gitattributes", "gitcommit", "comment",
        "regex", "query", "test", "pem", "typst", "mermaid", "twig", "doxygen", "jsdoc", "luadoc",
        "printf", "assembly", "asm",
    )
)  # fmt: skip

# Names of languages that their grammar has another name for.
_GRAMMARS: Final[Mapping[str, str]] = {
    "c++": "cpp", "c#": "csharp", "c-sharp": "csharp", "f#": "fsharp", "objective-c": "objc",
    "objectivec": "objc", "objective-c++": "objc", "shell": "bash", "sh": "bash", "zsh": "bash",
    "typescriptreact": "tsx", "jsx": "javascript", "javascriptreact": "javascript", "golang": "go",
    "emacs lisp": "elisp", "emacs-lisp": "elisp", "common lisp": "commonlisp",
    "common-lisp": "commonlisp", "makefile": "make", "protocol buffer": "proto",
    "protocol-buffer": "proto", "protobuf": "proto", "viml": "vim", "vim script": "vim",
    "vim-script": "vim", "visual basic": "", "systemverilog": "verilog", "docker": "dockerfile",
    "webassembly": "wat", "tcsh": "", "batchfile": "", "delphi": "pascal", "less": "",
}  # fmt: skip


def grammar_of(language: str) -> str:
    """Return the grammar's name for a language as `curate.languages` names it, "" for none."""
    name = language.lower()
    if name in UNJUDGED:
        return ""
    return _GRAMMARS.get(name, name.replace(" ", "").replace("-", ""))


def budget_of(language: str, budgets: Mapping[str, float]) -> float:
    """Return the share of bytes that may lie in errors; 0 is none. budgets: a recipe's own."""
    name = language.lower()
    if name in budgets:
        return budgets[name]
    return 0.0 if grammar_of(name) in STRICT else BUDGET
