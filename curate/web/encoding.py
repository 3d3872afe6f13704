"""The bytes of a page as text.

In this order (the HTML standard's, shortened): a byte order mark, what the HTTP header says, what
the page says in its first 1,024 bytes, UTF-8 where it is that without a fault, Windows-1252.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I)
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_HEAD_BYTES: Final = 1024
# What pages mean who say so (the Encoding standard's labels).
_MEANT: Final = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}


def text_of(body: bytes, content_type: str = "") -> str:
    """Return the page's text. Bytes that are none in its encoding become U+FFFD; never raises."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    found = _CHARSET.search(content_type)
    declared = _DECLARED.search(body[:_HEAD_BYTES])
    for name in (found[1] if found else "", declared[1].decode("ascii") if declared else ""):
        known = _codec(name)
        if known:
            return body.decode(known, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _codec(name: str) -> str:
    """Return Python's name of a text encoding, "" for what is none."""
    if not name:
        return ""
    try:
        info = codecs.lookup(name)
        b"x".decode(name, "replace")  # base64 and its like are codecs too, but of no text
    except (LookupError, ValueError):
        return ""
    return _MEANT.get(info.name, info.name)
