"""Files, forms, lines and rows by themselves: without a gateway, byte by byte."""

import asyncio
import json
import os
import resource
import time

import pytest

from serve.fault import Fault
from serve.gateway.batch_lines import look_at
from serve.gateway.batch_rows import BatchRows
from serve.gateway.file_store import FileStore
from serve.gateway.form import read_form


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path, most_bytes=1000, most_total_bytes=10_000)


def kept(store, data=b"data", owner="ada", stays_s=None):
    incoming = store.begin()
    incoming.write(data)
    return store.keep(incoming, owner=owner, filename="f", purpose="batch", stays_s=stays_s)


def test_a_file_is_its_owners_and_nobody_elses(store):
    file = kept(store)
    assert store.find(file.id, "ada") == file and store.path(file).read_bytes() == b"data"
    assert store.list("ada") == [file] and store.list("bob") == store.list("") == []
    for file_id, owner in ((file.id, "bob"), (file.id, ""), ("file-x", "ada"), ("../x", "ada")):
        with pytest.raises(Fault) as caught:
            store.find(file_id, owner)
        assert caught.value.status == 404


def test_a_file_whose_time_is_over_is_gone_and_its_bytes_go_with_the_next_upload(store):
    long, short = kept(store, stays_s=60.0), kept(store, stays_s=0.0)
    with pytest.raises(Fault):
        store.find(short.id, "ada")
    assert store.list("ada") == [long] and store.path(short).exists()
    store.begin().drop()
    assert not store.path(short).exists() and store.path(long).exists()


def test_uploads_that_were_broken_off_are_cleared_away_after_a_day(store):
    old, new = store.begin(), store.begin()
    os.utime(old.path, (time.time() - 90_000,) * 2)
    store.begin().drop()
    assert not old.path.exists() and new.path.exists()


def test_files_have_bounds_alone_and_together(store):
    incoming = store.begin()
    incoming.write(bytes(1000))
    with pytest.raises(Fault) as caught:
        incoming.write(b"x")
    assert caught.value.status == 413
    incoming.drop()
    with pytest.raises(Fault) as caught:
        for _ in range(20):
            kept(store, bytes(1000))
    assert caught.value.code == "files_full"
    assert 8 <= len(store.list("ada")) <= 10
    store.delete(store.list("ada")[0])
    store.delete(store.list("ada")[0])
    kept(store)


def test_a_disk_that_refuses_is_our_failure_and_says_so(tmp_path):
    (tmp_path / "files").write_text("a file where a folder should be")
    with pytest.raises(Fault) as caught:
        FileStore(tmp_path, most_bytes=1, most_total_bytes=1).begin()
    assert caught.value.status == 503 and "cannot be reached" in caught.value.message


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="C:\\x\\in\x07.jsonl"\r\n'
    b"Content-Type: text/plain\r\n\r\nline\r\n-b is no end\r\n\r\n--b--\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_form_is_read_however_it_is_cut(size):
    written: list[bytes] = []

    async def chunks():
        for begin in range(0, len(FORM), size):
            yield FORM[begin : begin + size]

    kind = "multipart/form-data; boundary=b"
    form = asyncio.run(read_form(chunks(), kind, written.append))
    assert form.fields == {"purpose": "batch"} and form.filename == "in.jsonl"
    assert b"".join(written) == b"line\r\n-b is no end\r\n"


def line(custom_id, **changes):
    row = {"custom_id": custom_id, "method": "POST", "url": "/v1/x", "body": {}}
    return json.dumps({**row, **changes}).encode()


def test_lines_keep_their_place_also_after_one_that_is_too_long(tmp_path):
    path = tmp_path / "in"
    rows = [line("a"), b"", b'{"custom_id": "' + b"x" * 5000 + b'"}', line("b"), line("c")]
    path.write_bytes(b"\r\n".join(rows))
    lines = look_at(path, "/v1/x", line_most_bytes=1000)
    assert [one.number for one in lines.good] == [1, 4, 5]
    assert [(one.number, one.code) for one in lines.bad] == [(3, "line_too_large")]
    data = path.read_bytes()
    for one, custom_id in zip(lines.good, "abc", strict=True):
        piece = data[one.offset_bytes : one.offset_bytes + one.size_bytes]
        assert json.loads(piece)["custom_id"] == custom_id


def test_the_model_of_a_batch_is_the_one_that_all_lines_name(tmp_path):
    path = tmp_path / "in"
    for models, model in ((("m", "m"), "m"), (("m", "n"), None), ((7, 7), None)):
        rows = [line(str(n), body={"model": one}) for n, one in enumerate(models)]
        path.write_bytes(b"\n".join(rows))
        assert look_at(path, "/v1/x", line_most_bytes=1000).model == model


def test_a_torn_row_is_cut_and_the_rows_before_it_stay(tmp_path):
    path = tmp_path / "rows"
    long = {"id": "b_1", "text": "x" * 200_000}
    for torn in (b"", b'{"id": "b', b"y" * 200_000):
        path.write_bytes(json.dumps(long).encode() + b"\n" + torn)
        rows = BatchRows(path)
        rows.append({"id": "b_2"})
        assert list(rows.read()) == [long, {"id": "b_2"}]
        rows.close()
    path.write_bytes(b"only a piece")
    rows = BatchRows(path)
    assert rows.is_empty and path.read_bytes() == b""
    rows.close()


def test_a_row_that_finds_no_room_leaves_no_piece_behind(tmp_path):
    rows = BatchRows(tmp_path / "rows")
    rows.append({"id": "b_1"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            rows.append({"id": "b_2", "text": "x" * 500})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    rows.append({"id": "b_3"})
    assert [row["id"] for row in rows.read()] == ["b_1", "b_3"]
    rows.close()
