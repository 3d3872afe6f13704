"""Which files EvalPlus has published: by data set, release and variant, each with its name, its
number of tasks and its SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GET: Final = "{file} of release {version} of github.com/evalplus/{repo} (Apache-2.0)"
RELEASES: Final[Mapping[tuple[str, str, str], tuple[str, int, str | None]]] = {
    ("humaneval", "v0.1.10", "full"): (
        "HumanEvalPlus.jsonl.gz", 164,
        "272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
    ),
    ("humaneval", "v0.1.10", "mini"): (
        "HumanEvalPlus-Mini.jsonl.gz", 164,
        "91486741f1627101021fbe50523df08eebb5b0bf5e804b633dcd5ca3c14dbd2f",
    ),
    ("humaneval", "v0.1.10", "noextreme"): (
        "HumanEvalPlus-NoExtreme.jsonl.gz", 164,
        "298f79977b2663b8b8ab6b5fa50b17d6f23a92603d24f39e26203fe58c37eeda",
    ),
    ("mbpp", "v0.2.0", "full"): (
        "MbppPlus.jsonl.gz", 378,
        "af43697e8791c4c149bdfd6b489d8b5412507551ac20e28a439f650b8225db63",
    ),
    ("mbpp", "v0.2.0", "noextreme"): (
        "MbppPlus-NoExtreme.jsonl.gz", 378,
        "72d32acaea73d5606cb97041b30d45bbda9435a675369d3e31965513ee94e564",
    ),
    # Released before digests were kept with it: its number of tasks is checked.
    ("mbpp", "v0.1.0", "full"): ("MbppPlus-v0.1.0.jsonl.gz", 399, None),
}  # fmt: skip
