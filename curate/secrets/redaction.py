"""Put something harmless in the place of what was found, so that the code still parses.

A word, a number or an address is replaced by one of the same form (ours; the marks <KEY> and
<EMAIL> of other corpora break XML, HTML and JSX): names of RFC 2606, addresses of RFC 5737 and
RFC 3849. In one text the same value always gets the same one. Nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from curate.secrets.scan import Finding

_MASKS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "key": lambda _: b"REDACTED_KEY",
    "password": lambda _: b"REDACTED_PASSWORD",
    "url password": lambda _: b"REDACTED_PASSWORD",
    "block": lambda _: b"REDACTED_KEY",
    "e-mail": lambda number: b"user%d@example.com" % number,
    "ipv4": lambda number: b"192.0.2.%d" % ((number - 1) % 254 + 1),
    "ipv6": lambda number: b"2001:db8::%x" % number,
    "phone": lambda number: b"+1 202 555 01%02d" % (number % 100),
}


def redact(text: bytes, findings: Sequence[Finding]) -> bytes:
    """Return the text with every finding replaced. findings: in order, none overlapping."""
    numbers: dict[str, dict[bytes, int]] = {}
    pieces: list[bytes] = []
    done = 0
    for one in findings:
        value = text[one.start : one.end]
        of_kind = numbers.setdefault(one.mask, {})
        number = of_kind.setdefault(value, len(of_kind) + 1)
        pieces += (text[done : one.start], _MASKS[one.mask](number))
        done = one.end
    pieces.append(text[done:])
    return b"".join(pieces)
