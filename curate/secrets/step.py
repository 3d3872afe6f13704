"""The step `secrets`: how many there are in a document, of which kinds, and its text without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from curate.secrets.redaction import redact
from curate.secrets.scan import Finding, best_engine, find
from curate.texts import joined
from seedcoder.errors import MachineLacks

_ROUNDS: Final = 8  # ours; a text that needs a second one has not been seen


class Secrets:
    """The step.

    Columns: value (findings), found (whether any), kinds ("e-mail 2, github token 1", in order of
    name; "" for none), redacted (the text without them; null where nothing was found).

    A document is never dropped for them: `not secrets.found` in a recipe's `select` does that.
    """

    name = "secrets"
    version = 1
    reads = ("text",)
    row_s = 5.0

    def __init__(self, personal: bool, engine: Literal["hyperscan", "re2"]) -> None:
        """Set what is looked for, and by which engine; nothing is compiled yet."""
        self._personal = personal
        self._engine: Literal["hyperscan", "re2"] = engine

    def schema(self) -> pa.Schema:
        """Return value, found, kinds, redacted."""
        return pa.schema(
            [
                ("value", pa.float64()),
                ("found", pa.bool_()),
                ("kinds", pa.string()),
                ("redacted", pa.large_string()),
            ]
        )

    def settings(self) -> Mapping[str, Any]:
        """Return what is looked for; the engines find the same."""
        return {"personal": self._personal}

    def compute(self, table: pa.Table) -> pa.Table:
        """Scan all texts at once, then redact those that have something."""
        rows = table.num_rows
        values = np.zeros(rows)
        kinds = [""] * rows
        redacted: list[str | None] = [None] * rows
        data, bounds = joined(table.column("text"))
        found = find(data, bounds, personal=self._personal, engine=self._engine)
        clean = self._redacted(data, bounds, found)
        for row, findings in found.items():
            values[row] = len(findings)
            counted = Counter(one.kind for one in findings)
            kinds[row] = ", ".join(f"{kind} {counted[kind]}" for kind in sorted(counted))
            redacted[row] = clean[row].decode()
        return pa.table(
            {
                "value": values,
                "found": values > 0,
                "kinds": pa.array(kinds, pa.string()),
                "redacted": pa.array(redacted, pa.large_string()),
            }
        )

    def _redacted(
        self, data: bytes, bounds: Sequence[int], found: Mapping[int, list[Finding]]
    ) -> dict[int, bytes]:
        """Return the texts with findings, redacted; again while one shows that another hid."""
        texts = {row: redact(data[bounds[row] : bounds[row + 1]], found[row]) for row in found}
        rows = list(texts)
        for _ in range(_ROUNDS):
            pieces = [texts[row] for row in rows]
            ends = [0, *accumulate(len(piece) for piece in pieces)]
            more = find(b"".join(pieces), ends, personal=self._personal, engine=self._engine)
            texts |= {rows[at]: redact(pieces[at], findings) for at, findings in more.items()}
            rows = [rows[at] for at in more]
            if not rows:
                break
        return texts


def secrets(
    *, personal: bool = True, engine: Literal["auto", "hyperscan", "re2"] = "auto"
) -> Secrets:
    """Look for secrets, and for e-mail and IP addresses and phone numbers where `personal`.

    MachineLacks: `engine` is hyperscan and it is not installed.
    """
    chosen = best_engine() if engine == "auto" else engine
    if chosen == "hyperscan" and best_engine() != "hyperscan":
        raise MachineLacks("secrets: engine hyperscan is not installed; use auto, or re2")
    return Secrets(personal, chosen)
