"""All batches of a gateway: begun, taken up again after a restart, cancelled, shown.

One gateway works on a folder of batches; a second with the same folder shows them and begins none.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING

from serve.fault import Fault
from serve.gateway.batch_record import BatchFolder, BatchRecord
from serve.gateway.batch_room import BatchRoom
from serve.gateway.batch_run import BatchRun
from serve.gateway.file_store import FileStore, StoredFile, disk

if TYPE_CHECKING:
    from serve.gateway.house import House

log = logging.getLogger(__name__)

_UNDER_WAY_MOST = 256  # ours


class Batches:
    """The batches of a house. `start` and `stop` belong to its event loop."""

    def __init__(self, house: House, files: FileStore, folder: Path) -> None:
        self._house = house
        self._files = files
        self._folder = BatchFolder(folder)
        self._runs: dict[str, BatchRun] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room: BatchRoom | None = None
        self._lock_fd = -1

    async def start(self) -> None:
        """Take up what was left; nothing where there never was a batch."""
        if not self._folder.path.is_dir():
            return
        try:
            self._hold()
            for record in reversed(await asyncio.to_thread(self._folder.all)):
                if not record.has_ended:
                    log.info("a batch is taken up again id=%s", record.id)
                    self._begin(record)
        except Fault as fault:
            log.warning("batches are not worked on: %s", fault.message)

    async def stop(self) -> None:
        """Leave off; what is not answered is asked after the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    async def create(self, record: BatchRecord) -> BatchRecord:
        """Begin a batch. Raises Fault: 400 for its file, 429 and 503 where it cannot begin now."""
        self._hold()
        if len(self._runs) >= _UNDER_WAY_MOST:
            raise Fault(
                429, f"{len(self._runs)} batches are under way; come again later",
                kind="rate_limit_error", code="too_many_batches", retry_after_s=60,
            )  # fmt: skip
        await asyncio.to_thread(self._write, record)
        self._begin(record)
        return record

    def _write(self, record: BatchRecord) -> None:
        file = self._input(record)
        with disk(self._folder.path):
            own = self._folder.of(record.id)
            own.mkdir(mode=0o700, parents=True)
            source, place = self._files.path(file), own / "input.jsonl"
            try:
                # The batch goes on whatever becomes of the file.
                place.hardlink_to(source)
            except OSError:  # a file system that knows no links
                shutil.copyfile(source, place)
        self._folder.write(record)

    def _input(self, record: BatchRecord) -> StoredFile:
        try:
            file = self._files.find(record.input_file_id, record.owner)
        except Fault as fault:
            if fault.status != 404:
                raise
            raise Fault(400, fault.message, code=fault.code, param="input_file_id") from None
        if file.purpose != "batch":
            raise Fault(
                400,
                f"the file's purpose must be batch, {file.id} was uploaded for {file.purpose}",
                param="input_file_id",
            )
        return file

    async def find(self, batch_id: str, owner: str) -> BatchRecord:
        """Return a batch as it stands now. Raises Fault 404."""
        run = self._runs.get(batch_id)
        if run is not None and run.record.owner == owner:
            return run.record
        return await asyncio.to_thread(self._folder.find, batch_id, owner)

    async def list(self, owner: str) -> list[BatchRecord]:
        """Return an owner's batches, the newest first."""
        found = await asyncio.to_thread(self._folder.all)
        return [
            self._runs[one.id].record if one.id in self._runs else one
            for one in found
            if one.owner == owner
        ]

    async def cancel(self, batch_id: str, owner: str) -> BatchRecord:
        """Cancel a batch; it is `cancelling` until its files are there.

        Raises Fault: 404, 409 for one that has ended, 503 where another gateway works on it.
        """
        record = await self.find(batch_id, owner)
        run = self._runs.get(batch_id)
        if run is None:
            if record.has_ended:
                raise Fault(409, f"this batch is {record.status} already", code="batch_ended")
            raise _elsewhere(self._folder.path)
        await run.cancel()
        return run.record

    def _begin(self, record: BatchRecord) -> None:
        self._room = self._room or BatchRoom(self._house)
        run = BatchRun(self._house, record, self._folder, self._files, self._room)
        # A context of its own: the request that began it has a key and an id which are not its.
        task = asyncio.create_task(run.carry_out(), name=record.id, context=Context())
        self._runs[record.id], self._tasks[record.id] = run, task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        batch_id = task.get_name()
        self._runs.pop(batch_id, None)
        self._tasks.pop(batch_id, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # a bug: the batch stays as it is, and is taken up at the next start
            log.error("a batch broke off id=%s", batch_id, exc_info=error)

    def _hold(self) -> None:
        """Be the one gateway that works on the folder. Raises Fault 503."""
        if self._lock_fd >= 0:
            return
        with disk(self._folder.path):
            self._folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._folder.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise _elsewhere(self._folder.path) from None
        self._lock_fd = fd


def _elsewhere(folder: Path) -> Fault:
    log.warning("another gateway works on the batches path=%s", folder)
    return Fault(
        503,
        "another gateway works on the batches here: give each its own gateway.files_dir",
        kind="server_error",
        code="batches_elsewhere",
    )
