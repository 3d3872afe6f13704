"""Syntax trees of tree-sitter, for the graders whose authors cut answers by them.

The grammars are those of tree-sitter-language-pack 0.10.0, which brings them along (later releases
fetch them when they are first used). They are newer than the authors', so a text that one of them
takes for an error may differ at the edges of a language.

What a model wrote is parsed in this process, and never run. Does not cover: a fault in a grammar's
C code, which would end the process.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from seedcoder.errors import MachineLacks

PACKAGE: Final = "tree-sitter-language-pack==0.10.0"
_MODULE: Final = "tree_sitter_language_pack"


def there() -> bool:
    """Return True where the grammars are installed."""
    return importlib.util.find_spec(_MODULE) is not None


@cache
def _parser(language: str) -> Any:
    if not there():
        raise MachineLacks(f"this grader reads syntax trees: pip install {PACKAGE}")
    return importlib.import_module(_MODULE).get_parser(language)


def tree(text: str, language: str) -> Any:
    """Return the root node. language: "python", "java", "cpp" or "csharp".

    Raises MachineLacks where the grammars are not installed.
    """
    return _parser(language).parse(text.encode("utf-8", "replace")).root_node


def walk(root: Any) -> Iterator[tuple[Any, bool]]:
    """Yield each node twice, depth first: (node, True) on the way in, (node, False) out."""
    stack = [(root, True)]
    while stack:
        node, entering = stack.pop()
        yield node, entering
        if entering:
            stack.append((node, False))
            stack.extend((child, True) for child in reversed(node.children))


def parses(text: str, language: str) -> bool:
    """Return True where the tree has no node ERROR; what only is missing does not count."""
    root = tree(text, language)
    # has_error is true for missing tokens too, but where it is false there is nothing to look for.
    return not root.has_error or all(node.type != "ERROR" for node, _ in walk(root))


def python_bodies(text: str) -> list[str]:
    """Return the bodies of all functions, each before those inside it.

    Raises ValueError for a function whose last part is no block.
    """
    bodies = []
    for node, entering in walk(tree(text, "python")):
        if entering and node.type == "function_definition":
            block = node.children[-1]
            if block.type != "block":
                raise ValueError("a function without a block")
            bodies.append(block.text.decode())
    return bodies
