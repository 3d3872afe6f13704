"""/v1/files: upload, list, show, read and delete files, in OpenAI's shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from serve.fault import Fault
from serve.gateway.call import Call, Raw, Whole
from serve.gateway.file_store import BATCH_STAYS_S, StoredFile, pieces
from serve.gateway.form import read_form

PURPOSES = ("batch", "user_data")
STAYS_LEAST_S, STAYS_MOST_S = 3600, 2_592_000  # OpenAI's reference of `expires_after`
_LIST_MOST = 10_000  # OpenAI's, and its default


def owner_of(call: Call) -> str:
    """Return whose files and batches a request may see."""
    return call.key.id if call.key is not None else ""


async def upload(call: Call) -> Whole:
    """Take a file."""
    store = call.house.files
    if call.chunks is None:
        raise Fault(400, "the request brings no file", param="file")
    incoming = await asyncio.to_thread(store.begin)
    try:
        content_type = call.headers.get("content-type", "")
        form = await read_form(call.chunks, content_type, incoming.write)
        if form.filename is None:
            raise Fault(400, "the form has no file", param="file")
        purpose = form.fields.get("purpose")
        if purpose not in PURPOSES:
            raise Fault(
                400, f"purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}",
                param="purpose",
            )  # fmt: skip
        stays_s = _stays_s(form.fields, BATCH_STAYS_S if purpose == "batch" else None)
        file = await asyncio.to_thread(
            store.keep, incoming, owner=owner_of(call), filename=form.filename, purpose=purpose,
            stays_s=stays_s,
        )  # fmt: skip
    finally:
        incoming.drop()
    return Whole(body=file.to_json())


async def list_files(call: Call) -> Whole:
    """List the caller's files."""
    found = await asyncio.to_thread(call.house.files.list, owner_of(call))
    purpose = call.query.get("purpose")
    if purpose is not None:
        found = [file for file in found if file.purpose == purpose]
    order = call.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise Fault(400, f"order must be asc or desc, got {order!r}", param="order")
    if order == "asc":
        found.reverse()
    page = page_of(
        [file.to_json() for file in found], call.query, most=_LIST_MOST, default=_LIST_MOST
    )
    return Whole(body=page)


async def show_file(call: Call) -> Whole:
    """Say what is known of a file."""
    return Whole(body=(await _find(call)).to_json())


async def read_file(call: Call) -> Raw:
    """Give a file's bytes."""
    file = await _find(call)
    path = call.house.files.path(file)
    return Raw(
        media_type="application/octet-stream",
        chunks=_pieces(path) if file.size_bytes else b"",
        # What a client uploaded is nothing for a browser to show.
        headers={"content-disposition": "attachment", "x-content-type-options": "nosniff"},
    )


async def delete_file(call: Call) -> Whole:
    """Delete a file. A batch that was begun with it goes on."""
    file = await _find(call)
    await asyncio.to_thread(call.house.files.delete, file)
    return Whole(body={"id": file.id, "object": "file", "deleted": True})


def page_of(
    items: list[dict[str, Any]], query: Mapping[str, str], *, most: int, default: int
) -> dict[str, Any]:
    """Return one page of a list, as `after` and `limit` ask. Raises Fault 400."""
    said = query.get("limit", str(default))
    if not (said.isascii() and said.isdigit() and 1 <= int(said[:9]) <= most):
        raise Fault(400, f"limit must be a number from 1 to {most}, got {said[:20]!r}",
                    param="limit")  # fmt: skip
    after, begin = query.get("after"), 0
    if after:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise Fault(400, f"after: there is no {after[:64]!r} in this list", param="after")
        begin = ids.index(after) + 1
    page = items[begin : begin + int(said)]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": begin + len(page) < len(items),
    }


def check_stay(anchor: object, seconds: object, param: str) -> float:
    """Return how long a file is to stay, in seconds. Raises Fault 400."""
    if anchor != "created_at":
        raise Fault(400, f"{param}.anchor must be created_at, got {anchor!r}", param=param)
    if not isinstance(seconds, int) or not STAYS_LEAST_S <= seconds <= STAYS_MOST_S:
        raise Fault(
            400,
            f"{param}.seconds must be from {STAYS_LEAST_S} to {STAYS_MOST_S}, got {seconds!r}",
            param=param,
        )
    return float(seconds)


async def _find(call: Call) -> StoredFile:
    return await asyncio.to_thread(call.house.files.find, call.path["file_id"], owner_of(call))


async def _pieces(path: Any) -> AsyncIterator[bytes]:
    reading = pieces(path)
    try:
        while (piece := await asyncio.to_thread(next, reading, b"")) != b"":
            yield piece
    finally:
        reading.close()  # type: ignore[attr-defined]


def _stays_s(fields: Mapping[str, str], default_s: float | None) -> float | None:
    anchor, said = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and said is None:
        return default_s
    seconds = int(said) if said and said.isascii() and said.isdigit() else said
    return check_stay(anchor, seconds, "expires_after")
