"""The program out of a reply, each benchmark by the rule of its own authors."""

from __future__ import annotations

import re
from typing import Final

_FENCE: Final = "```"
_FIRST_BLOCK: Final = re.compile(r"```(?:[\w+#]*)\r?\n?([\s\S]*?)\r?\n?```")


def between_last_fences(text: str) -> str:
    """Return what stands between the last two lines with a fence; "" where there are not two.

    LiveCodeBench/LiveCodeBench lcb_runner/utils/extraction_utils.py (`extract_code`).
    """
    lines = text.split("\n")
    fences = [place for place, line in enumerate(lines) if _FENCE in line]
    if len(fences) < 2:
        return ""
    return "\n".join(lines[fences[-2] + 1 : fences[-1]])


def last_block(text: str, tag: str) -> str:
    """Return the last block that opens with the tag alone on its fence line; "" where none does.

    A block that the reply does not close reaches to its end. huggingface/ioi generate/evaluate.py
    (`extract_code`: what stands behind the last "```cpp" up to the next fence).
    """
    opening = f"{_FENCE}{tag}\n"
    if opening not in text:
        return ""
    return text.rpartition(opening)[2].partition(_FENCE)[0].strip()


def first_block(text: str) -> str | None:
    """Return the first fenced block, None where there is none.

    CodeEditorBench/CodeEditorBench result_postprocess.py (`extract_code_first`).
    """
    found = _FIRST_BLOCK.search(text)
    return found[1].strip() if found else None


def final_block(text: str) -> str:
    """Return the last fenced block of the reply, whatever its tag; "" where there is none.

    CodeElo asks for "the complete code in a code block" in the end.
    """
    blocks = _FIRST_BLOCK.findall(text)
    return blocks[-1].strip() if blocks else ""
