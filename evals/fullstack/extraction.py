"""The code in a reply, as FullStackBench's judge takes it.

The rules of `extract_code_from_freeform_completion` in `sandbox/utils/extraction.py` of
bytedance/SandboxFusion, with `first_block_only`: the first fenced block, whatever its language;
else the rest behind a fence that is never closed; else, for Python, SQL and Bash, what looks like
code. Then the parts that show the code off are cut away, language by language.
"""

from __future__ import annotations

import re
from typing import Final

_FENCED: Final = re.compile(r"```[^\n]*\n(.*?)\n\s*```", re.DOTALL)
_OPEN: Final = re.compile(r"```[^\n]*\n(.*)", re.DOTALL)
_PYTHON: Final = re.compile(
    r"(?:^(?:import|from|#)[^\n]+\n)*^(?:def|class) [^\n]+\n(?:[ \t]+[^\n]+\n)+", re.MULTILINE
)
_SQL: Final = re.compile(r"^\s*(?:select|with\s[^\n]+as)[^;]*", re.MULTILINE | re.IGNORECASE)


def first_block(reply: str, language: str) -> str:
    """Return the code of a reply, "" where it holds none. language: as the row names it."""
    code = _cut(_block(reply, language).replace("\r", ""), language)
    if "# Example usage" in code:
        code = code[: code.index("# Example usage")].strip()
    return code


def without_main(code: str) -> str:
    """Return the code up to where it runs itself, as `append_test` of `datasets/auto_eval.py`."""
    return code.partition("if __name__ ==")[0]


def _block(reply: str, language: str) -> str:
    for pattern in (_FENCED, _OPEN):
        if found := pattern.search(reply):
            return found[1]
    lines = [line for line in reply.split("\n") if line.strip()]
    text = "\n".join([*lines, ""])
    if language == "python":
        match = _PYTHON.search(text)
    elif language == "sql":
        match = _SQL.search(text)
    else:
        return text if language == "bash" else ""
    return match[0] if match else ""


def _cut(code: str, language: str) -> str:
    if language == "python" and 'if __name__ == "__main__":' in code:
        return code[: code.index('if __name__ == "__main__":')].strip()
    if language == "cpp" and "int main()" in code:
        return code[: code.index("int main()")].strip()
    if language == "go":
        return code.replace("package main", "")
    return code
