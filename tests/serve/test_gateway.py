"""The gateway's own routes before scripted engines: answers, names, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from serve.keys import KeyRights, KeyStore

MESSAGES = [{"role": "user", "content": "hi"}]
COLLECTED = "ready steady go stop here now"


@pytest.fixture(scope="module")
def house(gateway_kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("gateway")
    answers = folder / "answers.jsonl"
    answers.write_text(json.dumps({"key": "hi", "text": COLLECTED}) + "\n")
    models = {
        "talker": {"file": str(answers)},
        "base": {"role": "base"},
        "vectors": {"role": "embedding"},
        "paced": {"role": "base", "tokens_per_s": 200},
        "cut": {"file": str(answers), "card": 'stop = ["here"]\n[sampling]\nmax_tokens = 3\n'},
    }
    with gateway_kit.gateway(folder, models, {"body_mb": 1, "cors": ["https://a.example"]}) as up:
        yield up


@pytest.mark.slow
def test_models_are_listed_under_all_their_names(house: Any) -> None:
    listed = house.client.get("/v1/models").json()
    names = [one["id"] for one in listed["data"]]
    assert names == [
        name
        for model in ("talker", "base", "vectors", "paced", "cut")
        for name in (model, f"{model}-alias")
    ]
    assert house.client.get("/v1/models/talker-alias").json()["root"] == "talker"


@pytest.mark.slow
def test_an_unknown_model_is_a_404_that_lists_the_known(house: Any, gateway_kit: Any) -> None:
    for answer in (house.chat("nobody"), house.client.get("/v1/models/nobody")):
        error = gateway_kit.refused(answer, 404)
        assert error["code"] == "model_not_found"
        assert "base, cut, paced, talker, vectors" in error["message"]


@pytest.mark.parametrize("name", ["talker", "talker-alias"])
def test_a_stream_says_what_the_whole_answer_says(house: Any, gateway_kit: Any, name: str) -> None:
    whole = house.chat(name).json()
    events = house.events("/v1/chat/completions", model=name, messages=MESSAGES)
    assert whole["choices"][0]["message"]["content"] == COLLECTED
    assert gateway_kit.text_of(events) == COLLECTED
    assert {event["model"] for event in events} == {whole["model"]} == {"talker"}
    assert whole["usage"]["completion_tokens"] > 0


def test_usage_of_a_stream_is_shown_to_who_asks_for_it(house: Any) -> None:
    body = {"model": "talker", "messages": MESSAGES}
    plain = house.events("/v1/chat/completions", **body)
    asked = house.events("/v1/chat/completions", **body, stream_options={"include_usage": True})
    assert not any(event.get("usage") for event in plain)
    assert all(event["choices"] for event in plain)
    assert asked[-1]["choices"] == [] and asked[-1]["usage"]["completion_tokens"] > 0


def test_the_cards_sampling_holds_where_the_request_leaves_it_open(house: Any) -> None:
    assert house.chat("cut").json()["usage"]["completion_tokens"] == 3
    assert house.chat("cut", max_tokens=2).json()["usage"]["completion_tokens"] == 2
    named = house.chat("cut", max_completion_tokens=4).json()
    assert named["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("stops", "text"),
    [
        (["stop"], "ready steady go "),
        (["q1", "q2", "q3", "q4", "q5", "steady"], "ready "),
        (["q1", "q2", "q3", "q4", "q5"], COLLECTED),
        ([], COLLECTED),
        ("go", "ready steady "),
    ],
)
def test_any_number_of_stop_strings_ends_an_answer(
    house: Any, gateway_kit: Any, stops: Any, text: str, is_stream: bool
) -> None:
    body = {"model": "talker", "messages": MESSAGES, "stop": stops}
    if is_stream:
        assert gateway_kit.text_of(house.events("/v1/chat/completions", **body)) == text
    else:
        answer = house.post("/v1/chat/completions", **body).json()
        assert answer["choices"][0]["message"]["content"] == text


def test_the_cards_stop_strings_end_every_answer(house: Any) -> None:
    answer = house.chat("cut", max_tokens=50).json()
    assert answer["choices"][0]["message"]["content"] == "ready steady go stop "


def test_a_base_model_goes_on_with_texts_and_has_no_chat(house: Any, gateway_kit: Any) -> None:
    answer = house.post("/v1/completions", model="base", prompt=["a", "b"], max_tokens=2).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    error = gateway_kit.refused(house.chat("base"), 400)
    assert "/v1/completions" in error["message"]


def test_embeddings_come_from_models_that_make_them(house: Any, gateway_kit: Any) -> None:
    answer = house.post("/v1/embeddings", model="vectors", input=["a", "b"]).json()
    assert [len(one["embedding"]) for one in answer["data"]] == [64, 64]
    gateway_kit.refused(house.chat("vectors"), 400)
    assert gateway_kit.refused(house.post("/v1/embeddings", model="vectors"), 400)["param"]


def test_routes_that_an_engine_has_not_got_are_refused(house: Any, gateway_kit: Any) -> None:
    error = gateway_kit.refused(house.post("/v1/responses", model="talker", input="a"), 400)
    assert error["code"] == "unsupported_endpoint"
    answer = house.post("/v1/messages", model="talker", messages=MESSAGES, max_tokens=1)
    assert answer.status_code == 400 and answer.json()["type"] == "error"


BAD = [
    ({"messages": MESSAGES}, 400, "model"),
    ({"model": 1, "messages": MESSAGES}, 400, "model"),
    ({"model": "talker"}, 400, "messages"),
    ({"model": "talker", "messages": []}, 400, "messages"),
    ({"model": "talker", "messages": "hi"}, 400, "messages"),
    ({"model": "talker", "messages": [1]}, 400, "messages[0]"),
    ({"model": "talker", "messages": [{"role": 1}]}, 400, "messages[0].role"),
    ({"model": "talker", "messages": MESSAGES, "stream": "yes"}, 400, "stream"),
    ({"model": "talker", "messages": MESSAGES, "temperature": "hot"}, 400, "temperature"),
    ({"model": "talker", "messages": MESSAGES, "temperature": -1}, 400, "temperature"),
    ({"model": "talker", "messages": MESSAGES, "temperature": True}, 400, "temperature"),
    ({"model": "talker", "messages": MESSAGES, "n": 0}, 400, "n"),
    ({"model": "talker", "messages": MESSAGES, "n": 10**6}, 400, "n"),
    ({"model": "talker", "messages": MESSAGES, "max_tokens": 1.5}, 400, "max_tokens"),
    ({"model": "talker", "messages": MESSAGES, "seed": 2**80}, 400, "seed"),
    ({"model": "talker", "messages": MESSAGES, "stop": [1]}, 400, "stop"),
    ({"model": "talker", "messages": MESSAGES, "stop": ["x"] * 300}, 400, "stop"),
    ({"model": "talker", "messages": MESSAGES, "stream_options": {}}, 400, "stream_options"),
    ({"model": "talker", "messages": MESSAGES, "no_such": 1}, 400, "no_such"),
]


@pytest.mark.parametrize(("body", "status", "param"), BAD)
def test_a_bad_field_is_refused_by_its_name(
    house: Any, gateway_kit: Any, body: dict[str, Any], status: int, param: str
) -> None:
    error = gateway_kit.refused(house.post("/v1/chat/completions", **body), status)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"a"', 400),
        (b'{"temperature": NaN}', 400),
        (b'{"temperature": 1e999}', 400),
        (b'{"model": "\xff"}', 400),
        (b'{"model": "\\ud800"}', 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
        (b'{"prompt": "' + b"x" * (2 << 20) + b'"}', 413),
    ],
)
def test_what_is_no_body_is_refused(house: Any, gateway_kit: Any, data: bytes, status: int) -> None:
    gateway_kit.refused(house.client.post("/v1/chat/completions", content=data), status)


def test_a_body_without_a_length_is_capped_as_it_comes(house: Any, gateway_kit: Any) -> None:
    pieces = (b"x" * 65536 for _ in range(40))
    gateway_kit.refused(house.client.post("/v1/chat/completions", content=pieces), 413)


def test_a_compressed_body_is_refused(house: Any, gateway_kit: Any) -> None:
    headers = {"content-encoding": "gzip"}
    answer = house.client.post("/v1/chat/completions", content=b"\x1f\x8b", headers=headers)
    gateway_kit.refused(answer, 415)


def test_a_prompt_beyond_the_context_is_the_engines_refusal(house: Any, gateway_kit: Any) -> None:
    answer = house.post("/v1/completions", model="base", prompt="word " * 9000)
    assert gateway_kit.refused(answer, 400)["code"] == "context_length_exceeded"


def test_a_path_or_method_that_is_none_is_refused(house: Any, gateway_kit: Any) -> None:
    gateway_kit.refused(house.client.get("/v1/nothing"), 404)
    error = gateway_kit.refused(house.client.get("/v1/chat/completions"), 405)
    assert "POST" in error["message"]


def test_a_request_keeps_its_id_or_gets_one(house: Any) -> None:
    own = house.client.get("/v1/models", headers={"x-request-id": "mine-1"})
    assert own.headers["x-request-id"] == "mine-1"
    odd = house.client.get("/v1/models", headers={"x-request-id": "a b\tc"})
    assert odd.headers["x-request-id"].startswith("req_")


def test_pages_of_the_recipes_origins_may_ask_and_others_not(house: Any, gateway_kit: Any) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-a"}
    good = house.client.options(
        "/v1/chat/completions", headers={"origin": "https://a.example", **asks}
    )
    assert good.status_code == 204
    assert good.headers["access-control-allow-origin"] == "https://a.example"
    assert good.headers["access-control-allow-headers"] == "x-a"
    answer = house.client.get("/v1/models", headers={"origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    foreign = house.client.get("/v1/models", headers={"origin": "https://b.example"})
    gateway_kit.refused(foreign, 403)
    assert "access-control-allow-origin" not in foreign.headers
    renamed = house.client.get("/v1/models", headers={"host": "evil.example"})
    gateway_kit.refused(renamed, 403)


def test_the_log_has_a_line_for_each_request_and_no_word_of_it(
    house: Any, gateway_kit: Any
) -> None:
    secret = "a-word-nobody-else-says"
    body = {"model": "base", "prompt": secret, "max_tokens": 2}
    house.client.post("/v1/completions", json=body, headers={"x-request-id": "find-me"})
    line = gateway_kit.until(
        lambda: next((line for line in house.log if "id=find-me" in line), None)
    )
    assert "model=base" in line and "completion_tokens=2" in line and "status=200" in line
    assert not any(secret in line for line in house.log)


def test_the_document_names_every_route(house: Any) -> None:
    from serve.gateway.routes import WAYS

    paths = house.client.get("/openapi.json").json()["paths"]
    for way in WAYS:
        operation = paths[way.path.replace(":path", "")][way.method.lower()]
        assert operation["summary"], way.path
        assert ("requestBody" in operation) == (way.takes != "none")


def test_counters_tell_tokens_and_times_by_model(house: Any) -> None:
    before = house.counted("completion_tokens_total", model="base")
    house.events("/v1/completions", model="base", prompt="a", max_tokens=9)
    house.events("/v1/completions", model="paced", prompt="a", max_tokens=9)
    assert house.counted("completion_tokens_total", model="base") == before + 9
    assert house.counted("time_to_first_token_seconds_count", model="base") >= 1
    assert house.counted("inter_token_seconds_count", model="paced") >= 4
    assert house.counted("inter_token_seconds_bucket", model="paced", le="+Inf") == house.counted(
        "inter_token_seconds_count", model="paced"
    )
    assert house.counted("running") == 0 and house.counted("queue_depth") == 0
    assert house.counted("engine_state", state="ready") == 5


@pytest.mark.slow
def test_every_route_asks_for_a_key_where_there_are_keys(gateway_kit: Any, tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.sqlite", make=True)
    _, good = store.add("ada")
    _, narrow = store.add("bob", KeyRights(models=("other",)))
    _, old = store.add("eve")
    store.revoke("eve")
    settings = {"keys_file": str(tmp_path / "keys.sqlite")}
    models: dict[str, dict[str, Any]] = {"talker": {}, "other": {}}
    with gateway_kit.gateway(tmp_path, models, settings, key=good) as up:
        assert up.chat("talker").status_code == 200
        bare = httpx.Client(base_url=up.url)
        from serve.gateway.routes import WAYS

        for way in WAYS:
            path = way.path.replace("{model:path}", "talker").replace("{", "").replace("}", "")
            answer = bare.request(way.method, path, json={})
            if way.guard == "health":
                assert answer.status_code == 200
            else:
                assert gateway_kit.refused(answer, 401)["code"] == "missing_api_key"
        for key, code in ((old, "invalid_api_key"), ("sk-nobody", "invalid_api_key")):
            answer = bare.get("/v1/models", headers={"authorization": f"Bearer {key}"})
            assert gateway_kit.refused(answer, 401)["code"] == code
        gateway_kit.refused(bare.get("/no-route"), 401)
        listed = bare.get("/v1/models", headers={"x-api-key": narrow}).json()["data"]
        assert [one["id"] for one in listed] == ["other", "other-alias"]
        body = {"model": "talker", "messages": MESSAGES}
        answer = bare.post("/v1/chat/completions", json=body, headers={"x-api-key": narrow})
        assert gateway_kit.refused(answer, 403)["code"] == "model_not_allowed"
        assert up.counted("completion_tokens_total", key="ada") > 0
        assert not any(good in line or narrow in line for line in up.log)
        bare.close()
    store.close()
