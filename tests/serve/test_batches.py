"""Batches and files through the client that users have, on a gateway of its own process."""

import importlib.util
import json
import signal
import sys
import threading
from pathlib import Path

import openai
import pytest

from serve.keys import KeyRights, KeyStore
from serve.usage import report

_SPEC = importlib.util.spec_from_file_location("batch_kit", Path(__file__).parent / "batch_kit.py")
kit = importlib.util.module_from_spec(_SPEC)
sys.modules["batch_kit"] = kit
_SPEC.loader.exec_module(kit)
ask, begin, ended, rows_of, until = kit.ask, kit.begin, kit.ended, kit.rows_of, kit.until

pytestmark = pytest.mark.slow  # each gateway is a process that takes a second to start


@pytest.fixture(scope="module")
def parrot():
    found = kit.Parrot()
    yield found
    found.close()


@pytest.fixture(scope="module")
def gateway(parrot, tmp_path_factory):
    found = kit.Gateway(tmp_path_factory.mktemp("gateway"), parrot, streams=8)
    yield found
    found.end(signal.SIGKILL)


@pytest.fixture
def client(gateway, parrot):
    parrot.act = lambda words: None
    parrot.asked.clear()
    parrot.order.clear()
    parrot.most_under_way = 0
    return gateway.client()


def test_a_batch_goes_from_upload_to_its_answers(client, parrot):
    lines = [ask(f"word {n}") for n in range(50)]
    batch = begin(client, lines, metadata={"night": "12"})
    assert batch.status == "validating" and batch.object == "batch"
    assert batch.request_counts.total == 0 and batch.output_file_id is None
    done = ended(client, batch)
    assert done.request_counts.to_dict() == {"total": 50, "completed": 50, "failed": 0}
    assert done.model == "parrot" and done.metadata == {"night": "12"}
    assert done.error_file_id is None and done.errors is None
    assert done.usage.input_tokens == 150 and done.usage.output_tokens == 100
    assert done.expires_at - done.created_at == 86400
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    rows = rows_of(client, done.output_file_id)
    assert set(rows) == {line["custom_id"] for line in lines}
    for name, row in rows.items():
        assert row["error"] is None and row["response"]["status_code"] == 200
        assert row["response"]["body"]["choices"][0]["message"]["content"] == name
    assert set(parrot.asked.values()) == {1}
    file = client.files.retrieve(done.output_file_id)
    assert file.purpose == "batch_output" and file.filename == f"{batch.id}_output.jsonl"
    assert [one.id for one in client.batches.list(limit=1).data] == [batch.id]


def test_bad_lines_go_into_the_file_of_errors_and_the_others_are_answered(client):
    lines = [
        ask("good"),
        b"{not json",
        b"[1]",
        b"",
        ask("x", url="/v1/embeddings"),
        ask("x", custom_id="method", method="GET"),
        ask("x", custom_id="body", body=[]),
        ask("x", custom_id="stream", body={"stream": True}),
        {**ask("x"), "custom_id": 7},
        ask("again", custom_id="good"),
        ask("x", custom_id="model", body={"model": "cat", "messages": []}),
        ask("x", custom_id="messages", body={"model": "bird"}),
        ask("also good"),
    ]
    done = ended(client, begin(client, lines))
    assert done.request_counts.to_dict() == {"total": 12, "completed": 2, "failed": 10}
    assert set(rows_of(client, done.output_file_id)) == {"good", "also good"}
    text = client.files.content(done.error_file_id).text
    rows = [json.loads(line) for line in text.splitlines()]
    unasked = {row["error"]["line"]: row["error"]["code"] for row in rows if row["error"]}
    assert unasked == {
        2: "invalid_json_line", 3: "invalid_json_line", 5: "mismatched_url", 6: "invalid_method",
        7: "invalid_body", 8: "stream_in_batch", 9: "missing_custom_id",
        10: "duplicate_custom_id",
    }  # fmt: skip
    refused = {row["custom_id"]: row["response"] for row in rows if row["response"]}
    assert {name: one["status_code"] for name, one in refused.items()} == {
        "model": 404, "messages": 400
    }  # fmt: skip
    assert "no model 'cat'" in refused["model"]["body"]["error"]["message"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [([], "empty_file"), ([b"\xff\xfe", b"2"], "invalid_json_line")],
)
def test_a_file_without_a_good_line_fails_its_batch(client, lines, code):
    done = ended(client, begin(client, lines), "failed")
    assert {error.code for error in done.errors.data} == {code}
    assert done.output_file_id is None and done.failed_at


def test_what_the_engine_refuses_is_the_lines_error_and_what_passes_is_waited_for(client, parrot):
    def act(words):
        if words == "refused":
            return 400
        if words == "broken":
            return 500
        if words == "passing" and parrot.asked[words] < 3:
            return 429
        return None

    parrot.act = act
    done = ended(client, begin(client, [ask("refused"), ask("broken"), ask("passing")]))
    assert set(rows_of(client, done.output_file_id)) == {"passing"}
    errors = rows_of(client, done.error_file_id)
    assert errors["refused"]["response"]["status_code"] == 400
    assert errors["broken"]["response"]["status_code"] == 502
    assert parrot.asked == {"refused": 1, "broken": 3, "passing": 3}


def test_a_cancelled_batch_asks_no_more_and_keeps_what_it_has(client, parrot):
    hold = threading.Event()
    parrot.act = lambda words: hold.wait(30) and None if words != "first" else None
    batch = begin(client, [ask("first"), *(ask(f"w{n}") for n in range(40))])
    until(lambda: client.batches.retrieve(batch.id).request_counts.completed == 1)
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    done = ended(client, batch, "cancelled")
    hold.set()
    assert set(rows_of(client, done.output_file_id)) == {"first"}
    assert done.cancelling_at <= done.cancelled_at
    assert len(parrot.asked) <= 5  # the first, and the half of 8 streams that a batch may hold
    with pytest.raises(openai.ConflictError, match="cancelled already"):
        client.batches.cancel(batch.id)


def test_a_batch_whose_window_is_over_tells_which_lines_were_not_answered(client, parrot):
    hold = threading.Event()
    parrot.act = lambda words: hold.wait(30) and None if words != "first" else None
    lines = [ask("first"), ask("a"), ask("b")]
    done = ended(client, begin(client, lines, completion_window="2s"), "expired")
    hold.set()
    assert set(rows_of(client, done.output_file_id)) == {"first"}
    errors = rows_of(client, done.error_file_id)
    assert {name: row["error"]["code"] for name, row in errors.items()} == {
        "a": "batch_expired", "b": "batch_expired"
    }  # fmt: skip
    assert done.request_counts.to_dict() == {"total": 3, "completed": 1, "failed": 2}


def test_live_requests_come_before_the_lines_of_a_batch(client, parrot):
    live, hold = threading.Event(), threading.Event()

    def act(words):
        if words.startswith("live"):
            live.wait(30)
        else:
            hold.wait(30)

    parrot.act = act
    batch = begin(client, [ask(f"line {n}") for n in range(30)])
    until(lambda: parrot.under_way == 4)  # the half of 8 streams
    threads = [
        threading.Thread(
            target=client.chat.completions.create,
            kwargs={"model": "bird", "messages": [{"role": "user", "content": f"live {n}"}]},
        )
        for n in range(10)
    ]
    for thread in threads:
        thread.start()
    until(lambda: parrot.under_way == 8)  # four lines, four live ones; six more wait
    hold.set()  # the four lines end: their streams go to live requests, not to other lines
    until(lambda: sum(words.startswith("live") for words in parrot.asked) >= 8)
    assert sum(words.startswith("line") for words in parrot.asked) == 4
    live.set()
    for thread in threads:
        thread.join()
    assert ended(client, batch).request_counts.completed == 30
    assert parrot.most_under_way == 8


def test_a_live_request_that_comes_late_is_asked_before_lines_that_have_waited_long(
    client, parrot, gateway
):
    """Lines that wait stay out of the queue: in it they would be before a request that comes."""
    holds = {f"live {n}": threading.Event() for n in range(8)}
    last = threading.Event()

    def act(words):
        holds.get(words, last).wait(30)

    def waiting():
        text = client._client.get(f"{gateway.url}/metrics").text
        (line,) = [x for x in text.splitlines() if "queue_depth{" in x]
        return float(line.split()[-1])

    def ask_live(words):
        message = {"role": "user", "content": words}
        thread = threading.Thread(
            target=client.chat.completions.create, kwargs={"model": "bird", "messages": [message]}
        )
        thread.start()
        return thread

    parrot.act = act
    threads = [ask_live(words) for words in holds]
    until(lambda: parrot.under_way == 8)
    batch = begin(client, [ask(f"line {n}") for n in range(6)])
    until(lambda: client.batches.retrieve(batch.id).status == "in_progress")
    for _ in range(20):
        assert waiting() == 0
    threads.append(ask_live("late"))
    until(lambda: waiting() == 1)
    holds["live 0"].set()
    until(lambda: len(parrot.order) == 9)
    assert parrot.order[-1] == "late"
    for one in (*holds.values(), last):
        one.set()
    for thread in threads:
        thread.join()
    assert ended(client, batch).request_counts.completed == 6


def test_a_batch_cannot_begin_with_what_makes_no_sense(client):
    file = client.files.create(file=("in.jsonl", kit.jsonl([ask("x")])), purpose="batch")
    other = client.files.create(file=("in.txt", b"text"), purpose="user_data")
    good = {
        "input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"
    }  # fmt: skip
    for change, param in (
        ({"input_file_id": "file-" + "0" * 24}, "input_file_id"),
        ({"input_file_id": "../../etc/passwd"}, "input_file_id"),
        ({"input_file_id": other.id}, "input_file_id"),
        ({"endpoint": "/v1/images/edits"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "31d"}, "completion_window"),
        ({"metadata": {"a": "b" * 600}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after"),
        ({"extra_body": {"colour": "red"}}, "colour"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.batches.create(**{**good, **change})
        assert caught.value.param == param
    for wrong in ("batch_" + "0" * 24, "batch_x", "..%2F..%2Fetc"):
        with pytest.raises(openai.NotFoundError):
            client.batches.retrieve(wrong)


def test_files_are_uploaded_listed_read_and_deleted(client):
    data = bytes(range(256)) * 5000
    made = [
        client.files.create(
            file=(f"dir/../n{n}.bin", data + b"%d" % n), purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        for n in range(3)
    ]  # fmt: skip
    assert made[0].filename == "n0.bin" and made[0].bytes == len(data) + 1
    assert made[0].expires_at - made[0].created_at == 3600
    assert client.files.content(made[2].id).content == data + b"2"
    listed = client.files.list(purpose="user_data", limit=2)
    assert [one.id for one in listed.data] == [made[2].id, made[1].id] and listed.has_more
    assert made[0].id in [one.id for one in client.files.list(purpose="user_data", limit=2)]
    oldest = client.files.list(purpose="user_data", order="asc").data
    assert [one.id for one in oldest][-3:] == [one.id for one in made]
    assert client.files.delete(made[0].id).deleted
    for act in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            act(made[0].id)


def test_uploads_that_make_no_sense_are_refused(client, gateway):
    with pytest.raises(openai.BadRequestError, match="purpose must be one of"):
        client.files.create(file=("a", b"x"), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match="limit must be"):
        client.files.list(limit=0)
    http = client._client
    url = f"{gateway.url}/v1/files"
    form = {"content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    file = part % (b"file", b'; filename="f"', b"data")
    purpose = part % (b"purpose", b"", b"batch")
    for headers, body, status, why in (
        ({"content-type": "application/json"}, b"{}", 415, "multipart/form-data"),
        ({"content-type": "multipart/form-data"}, b"x", 400, "no boundary"),
        (form, b"garbage", 400, "cannot be read"),
        (form, purpose + b"--b--\r\n", 400, "the form has no file"),
        (form, file + b"--b--\r\n", 400, "purpose must be one of"),
        (form, file + purpose, 400, "breaks off"),
        (form, file + file + purpose + b"--b--\r\n", 400, "one file"),
        (form, purpose * 40 + b"--b--\r\n", 400, "32 fields"),
        (form, part % (b"purpose", b"", b"x" * 5000) + b"--b--\r\n", 400, "4096 bytes"),
    ):
        reply = http.post(url, content=body, headers=headers)
        assert (reply.status_code, why in reply.text) == (status, True), (why, reply.text)
    kept = gateway.folder / "kept" / "files"
    assert not list(kept.glob(".*.part"))
    done = http.post(url, content=file + purpose + b"--b--\r\n", headers=form)
    assert done.status_code == 200 and done.json()["bytes"] == 4


def test_a_file_above_the_bound_leaves_nothing_behind(parrot, tmp_path):
    gateway = kit.Gateway(tmp_path, parrot, file_mb=1)
    with pytest.raises(openai.APIStatusError) as caught:
        gateway.client().files.create(file=("a", bytes(3 << 20)), purpose="user_data")
    assert caught.value.status_code == 413
    assert list((tmp_path / "kept" / "files").iterdir()) == []
    gateway.end()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_goes_on_after_its_gateway_ended_and_asks_nothing_twice_that_it_has(
    parrot, tmp_path, how
):
    parrot.act = lambda words: None
    parrot.asked.clear()
    gateway = kit.Gateway(tmp_path, parrot, streams=4)
    hold, let = threading.Event(), 20

    def act(words):
        if len(parrot.asked) > let:
            hold.wait(60)

    parrot.act = act
    lines = [ask(f"n{n}") for n in range(60)]
    batch = begin(gateway.client(), [*lines, b"bad"])
    own = tmp_path / "kept" / "batches" / batch.id
    until(lambda: (own / "output.jsonl").is_file() and _count(own / "output.jsonl") >= let)
    gateway.end(how)
    answered = {
        json.loads(line)["custom_id"] for line in (own / "output.jsonl").read_bytes().splitlines()
    }
    assert let <= len(answered) < 60
    with (own / "output.jsonl").open("ab") as file:
        file.write(b'{"id": "batch_req_torn')  # as a kill in the middle of a write leaves it
    hold.set()
    parrot.act = lambda words: None
    before = dict(parrot.asked)
    gateway.start()
    done = ended(gateway.client(), batch)
    rows = rows_of(gateway.client(), done.output_file_id)
    assert set(rows) == {line["custom_id"] for line in lines}
    assert done.request_counts.to_dict() == {"total": 61, "completed": 60, "failed": 1}
    assert done.usage.input_tokens == 180
    assert len(rows_of(gateway.client(), done.error_file_id)) == 1
    for words in answered:
        assert parrot.asked[words] == before[words] == 1
    assert sorted(path.name for path in own.iterdir()) == ["batch.json"]
    gateway.end()


def _count(path):
    return path.read_bytes().count(b"\n")


def test_keys_see_only_what_is_theirs_and_lines_keep_to_their_limits(parrot, tmp_path):
    parrot.act = lambda words: None
    store = KeyStore(tmp_path / "keys.sqlite", make=True)
    _, ada = store.add("ada", KeyRights(requests_per_minute=5))
    _, bob = store.add("bob", KeyRights(tokens_total=12))
    _, eve = store.add("eve", KeyRights(models=("cat",)))
    gateway = kit.Gateway(tmp_path, parrot, keys_file=str(store.path), streams=2)
    theirs, other = gateway.client(ada), gateway.client(bob)
    batch = begin(theirs, [ask(f"n{n}") for n in range(20)])  # two requests of the minute
    done = ended(theirs, batch)
    assert done.request_counts.completed == 20
    for act, word in (
        (other.batches.retrieve, batch.id), (other.batches.cancel, batch.id),
        (other.files.content, done.output_file_id), (other.files.delete, batch.input_file_id),
    ):  # fmt: skip
        with pytest.raises(openai.NotFoundError):
            act(word)
    assert other.files.list().data == [] and other.batches.list().data == []
    with pytest.raises(openai.BadRequestError, match="there is no file"):
        other.batches.create(
            input_file_id=batch.input_file_id, endpoint="/v1/chat/completions",
            completion_window="24h",
        )  # fmt: skip
    hello = {"model": "parrot", "messages": [{"role": "user", "content": "hello"}]}
    reply = theirs.chat.completions.with_raw_response.create(**hello)
    assert reply.headers["x-ratelimit-remaining-requests"] == "2"
    # 5 tokens a line: the third is let in at 10 of 12, no fourth is.
    poor = ended(other, begin(other, [ask(f"n{n}") for n in range(6)]))
    errors = rows_of(other, poor.error_file_id)
    assert 3 <= poor.request_counts.completed <= 4  # two are under way at one time
    assert {row["response"]["body"]["error"]["code"] for row in errors.values()} == {
        "insufficient_quota"
    }
    barred = ended(gateway.client(eve), begin(gateway.client(eve), [ask("x")]))
    (row,) = rows_of(gateway.client(eve), barred.error_file_id).values()
    assert row["response"]["status_code"] == 403
    hold = threading.Event()
    parrot.act = lambda words: hold.wait(30) and None
    left = begin(theirs, [ask(f"m{n}") for n in range(20)])
    until(lambda: parrot.under_way == 1)  # half of two streams
    with pytest.raises(openai.RateLimitError, match="5 requests a minute") as caught:
        theirs.chat.completions.create(**hello)
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60
    store.revoke("ada")
    with pytest.raises(openai.AuthenticationError, match="revoked"):
        theirs.batches.retrieve(left.id)
    hold.set()
    record = tmp_path / "kept" / "batches" / left.id / "batch.json"
    until(lambda: json.loads(record.read_text())["status"] == "failed")
    assert json.loads(record.read_text())["errors"][0]["code"] == "key_revoked"
    gateway.end()
    by_key = {row.group["key"]: row for row in report(store.path, by=("key",))}
    assert by_key["ada"].prompt_tokens >= 60 and by_key["ada"].completion_tokens >= 40
    assert by_key["bob"].prompt_tokens == 3 * poor.request_counts.completed
    store.close()


def test_a_second_gateway_on_the_same_files_shows_batches_and_begins_none(
    gateway, client, parrot, tmp_path
):
    batch = begin(client, [ask("one")])
    ended(client, batch)
    second = kit.Gateway(tmp_path, parrot)
    recipe = tmp_path / "serve.toml"
    recipe.write_text(recipe.read_text().replace(f"{tmp_path}/kept", f"{gateway.folder}/kept"))
    second.end()
    second.start()
    assert second.client().batches.retrieve(batch.id).status == "completed"
    with pytest.raises(openai.APIStatusError, match="another gateway works on") as caught:
        begin(second.client(), [ask("two")])
    assert caught.value.status_code == 503
    second.end()
