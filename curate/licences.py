"""Under which licence a text is: an SPDX expression, from its header or from a licence's own text.

A header is `SPDX-License-Identifier: EXPRESSION`, or a sentence that licences prescribe. A file
like LICENSE or COPYING is known by phrases that only one licence has. Does not find: a licence in
other words, or named in a README; and what it finds is no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa

_HEAD_CHARS: Final = 5_000  # ours: where headers are looked for
_SPDX: Final = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+() -]{2,120})")
_SPACE: Final = re.compile(r"[\s*#/;%\"'-]+")
_FILE: Final = re.compile(
    r"(?i)^(?:un)?(?:licen[cs]e|copying|copyright|mit-licen[cs]e)(?:[.-].*)?$"
)

# Phrases in lower case with single spaces: of licence texts and of the headers they prescribe. The
# first that is found decides, so what is said more exactly stands before. After the licences' own
# texts (spdx.org/licenses).
_PHRASES: Final = (
    ("gnu affero general public license version 3", "AGPL-3.0-only"),
    ("gnu lesser general public license version 3", "LGPL-3.0-only"),
    ("gnu lesser general public license version 2.1", "LGPL-2.1-only"),
    ("gnu library general public license version 2", "LGPL-2.0-only"),
    ("gnu lesser general public license as published by the free software foundation either"
     " version 3", "LGPL-3.0-or-later"),
    ("gnu lesser general public license as published by the free software foundation either"
     " version 2.1", "LGPL-2.1-or-later"),
    ("gnu affero general public license as published", "AGPL-3.0-or-later"),
    ("gnu general public license as published by the free software foundation either version 3",
     "GPL-3.0-or-later"),
    ("gnu general public license as published by the free software foundation either version 2",
     "GPL-2.0-or-later"),
    ("gnu general public license version 3", "GPL-3.0-only"),
    ("gnu general public license version 2", "GPL-2.0-only"),
    ("licensed under the apache license version 2.0", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("mozilla public license v. 2.0", "MPL-2.0"),
    ("mozilla public license version 2.0", "MPL-2.0"),
    ("eclipse public license v 2.0", "EPL-2.0"),
    ("eclipse public license v1.0", "EPL-1.0"),
    ("boost software license version 1.0", "BSL-1.0"),
    ("permission to use, copy, modify, and/or distribute this software for any purpose with or"
     " without fee is hereby granted, provided", "ISC"),
    ("permission to use, copy, modify, and/or distribute this software for any purpose with or"
     " without fee is hereby granted.", "0BSD"),
    ("permission is hereby granted, free of charge, to any person obtaining a copy of this"
     " software and associated documentation files", "MIT"),
    ("neither the name of", "BSD-3-Clause"),
    ("redistributions in binary form must reproduce the above copyright notice", "BSD-2-Clause"),
    ("use of this source code is governed by a bsd style license", "BSD-3-Clause"),
    ("use of this source code is governed by an mit style license", "MIT"),
    ("this is free and unencumbered software released into the public domain", "Unlicense"),
    ("cc0 1.0 universal", "CC0-1.0"),
    ("python software foundation license version 2", "PSF-2.0"),
    ("do what the fuck you want to public license", "WTFPL"),
    ("this software is provided as is , without any express or implied warranty. in no event will"
     " the authors be held liable", "Zlib"),
)  # fmt: skip
_TELLING: Final = re.compile(r"(?i)licen[sc]|spdx|redistribut|public domain|permission")

# Those that let code be used with little more than a notice (the groups of the Blue Oak Council).
PERMISSIVE: Final = frozenset(
    (
        "0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
        "ISC", "MIT", "MIT-0", "NCSA", "PSF-2.0", "Python-2.0", "Unlicense", "WTFPL", "Zlib",
        "X11", "curl", "PostgreSQL", "blessing",
    )
)  # fmt: skip


def is_licence_file(path: str) -> bool:
    """Whether a file by its name holds a licence: LICENSE, COPYING.txt, LICENSE-MIT..."""
    return bool(_FILE.match(PurePosixPath(path).name))


def licence_of(text: str) -> str:
    """Return the SPDX expression that a text names for itself, "" where it names none."""
    head = text[:_HEAD_CHARS]
    if not _TELLING.search(head):
        return ""
    if match := _SPDX.search(head):
        return " ".join(match[1].replace("*/", "").rstrip(" -").split())
    plain = _SPACE.sub(" ", head.lower().replace(",", ", ")).replace(" ,", ",").replace("  ", " ")
    plain = plain.replace(", version", " version").replace(" (the license)", "")
    for phrase, name in _PHRASES:
        if phrase.replace(", version", " version") in plain:
            return name
    return ""


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression leaves a permissive choice: all of AND, any of OR."""
    bare = expression.replace("(", " ").replace(")", " ")
    if not bare.strip():
        return False
    return any(
        all(part.split(" WITH ")[0].strip() in PERMISSIVE for part in choice.split(" AND "))
        for choice in re.split(r"\s+OR\s+", bare)
    )


class Licence:
    """The step. Columns: keep (permissive), reason, spdx (of the text, else of its repository)."""

    name = "licence"
    version = 1
    reads = ("text", "licence")

    def __init__(self, *, allow: tuple[str, ...], unknown: bool) -> None:
        """See `licence`."""
        self._allow, self._unknown = frozenset(allow), unknown

    def schema(self) -> pa.Schema:
        """Return keep, reason, spdx."""
        return pa.schema([("keep", pa.bool_()), ("reason", pa.string()), ("spdx", pa.string())])

    def settings(self) -> Mapping[str, Any]:
        """Return what is allowed."""
        return {"allow": sorted(self._allow), "unknown": self._unknown}

    def compute(self, table: pa.Table) -> pa.Table:
        """Look at the head of each text."""
        texts = table.column("text").to_pylist()
        known = table.column("licence").to_pylist()
        found = [licence_of(text) or own for text, own in zip(texts, known, strict=True)]
        reasons = [self._reason(one) for one in found]
        return pa.table({"keep": [not why for why in reasons], "reason": reasons, "spdx": found})

    def _reason(self, expression: str) -> str:
        if not expression:
            return "" if self._unknown else "no licence found"
        if is_permissive(expression) or expression in self._allow:
            return ""
        return f"licence {expression}"


def licence(*, allow: tuple[str, ...] = (), unknown: bool = False) -> Licence:
    """Keep permissive licences. allow: SPDX expressions beside them. unknown: keep texts of which
    no licence was found."""
    return Licence(allow=allow, unknown=unknown)
