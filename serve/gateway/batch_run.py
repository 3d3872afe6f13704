"""One batch, from the look at its lines to its files.

Each answer is a row on the disk before the next step, under an id made of the batch's and the
line's number: a batch that is taken up again asks no line whose row is there. A line that was being
asked when the gateway died is asked again.

What passes (a full queue, an engine that starts again, a key's tokens of this minute) is waited
for; what an engine refuses is the line's error; what fails on our side is tried three times.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from serve.fault import Fault
from serve.gateway.batch_lines import BadLine, Line, Lines, WrongLine, look_at
from serve.gateway.batch_record import TOKENS, BatchFolder, BatchRecord, Status
from serve.gateway.batch_room import BatchRoom
from serve.gateway.batch_rows import BatchRows
from serve.gateway.file_store import FileStore, new_id
from serve.limits import expected_of

if TYPE_CHECKING:
    from serve.gateway.house import House, Served
    from serve.keys import KeyHolder

log = logging.getLogger(__name__)

_SAVE_S = 1.0  # ours: how old the counts on the disk may be
_TRIES = 3  # ours: of what fails on our side
_WAIT_LEAST_S, _WAIT_MOST_S = 1.0, 30.0  # ours: between tries
_DISK_S = 10.0  # ours: until a disk that failed is tried again
_SHOWN_ERRORS = 100  # ours: of a batch that failed
_PASSING = frozenset((429, 503))
_OURS = frozenset((408, 500, 502, 504))
_FOR_GOOD = frozenset(("insufficient_quota",))


class BatchRun:
    """One batch under way. record: how it stands now."""

    def __init__(
        self, house: House, record: BatchRecord, folder: BatchFolder, files: FileStore,
        room: BatchRoom,
    ) -> None:  # fmt: skip
        self.record = record
        self._house = house
        self._folder = folder
        self._files = files
        self._room = room
        self._own = folder.of(record.id)
        self._asking: asyncio.Task[None] | None = None
        self._saved = record
        self._saving = asyncio.Lock()
        self._ending = asyncio.Event()
        self._input_fd = -1
        self._output: BatchRows
        self._failed: BatchRows

    async def carry_out(self) -> None:
        """Bring it to its end. Cancelled, it can be taken up again by another run."""
        while True:
            try:
                await self._advance()
                return
            except (Fault, OSError) as error:
                log.error("a batch waits for the disk id=%s error=%s", self.record.id, error)
            await asyncio.sleep(_DISK_S)

    async def cancel(self) -> None:
        """Ask no more lines; those under way are given up. What was answered is kept."""
        if self.record.ends is not None or self._is_cancelling():
            return
        # A write goes on in its thread although the request that asked for it has gone.
        await asyncio.shield(self._save(self.record.at("cancelling")))
        if self._asking is not None:
            self._asking.cancel()

    def _is_cancelling(self) -> bool:
        return self.record.status == "cancelling"

    async def _advance(self) -> None:
        if self.record.ends is None:
            self._open()
            try:
                ends = await self._ask_all()
                await asyncio.to_thread(self._sync)
            finally:
                self._close()
            record = replace(
                self.record,
                ends=ends,
                kept_id=None if self._output.is_empty else new_id(),
                kept_error_id=None if self._failed.is_empty else new_id(),
            )
            await self._save(record.at("finalizing") if ends == "completed" else record)
        await asyncio.to_thread(self._publish)
        assert self.record.ends is not None
        await self._save(self.record.at(self.record.ends))
        await asyncio.to_thread(self._clear)

    def _open(self) -> None:
        self._output = BatchRows(self._own / "output.jsonl")
        self._failed = BatchRows(self._own / "errors.jsonl")
        self._input_fd = os.open(self._own / "input.jsonl", os.O_RDONLY | os.O_CLOEXEC)

    def _close(self) -> None:
        os.close(self._input_fd)
        self._output.close()
        self._failed.close()

    def _sync(self) -> None:
        self._output.sync()
        self._failed.sync()

    async def _ask_all(self) -> Status:
        """Ask what is not answered yet, and return the status that the batch ends with."""
        if self._is_cancelling():
            return "cancelled"
        line_most_bytes = self._house.config.body_mb << 20
        try:
            lines = await asyncio.to_thread(
                look_at, self._own / "input.jsonl", self.record.endpoint,
                line_most_bytes=line_most_bytes,
            )  # fmt: skip
        except WrongLine as wrong:
            return self._fail([BadLine(0, None, wrong.code, wrong.message).to_error()])
        if self._is_cancelling():
            return "cancelled"
        if not lines.good:
            if not lines.bad:
                lines.bad.append(BadLine(0, None, "empty_file", "the input file has no line"))
            return self._fail([bad.to_error() for bad in lines.bad[:_SHOWN_ERRORS]])
        done, counts = await asyncio.to_thread(self._take_up, lines)
        self.record = replace(self.record, model=lines.model, **counts)
        if self.record.status == "validating":
            await self._save(self.record.at("in_progress"))
        left = [line for line in lines.good if line.number not in done]
        log.info(
            "a batch is asked id=%s lines=%d left=%d bad=%d",
            self.record.id, len(lines.good), len(left), len(lines.bad),
        )  # fmt: skip
        return await self._until_done(left)

    def _fail(self, errors: list[dict[str, Any]]) -> Status:
        self.record = replace(self.record, errors=errors)
        return "failed"

    def _take_up(self, lines: Lines) -> tuple[set[int], dict[str, Any]]:
        """Add the bad lines to what is on the disk; return which lines are done, and the counts."""
        answered, tokens = set[int](), dict.fromkeys(TOKENS, 0)
        for row in self._output.read():
            answered.add(_number(row))
            _count(tokens, row["response"]["body"])
        failed = {_number(row) for row in self._failed.read()}
        for bad in lines.bad:
            if bad.number not in failed:
                self._failed.append(self._row(bad.number, bad.custom_id, error=bad.to_error()))
                failed.add(bad.number)
        return answered | failed, {
            "total": len(lines.good) + len(lines.bad),
            "completed": len(answered),
            "failed": len(failed),
            "tokens": tokens,
        }

    async def _until_done(self, left: list[Line]) -> Status:
        self._asking = asyncio.create_task(self._ask_lines(left))
        self._ending.clear()
        saving = asyncio.create_task(self._keep_saving())
        if self._is_cancelling():  # it came while the lines were counted
            self._asking.cancel()
        try:
            await asyncio.wait({self._asking}, timeout=self.record.expires_at_s - time.time())
            is_over = not self._asking.done()
        finally:  # the gateway may be ending
            self._asking.cancel()
            self._ending.set()
            await asyncio.wait({self._asking, saving})
        if self.record.errors:
            return "failed"
        if is_over:
            count = await asyncio.to_thread(self._expire, left)
            self.record = replace(self.record, failed=self.record.failed + count)
            return "expired"
        if self._asking.cancelled():
            return "cancelled"
        self._asking.result()
        return "completed"

    async def _ask_lines(self, left: list[Line]) -> None:
        waiting = iter(left)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._room.most, len(left))):
                    group.create_task(self._ask_some(waiting))
        except* _KeyGone:
            self._fail(
                [BadLine(0, None, "key_revoked", "the key of this batch has ended").to_error()]
            )

    async def _ask_some(self, waiting: Iterator[Line]) -> None:
        for line in waiting:
            row = orjson.loads(os.pread(self._input_fd, line.size_bytes, line.offset_bytes))
            status, answer = await self._answer(row["body"])
            body: dict[str, Any] = {
                "status_code": status,
                "request_id": self._row_id(line.number),
                "body": answer,
            }
            whole = self._row(line.number, row["custom_id"], response=body)
            await self._append(self._output if status < 400 else self._failed, whole)
            if status < 400:
                tokens = dict(self.record.tokens)
                _count(tokens, answer)
                self.record = replace(
                    self.record, completed=self.record.completed + 1, tokens=tokens
                )
            else:
                self.record = replace(self.record, failed=self.record.failed + 1)

    async def _answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask until there is an answer that stays."""
        tries, wait_s = 0, _WAIT_LEAST_S
        while True:
            retry_after_s: float | None = None
            try:
                status, answer = await self._ask(body)
            except Fault as fault:
                status, answer, retry_after_s = fault.status, fault.to_json(), fault.retry_after_s
            tries += 1
            if not _passes(status, answer, tries):
                return status, answer
            await asyncio.sleep(max(wait_s, retry_after_s or 0.0))
            wait_s = min(2 * wait_s, _WAIT_MOST_S)

    async def _ask(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        from serve.gateway.house import dispatch_inside

        house, holder = self._house, self._holder()
        served: Served = house.find(body.get("model"))
        async with self._room.turn(served):
            admission = (
                house.limiter.admit(
                    holder,
                    model=served.card.name,
                    route=self.record.endpoint,
                    expected_tokens=expected_of(body),
                    of_batch=True,
                )
                if house.limiter is not None
                else nullcontext()
            )
            async with admission as admitted:
                status, answer = await dispatch_inside(
                    house, "POST", self.record.endpoint, body, key=holder
                )
                if admitted is not None:
                    tokens = dict.fromkeys(TOKENS, 0)
                    _count(tokens, answer)
                    admitted.status = status
                    admitted.used(prompt_tokens=tokens["input"], completion_tokens=tokens["output"])
                return status, answer

    def _holder(self) -> KeyHolder | None:
        """Return whose batch it is, with the limits of now. Raises _KeyGone."""
        if self._house.keys is None or not self.record.owner:
            return None
        holder = self._house.keys.holder(self.record.owner)
        if holder is None:
            raise _KeyGone
        return holder

    async def _append(self, rows: BatchRows, row: dict[str, Any]) -> None:
        while True:
            try:
                rows.append(row)
                return
            except OSError as error:
                log.error("an answer waits for the disk id=%s error=%s", row["id"], error)
            await asyncio.sleep(_DISK_S)

    def _expire(self, left: list[Line]) -> int:
        """Tell of each line that was not answered in time, and return how many there are."""
        done = {_number(row) for rows in (self._output, self._failed) for row in rows.read()}
        error = {
            "code": "batch_expired",
            "message": f"this line was not answered within {self.record.window}",
        }
        late = [line for line in left if line.number not in done]
        for line in late:
            data = os.pread(self._input_fd, line.size_bytes, line.offset_bytes)
            custom_id = orjson.loads(data)["custom_id"]
            self._failed.append(self._row(line.number, custom_id, error=error))
        return len(late)

    async def _keep_saving(self) -> None:
        # Ended by a word, not by a cancellation: that would leave a write going on in its thread,
        # which might put an old record over the last one.
        while not self._ending.is_set():
            try:
                await asyncio.wait_for(self._ending.wait(), _SAVE_S)
            except TimeoutError:
                pass
            try:
                await asyncio.to_thread(self._sync)
                if self.record is not self._saved:
                    await self._save(self.record)
            except (Fault, OSError) as error:
                log.error("counts cannot be saved id=%s error=%s", self.record.id, error)

    async def _save(self, record: BatchRecord) -> None:
        if record.status != self.record.status:
            log.info("batch id=%s status=%s", record.id, record.status)
        self.record = record
        async with self._saving:
            await asyncio.to_thread(self._folder.write, record)
            self._saved = record

    def _publish(self) -> None:
        record = self.record
        for file_id, name in (
            (record.kept_id, "output"), (record.kept_error_id, "errors")
        ):  # fmt: skip
            if file_id is not None:
                self._files.adopt(
                    self._own / f"{name}.jsonl",
                    file_id,
                    owner=record.owner,
                    filename=f"{record.id}_{name}.jsonl",
                    purpose="batch_output",
                    stays_s=record.stays_s,
                )

    def _clear(self) -> None:
        for name in ("input", "output", "errors"):
            (self._own / f"{name}.jsonl").unlink(missing_ok=True)

    def _row_id(self, number: int) -> str:
        return f"batch_req_{self.record.id.removeprefix('batch_')}_{number}"

    def _row(
        self, number: int, custom_id: str | None, *, response: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        return {
            "id": self._row_id(number),
            "custom_id": custom_id,
            "response": response,
            "error": error,
        }


class _KeyGone(Exception):
    """The key that a batch belongs to was revoked or has expired."""


def _number(row: dict[str, Any]) -> int:
    return int(row["id"].rpartition("_")[2])


def _passes(status: int, answer: dict[str, Any], tries: int) -> bool:
    """Return whether asking again makes sense."""
    error = answer.get("error")
    if isinstance(error, dict) and error.get("code") in _FOR_GOOD:
        return False
    return status in _PASSING or (status in _OURS and tries < _TRIES)


def _count(tokens: dict[str, int], body: dict[str, Any]) -> None:
    """Add what an answer used, as OpenAI's or Anthropic's shape says it."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return
    for name, words in (
        ("input", ("prompt_tokens", "input_tokens")),
        ("output", ("completion_tokens", "output_tokens")),
    ):
        found = next((usage[word] for word in words if isinstance(usage.get(word), int)), 0)
        tokens[name] = tokens.get(name, 0) + found
    for name, table, word in (
        ("cached", "prompt_tokens_details", "cached_tokens"),
        ("reasoning", "completion_tokens_details", "reasoning_tokens"),
    ):
        details = usage.get(table)
        if isinstance(details, dict) and isinstance(details.get(word), int):
            tokens[name] = tokens.get(name, 0) + details[word]
