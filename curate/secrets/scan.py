"""The scan: triggers by a linear-time engine over all texts at once, then shapes around them.

hyperscan where it is installed, else RE2 (Arrow's). Both give the same findings; a test holds them
to it. Time is linear in the text: triggers are of bounded length, and a shape looks at a window of
fixed size around a trigger.

Does not guard: secrets of kinds that are not in `kinds`, secrets in an encoding (base64 of a key),
names of people, and private keys longer than 16 kB.
"""

from __future__ import annotations

import importlib.util
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from curate.secrets.kinds import PERSONAL, SECRETS, Kind

Engine = Literal["hyperscan", "re2"]

_PIECE: Final = 1 << 16  # ours: bytes; longer lines are cut, with the longest trigger's overlap
_OVERLAP: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """A secret in a text: where (bytes of its UTF-8), of which kind (a name), and its mask."""

    start: int
    end: int
    kind: str
    mask: str


def kinds_of(personal: bool) -> tuple[Kind, ...]:
    """Return what is looked for."""
    return SECRETS + PERSONAL if personal else SECRETS


def best_engine() -> Engine:
    """Return "hyperscan" where it is installed (Intel and ARM), else "re2"."""
    return "hyperscan" if importlib.util.find_spec("hyperscan") is not None else "re2"


def find(
    data: bytes, bounds: Sequence[int], *, personal: bool = True, engine: Engine | None = None
) -> dict[int, list[Finding]]:
    """Return the findings of each text that has some, by its number, in order, none overlapping.

    data: the UTF-8 of all texts, one behind another. bounds: where each begins, and the last ends.
    """
    kinds = kinds_of(personal)
    hits = _by_hyperscan if (engine or best_engine()) == "hyperscan" else _by_re2
    found: dict[int, set[Finding]] = {}
    last: dict[int, tuple[int, int]] = {}
    for number, at in hits(data, personal):
        kind = kinds[number]
        text = bisect_right(bounds, at - 1) - 1
        begin, end = bounds[text], bounds[text + 1]
        if last.get(number, (0, 0))[0] < at <= last.get(number, (0, 0))[1]:
            continue  # inside a finding of the same kind
        low, high = max(begin, at - kind.before), min(end, at + kind.after)
        for match in kind.shape.finditer(data[low:high]):
            start, stop = (low + place for place in match.span("secret"))
            if low + match.start() < at <= low + match.end() and kind.stands(match):
                last[number] = (low + match.start(), stop)
                finding = Finding(
                    start=start - begin, end=stop - begin, kind=kind.name, mask=kind.mask
                )
                found.setdefault(text, set()).add(finding)
                break
    return {text: _apart(found[text]) for text in sorted(found)}


def _apart(findings: set[Finding]) -> list[Finding]:
    """Return findings in order; of overlapping ones the first and longest."""
    kept: list[Finding] = []
    for one in sorted(findings, key=lambda f: (f.start, -f.end, f.kind)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _by_hyperscan(data: bytes, personal: bool) -> Iterator[tuple[int, int]]:
    """Yield each trigger's number and the byte behind its end."""
    found: list[tuple[int, int]] = []

    def note(number: int, _begin: int, end: int, _flags: int, _context: Any) -> None:
        found.append((number, end))

    database, scratch = _database(personal)
    database.scan(data, match_event_handler=note, scratch=scratch)
    found.sort(key=lambda hit: hit[1])
    yield from found


@cache
def _database(personal: bool) -> tuple[Any, Any]:
    import hyperscan

    kinds = kinds_of(personal)
    database = hyperscan.Database()
    database.compile(
        expressions=[kind.trigger.encode() for kind in kinds],
        ids=list(range(len(kinds))),
        elements=len(kinds),
        flags=0,
    )
    return database, hyperscan.Scratch(database)


# A few bytes that every trigger holds, so that RE2's automaton stays small.
_HINT: Final = (
    r"AKIA|ASIA|ABIA|ACCA|AIza|ya29\.|GOCSPX-|do[opr]_v1_|LTAI|HRKU-|dapi[0-9a-f]|pscale_|gh[pousr]_|"
    r"github_pat_|gl(?:pat|ptt|dt|rt|cbt|ft|soat)-|npm_|pypi-AgE|rubygems_|cio[0-9A-Za-z]|"
    r"oy2[a-z0-9]|dckr_|xox[abeoprs]-|xapp-|:AA[0-9A-Za-z_-]|SG\.|key-[0-9a-f]|-us\d|xkeysib-|"
    r"SK[0-9a-f]|AC[0-9a-f]|[sr]k_(?:live|test|prod)_|whsec_|sq0|shp(?:at|ca|pa|ss)_|T3BlbkFJ|"
    r"sk-ant-|hf_|api_org_|r8_|gsk_|hv[sb]\.|\.atlasv1\.|glsa_|NRAK-|sntry[su]_|PMAK-|lin_|ntn_|"
    r"AGE-SECRET-KEY|eyJ[0-9A-Za-z_-]|(?i:aws)|AccountKey=|[?&]sig=|hooks\.slack|/webhooks/|"
    r"(?i:authorization)|[\"']?\s{0,4}[=:]>?\s{0,4}[\"'][^\s\"']|://|PRIVATE KEY|Private-Lines|"
    r"\w@\w|[+-]@\w|\.\d{1,3}\.\d|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:|(?i:phone|mobile|tel|fax|whatsapp)"
)


def _by_re2(data: bytes, personal: bool) -> Iterator[tuple[int, int]]:
    """Yield the same, from the lines in which RE2 finds what a trigger cannot be without.

    There `re` looks for each trigger at every byte; a trigger is of bounded length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = [match.end() for match in re.finditer(rb"\n", data)]
    places: list[int] = []
    pieces: list[bytes] = []
    for begin, end in zip([0, *ends], [*ends, len(data)], strict=True):
        for at in range(begin, end, _PIECE):
            places.append(at)
            pieces.append(data[at : min(end, at + _PIECE + _OVERLAP)])
    # As binary: a piece may be cut inside a character.
    hit = pc.match_substring_regex(pa.array(pieces, pa.large_binary()), _HINT)
    found: set[tuple[int, int]] = set()
    for index in pc.indices_nonzero(hit).to_pylist():
        for number, trigger in enumerate(_triggers(personal)):
            match = trigger.search(pieces[index])
            while match:
                found.add((number, places[index] + match.end()))
                match = trigger.search(pieces[index], match.start() + 1)
    yield from sorted(found, key=lambda hit: hit[1])


@cache
def _triggers(personal: bool) -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(kind.trigger.encode()) for kind in kinds_of(personal))
