"""What evalplus 0.3.1 takes away from programs before it runs them.

It guards its own process by setting functions to None (`reliability_guard` in evalplus/eval/
utils.py), so that a program which calls `os.system` or `open`, even to no effect, fails there. In
the sandbox such calls are harmless, and allowed. Only `evalplus_compatible` copies this, as lines
in front of the program; they guard nothing.
"""

from __future__ import annotations

import ast
from typing import Final

_OS: Final = (
    "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames "
    "truncate replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir"
)
_LINES: Final = f"""\
# Added for judging: what evalplus 0.3.1 switches off.
import builtins as _b, os as _o, shutil as _s, subprocess as _p, sys as _y
for _n in "{_OS}".split():
    setattr(_o, _n, None)
_b.exit = _b.quit = _b.open = _b.help = _s.rmtree = _s.move = _s.chown = _p.Popen = None
_y.modules.update(dict.fromkeys(["ipdb", "joblib", "resource", "psutil", "tkinter"]))
del _b, _o, _s, _p, _y, _n
"""


def disabled(source: str) -> str:
    """Return the program with upstream's functions switched off before its first line.

    One that does not parse, or holds nothing, is returned as it is.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    if not body:
        return source
    # A docstring and __future__ imports must stay first.
    after = 0
    for place, node in enumerate(body):
        docstring = place == 0 and isinstance(node, ast.Expr)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (docstring or future):
            break
        after = node.end_lineno or 0
    lines = source.split("\n")
    return "\n".join([*lines[:after], _LINES + "\n".join(lines[after:])])
