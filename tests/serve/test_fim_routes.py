"""Fill in the middle over the gateway, as editors ask for it, in front of a scripted engine.

The requests of clients are those that they send by their sources: Continue's (continuedev/continue,
core/llm/llms/OpenAI.ts, _streamFim), llama.vim's and llama.vscode's (ggml-org), Mistral's own
client (mistralai/client-python), minuet's and others' `suffix`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("tree_sitter_language_pack")

BEFORE = "# {}\ndef add(a, b):\n    "
AFTER = "\n\n\nprint(add(1, 2))\n"
MIDDLE = "return a + b"
ROWS = {
    "echoes the file": MIDDLE + AFTER + AFTER,
    "goes on": MIDDLE + "\n\n\ndef other():\n    return 1\n" + "x = 1\ny = 2\n" * 4000,
    "stops": MIDDLE,
    "many stops": "one two three four five six seven",
    "special": MIDDLE + "<[fim-suffix]>junk",
    "dedents": "if a:\n        return b\n    return a\nprint(1)\n",
}
CARD = """
name = "{name}"
role = "base"
context_tokens = 4096
[fim]
{fim}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway of three models: one that writes by a script, one that echoes, one without FIM."""
    import uvicorn

    from serve.config import ServeRecipe
    from serve.gateway.app import create_app

    folder = tmp_path_factory.mktemp("fim")
    words = 'format = "seed-coder"\nstop = ["<[fim-suffix]>", "<[fim-prefix]>"]'
    (folder / "writes.toml").write_text(CARD.format(name="writes", fim=words))
    (folder / "echoes.toml").write_text(CARD.format(name="echoes", fim='format = "seed-coder"'))
    (folder / "files.toml").write_text(CARD.format(name="files", fim='format = "qwen"'))
    (folder / "plain.toml").write_text(CARD.format(name="plain", fim="").replace("[fim]\n", ""))
    rows = [json.dumps({"key": key, "text": text}) for key, text in ROWS.items()]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    echo = {"mode": "echo"}
    tables = [("writes", {"file": str(folder / "rows.jsonl"), "tokens_per_s": 2000.0}),
              ("echoes", echo), ("files", echo), ("plain", echo)]  # fmt: skip
    recipe = ServeRecipe.model_validate(
        {
            "models": [
                {"card": f"{name}.toml", "engine": "scripted", "options": options}
                for name, options in tables
            ],
            "gateway": {"files_dir": folder / "kept"},
        }
    )
    app = create_app(recipe, runtime_dir=tmp_path_factory.mktemp("r"), beside=folder)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline and thread.is_alive()
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        kept = {name: one.kept for name, one in app.state.house.served.items()}
        client.kept = kept  # type: ignore[attr-defined]
        while any(one.state != "ready" for one in kept.values()):
            assert time.monotonic() < deadline, {n: one.why for n, one in kept.items()}
            time.sleep(0.05)
        yield client
    server.should_exit = True
    thread.join(60)


def asked(client: httpx.Client, path: str, status: int = 200, /, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    return said


def events(client: httpx.Client, path: str, /, **body: Any) -> list[dict[str, Any]]:
    with client.stream("POST", path, json={"stream": True, **body}) as answer:
        assert answer.status_code == 200, answer.read()
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def suffix(case: str, **more: Any) -> dict[str, Any]:
    return {"model": "writes", "prompt": BEFORE.format(case), "suffix": AFTER, **more}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["echoes the file", "goes on", "stops"])
def test_a_suffix_is_answered_with_the_middle_alone(gateway: httpx.Client, case: str) -> None:
    said = asked(gateway, "/v1/completions", **suffix(case))
    assert said["choices"][0]["text"].rstrip() == MIDDLE
    assert said["choices"][0]["finish_reason"] == "stop"
    assert said["object"] == "text_completion" and said["model"] == "writes"


@pytest.mark.slow
def test_a_stream_says_the_same_as_the_whole(gateway: httpx.Client) -> None:
    options = {"include_usage": True}
    came = events(gateway, "/v1/completions", **suffix("goes on", stream_options=options))
    text = "".join(choice["text"] for event in came for choice in event["choices"])
    assert text.rstrip() == MIDDLE
    ends = [c["finish_reason"] for event in came for c in event["choices"] if c["finish_reason"]]
    assert ends == ["stop"]
    assert came[-1]["choices"] == [] and came[-1]["usage"]["completion_tokens"] > 3
    assert all("usage" not in event for event in came[:-1])


def test_the_engine_is_cancelled_where_the_middle_ends(gateway: httpx.Client) -> None:
    said = asked(gateway, "/v1/completions", **suffix("goes on", max_tokens=3000))
    usage = said["usage"]
    assert 0 < usage["completion_tokens"] < 500  # of 3,000 that the script would say
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 20
    socket = gateway.kept["writes"].engine.address.socket  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as engine:
        while engine.get("http://engine/health").json()["running"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_without_an_end_the_model_goes_on_to_its_limit(gateway: httpx.Client) -> None:
    said = asked(gateway, "/v1/completions", **suffix("goes on", end="none", max_tokens=40))
    assert "def other" in said["choices"][0]["text"]
    assert said["choices"][0]["finish_reason"] == "length"
    line = asked(gateway, "/v1/completions", **suffix("dedents", end="line"))
    assert line["choices"][0]["text"] == "if a:"


def test_more_than_four_stops_are_taken(gateway: httpx.Client) -> None:
    stops = ["a1", "a2", "a3", "a4", "a5", " four"]
    said = asked(gateway, "/v1/completions", **suffix("many stops", stop=stops, end="none"))
    assert said["choices"][0]["text"] == "one two three"


def test_the_tokens_of_the_format_end_a_middle(gateway: httpx.Client) -> None:
    said = asked(gateway, "/v1/completions", **suffix("special", end="none"))
    assert said["choices"][0]["text"] == MIDDLE


def test_several_choices_are_cut_each(gateway: httpx.Client) -> None:
    said = asked(gateway, "/v1/completions", **suffix("goes on", n=3, max_tokens=100))
    assert [choice["text"].rstrip() for choice in said["choices"]] == [MIDDLE] * 3


def prompt_of(gateway: httpx.Client, **body: Any) -> str:
    """Return the prompt that the engine got: it echoes."""
    said = asked(gateway, "/v1/completions", **{"model": "echoes", "end": "none", **body})
    text: str = said["choices"][0]["text"]
    return text


def test_the_prompt_is_the_cards_suffix_first(gateway: httpx.Client) -> None:
    said = prompt_of(gateway, prompt="a = ", suffix="\nb\n")
    assert said == "<[fim-suffix]>\nb\n<[fim-prefix]>a = <[fim-middle]>"


def test_other_files_come_with_the_formats_tokens_or_as_text(gateway: httpx.Client) -> None:
    files = [{"filename": "far.py", "text": "far = 1"}, {"filename": "near.py", "text": "near = 2"}]
    plain = prompt_of(gateway, prompt="a = ", suffix="\nb\n", input_extra=files, language="python")
    assert plain == (
        "<[fim-suffix]>\nb\n<[fim-prefix]># far.py\nfar = 1\n\n# near.py\nnear = 2\n\na = "
        "<[fim-middle]>"
    )
    # llama.cpp's answer says the prompt; an echo would end at the format's own stops.
    own = asked(
        gateway, "/infill", model="files", input_prefix="a = ", input_suffix="b",
        input_extra=files, path="x.py",
    )["prompt"]  # fmt: skip
    assert own.startswith("<|repo_name|>project\n<|file_sep|>far.py\nfar = 1\n<|file_sep|>near.py")
    assert own.endswith("<|file_sep|>x.py\n<|fim_prefix|>a = <|fim_suffix|>b<|fim_middle|>")


def test_other_files_are_held_to_a_budget_the_nearest_kept(gateway: httpx.Client) -> None:
    files = [{"filename": f"{n}.py", "text": f"line_{n} = {n}\n" * 60} for n in range(9)]
    body = {"prompt": "a = ", "suffix": "b", "input_extra": files, "language": "python"}
    said = prompt_of(gateway, **body, extra_tokens=400)
    assert "# 8.py\n" in said and "# 1.py\n" not in said
    assert len(said) < 400 * 3 + 100
    assert "# 8.py" not in prompt_of(gateway, **body, extra_tokens=0)


def test_continues_request_gets_mistrals_chunks(gateway: httpx.Client) -> None:
    came = events(
        gateway, "/v1/fim/completions", model="writes", prompt=BEFORE.format("goes on"),
        suffix=AFTER, max_tokens=4096 // 2, temperature=0.01, stop=["[PREFIX]", "[SUFFIX]"],
    )  # fmt: skip
    # It reads choices[0].delta.content of every chunk, the last too.
    assert "".join(event["choices"][0]["delta"]["content"] for event in came).rstrip() == MIDDLE
    assert came[0]["object"] == "chat.completion.chunk"
    assert came[-1]["choices"][0]["finish_reason"] == "stop"
    assert came[-1]["usage"]["completion_tokens"] > 3


def test_mistrals_client_gets_a_message(gateway: httpx.Client) -> None:
    said = asked(
        gateway, "/v1/fim/completions", model="writes", prompt=BEFORE.format("goes on"),
        suffix=AFTER, temperature=None, top_p=1, max_tokens=None, stream=False, random_seed=1337,
        min_tokens=None,
    )  # fmt: skip
    assert said["object"] == "chat.completion"
    assert said["choices"][0]["message"]["content"].rstrip() == MIDDLE
    assert said["choices"][0]["finish_reason"] == "stop"
    assert said["usage"]["prompt_tokens"] > 20


def test_mistrals_request_without_a_suffix_just_goes_on(gateway: httpx.Client) -> None:
    said = asked(gateway, "/v1/fim/completions", model="echoes", prompt="def f(")
    assert said["choices"][0]["message"]["content"] == "def f("


LLAMA_VIM: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": BEFORE.format("goes on").removesuffix("    "),
    "input_suffix": AFTER,
    "input_extra": [{"text": "x = 1\n", "time": 1.5, "filename": "other.py"}],
    "prompt": "    ",
    "n_predict": 128,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": [
        "content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms",
        "timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms",
        "timings/predicted_per_token_ms", "timings/predicted_per_second", "truncated",
        "tokens_cached",
    ],
    "model": "writes",
}  # fmt: skip


def test_llama_vims_request_gets_the_fields_it_asks_for(gateway: httpx.Client) -> None:
    said = asked(gateway, "/infill", **LLAMA_VIM)
    assert set(said) == set(LLAMA_VIM["response_fields"])
    assert said["content"].rstrip() == MIDDLE
    assert said["truncated"] is False
    assert said["timings/prompt_n"] > 20 and said["timings/predicted_n"] > 3


def test_llama_vims_warming_request_gets_no_text(gateway: httpx.Client) -> None:
    said = asked(
        gateway, "/infill", model="writes", id_slot=0, input_prefix="# stops", input_suffix="",
        input_extra=[], prompt="", n_predict=0, temperature=0.0, samplers=[], stream=False,
        cache_prompt=True, t_max_prompt_ms=1, t_max_predict_ms=1, response_fields=[""],
    )  # fmt: skip
    assert said == {}


def test_llama_cpps_stream_ends_with_its_final_event(gateway: httpx.Client) -> None:
    body = {**LLAMA_VIM, "response_fields": None, "stream": True}
    came = events(gateway, "/infill", **body)
    assert "".join(event["content"] for event in came).rstrip() == MIDDLE
    assert [event["stop"] for event in came] == [False] * (len(came) - 1) + [True]
    assert came[-1]["stop_type"] == "eos" and came[-1]["model"] == "writes"
    assert came[-1]["timings"]["predicted_n"] == came[-1]["tokens_predicted"] > 3
    assert came[-1]["prompt"].startswith("<[fim-suffix]>")


def test_n_indent_ends_before_a_shallower_line(gateway: httpx.Client) -> None:
    body = {"model": "writes", "input_prefix": BEFORE.format("dedents"), "input_suffix": "",
            "end": "none"}  # fmt: skip
    said = asked(gateway, "/infill", **body, n_indent=4)
    assert said["content"] == "if a:\n        return b\n    return a"
    assert asked(gateway, "/infill", **body)["content"] == ROWS["dedents"]


def test_infill_leaves_out_what_is_furthest_from_the_cursor(gateway: httpx.Client) -> None:
    said = asked(
        gateway, "/infill", model="echoes", input_prefix="p" * 40_000 + "x = ",
        input_suffix="\ny" + "s" * 40_000, end="none", n_predict=100,
    )  # fmt: skip
    assert said["truncated"] is True
    assert "<[fim-suffix]>\nys" in said["prompt"] and "x = <[fim-middle]>" in said["prompt"]
    assert len(said["prompt"]) < 3 * 4096


def test_two_completions_of_infill_are_a_list(gateway: httpx.Client) -> None:
    answer = gateway.post("/infill", json={**LLAMA_VIM, "n_cmpl": 2})
    assert [one["content"].rstrip() for one in answer.json()] == [MIDDLE] * 2


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/v1/completions", {"model": "plain", "prompt": "a", "suffix": "b"}, 400, "[fim]"),
        ("/v1/completions", {"model": "none", "prompt": "a", "suffix": "b"}, 404, "writes"),
        ("/v1/completions", {**suffix("stops"), "suffix": 3}, 400, "suffix"),
        ("/v1/completions", {**suffix("stops"), "prompt": ["a", "b"]}, 400, "one text"),
        ("/v1/completions", {**suffix("stops"), "prompt": [1, 2]}, 400, "one text"),
        ("/v1/completions", {**suffix("stops"), "echo": True}, 400, "echo"),
        ("/v1/completions", {**suffix("stops"), "logprobs": 2}, 400, "logprobs"),
        ("/v1/completions", {**suffix("stops"), "end": "never"}, 400, "syntax, line, none"),
        ("/v1/completions", {**suffix("stops"), "max_tokens": "9"}, 400, "max_tokens"),
        ("/v1/completions", {**suffix("stops"), "stop": [1]}, 400, "stop"),
        ("/v1/completions", {**suffix("stops"), "unheard_of": 1}, 400, "unheard_of"),
        ("/v1/completions", {**suffix("stops"), "input_extra": [{"text": 1}]}, 400,
         "input_extra[0].text"),
        ("/v1/completions", {**suffix("stops"), "prompt": "a b " * 9000}, 400, "context length"),
        ("/v1/fim/completions", {"model": "writes", "suffix": "b"}, 400, "prompt"),
        ("/infill", {"model": "writes", "input_prefix": "a"}, 400, "input_suffix"),
        ("/infill", {"input_prefix": "a", "input_suffix": "b"}, 400, "writes"),
        ("/infill", {**LLAMA_VIM, "n_predict": "many"}, 400, "n_predict"),
        ("/infill", {**LLAMA_VIM, "n_indent": -1}, 400, "n_indent"),
        ("/infill", {**LLAMA_VIM, "response_fields": "content"}, 400, "response_fields"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_line(
    gateway: httpx.Client, path: str, body: dict[str, Any], status: int, word: str
) -> None:
    error = asked(gateway, path, status, **body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert word in error["message"]


def test_the_openai_library_asks_with_a_suffix(gateway: httpx.Client) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="none") as client:
        said = client.completions.create(**suffix("goes on"), extra_body={"language": "python"})
        assert said.choices[0].text.rstrip() == MIDDLE
        stream = client.completions.create(**suffix("goes on"), stream=True)
        assert "".join(one.choices[0].text for one in stream).rstrip() == MIDDLE
