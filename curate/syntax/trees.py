"""How much of a text a grammar does not understand.

The grammars are those of tree-sitter-language-pack 0.10.0, which brings them along (later releases
fetch them at first use). Each is loaded once a process.

Does not guard: a grammar's C code that hangs or ends its process. The engine that computes a step
does: such a text is put in quarantine, alone.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from seedcoder.errors import MachineLacks

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


def require() -> None:
    """MachineLacks where the grammars are not installed."""
    for name in ("tree_sitter", "tree_sitter_language_pack"):
        if importlib.util.find_spec(name) is None:
            raise MachineLacks(
                f"step 'syntax' needs the 'curate' extra: pip install -e '.[curate]' (no {name})"
            )


@cache
def parser_of(grammar: str) -> Parser | None:
    """Return a grammar's parser, None where there is no such grammar."""
    from tree_sitter_language_pack import get_parser

    try:
        return get_parser(cast(Any, grammar))
    except LookupError:
        return None


def error_bytes(parser: Parser, text: bytes) -> int:
    """Return how many bytes lie in errors; a token that is missing counts as one."""
    return wrong_bytes(parser.parse(text).root_node)


def wrong_bytes(root: Node) -> int:
    """Return the bytes of the outermost errors of a tree."""
    wrong, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        if not node.has_error:
            continue
        if node.is_missing:
            wrong += 1
        elif node.is_error:
            wrong += max(1, node.end_byte - node.start_byte)
        else:
            waiting.extend(node.children)
    return wrong
