"""An uploaded form (multipart/form-data) as it comes: small fields, and one file that is streamed.

Nothing of the file is held in memory but the piece that has just come. Guards against fields
without end, several files, a form that breaks off. The parser is python-multipart's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from serve.fault import Fault

_FIELDS_MOST = 32  # ours
_FIELD_MOST_BYTES = 4096  # ours
_FILENAME_MOST = 255


@dataclass(slots=True)
class Form:
    """What a form brought. filename: None where it brought no file."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None


async def read_form(
    chunks: AsyncIterator[bytes], content_type: str, write: Callable[[bytes], None]
) -> Form:
    """Read a form; `write` gets the bytes of the field `file`, in a thread.

    Raises Fault 400 (415 for what is no form), and what `write` raises.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Fault(415, "upload a file as multipart/form-data, with the fields file and purpose")
    boundary = options.get(b"boundary")
    if not boundary:
        raise Fault(400, "the content type has no boundary")
    parts = _Parts(parse_options_header)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        async for chunk in chunks:
            parser.write(chunk)
            if parts.arrived:
                data = b"".join(parts.arrived)
                parts.arrived.clear()
                await asyncio.to_thread(write, data)
    except FormParserError as error:
        raise Fault(400, f"the form cannot be read: {error}"[:300]) from None
    if not parts.is_whole:
        raise Fault(400, "the form breaks off before its end")
    return parts.form


class _Parts:
    """What the parser calls, part by part."""

    def __init__(self, options: Callable[[bytes], tuple[bytes, dict[bytes, bytes]]]) -> None:
        self.form = Form()
        self.arrived: list[bytes] = []  # of the file, not yet written
        self.is_whole = False
        self._options = options
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._name = ""
        self._is_file = False
        self._field = b""
        self._count = 0

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_header,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take_data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._disposition, self._field = b"", b""
        self._count += 1
        if self._count > _FIELDS_MOST:
            raise Fault(400, f"a form may have {_FIELDS_MOST} fields")

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        _, options = self._options(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        self._is_file = b"filename" in options or self._name == "file"
        if not self._is_file:
            return
        if self._name != "file":
            raise Fault(400, "the file must be in the field 'file'", param="file")
        if self.form.filename is not None:
            raise Fault(400, "a form may bring one file", param="file")
        self.form.filename = _plain(options.get(b"filename", b"").decode(errors="replace"))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.arrived.append(data[start:end])
            return
        self._field += data[start:end]
        if len(self._field) > _FIELD_MOST_BYTES:
            raise Fault(400, f"{self._name[:64]}: a field may have {_FIELD_MOST_BYTES} bytes")

    def _end(self) -> None:
        if not self._is_file:
            self.form.fields[self._name] = self._field.decode(errors="replace")

    def _finish(self) -> None:
        self.is_whole = True


def _plain(filename: str) -> str:
    """Return a name to show: no folders, nothing that a terminal would obey."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in name if c.isprintable())[:_FILENAME_MOST] or "file"
