"""/v1/batches: begin, show, list and cancel batches, in OpenAI's shape."""

from __future__ import annotations

from serve.gateway.batch_record import asked
from serve.gateway.call import Call, Whole
from serve.gateway.files import owner_of, page_of

_LIST_MOST, _LIST_DEFAULT = 100, 20  # OpenAI's


async def create_batch(call: Call) -> Whole:
    """Begin a batch."""
    record = await call.house.batches.create(asked(call.body, owner_of(call)))
    return Whole(body=record.to_json())


async def show_batch(call: Call) -> Whole:
    """Say how a batch stands."""
    record = await call.house.batches.find(call.path["batch_id"], owner_of(call))
    return Whole(body=record.to_json())


async def list_batches(call: Call) -> Whole:
    """List the caller's batches."""
    found = await call.house.batches.list(owner_of(call))
    shown = [record.to_json() for record in found]
    return Whole(body=page_of(shown, call.query, most=_LIST_MOST, default=_LIST_DEFAULT))


async def cancel_batch(call: Call) -> Whole:
    """Cancel a batch."""
    record = await call.house.batches.cancel(call.path["batch_id"], owner_of(call))
    return Whole(body=record.to_json())
