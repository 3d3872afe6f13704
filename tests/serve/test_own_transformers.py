"""The transformers engine as a process, with a tiny checkpoint, against transformers itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[hf]'")
transformers = pytest.importorskip(
    "transformers", reason="needs transformers: pip install -e '.[hf]'"
)
pytest.importorskip("httptools", reason="the engines' HTTP needs httptools")

pytestmark = pytest.mark.slow

FIM = "<[fim-suffix]>\n\nprint(f())<[fim-prefix]>def f():\n    return <[fim-middle]>"
PROMPTS = ("def add(", "class A:\n    x = 1\n", FIM, "for i in ", "import the number " * 40)
SPECIAL_ID = 7  # <filename>
EOS_ID, THINK_ID = 2, 8


@pytest.fixture(scope="module")
def engine(own_kit: ModuleType, tiny_checkpoint: Path) -> Iterator[Any]:
    # As exact as what it is compared with: by default weights are bfloat16 on some machines.
    how = ("--threads", "1", "--batch", "4", "--dtype", "float32")
    words = ("--source", str(tiny_checkpoint), *how)
    with own_kit.served("transformers", *words) as engine:
        yield engine


@pytest.fixture(scope="module")
def oracle(tiny_checkpoint: Path) -> tuple[Any, Any]:
    """transformers' own model and tokenizer."""
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(tiny_checkpoint)


def greedy(oracle: tuple[Any, Any], prompt: str, tokens: int) -> str:
    """Return what transformers itself continues with."""
    model, tokenizer = oracle
    ids = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        out = model.generate(**ids, max_new_tokens=tokens, do_sample=False, pad_token_id=1)
    text: str = tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    return text


def said(answer: dict[str, Any]) -> list[str]:
    return [choice["text"] for choice in answer["choices"]]


def test_replies_are_transformers_own_alone_and_together(
    engine: Any, oracle: tuple[Any, Any]
) -> None:
    expected = [greedy(oracle, prompt, 40) for prompt in PROMPTS]
    assert len(set(expected)) == len(PROMPTS)
    alone = [said(engine.text(p, max_tokens=40, temperature=0))[0] for p in PROMPTS]
    assert alone == expected
    assert said(engine.text(list(PROMPTS) * 2, max_tokens=40, temperature=0)) == expected * 2


def test_requests_that_come_in_between_join_and_change_nothing(
    engine: Any, own_kit: ModuleType, oracle: tuple[Any, Any]
) -> None:
    results: dict[int, str] = {}

    def ask(at: int) -> None:
        events = engine.events(
            "/v1/completions", prompt=PROMPTS[at % len(PROMPTS)], max_tokens=20 + at, temperature=0
        )
        results[at] = "".join(own_kit.pieces(list(events)))

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(12):
        assert results[at] == greedy(oracle, PROMPTS[at % len(PROMPTS)], 20 + at)
    assert engine.load() == (0, 0)


def test_a_long_prompt_is_computed_between_the_rounds_of_others(
    engine: Any, own_kit: ModuleType, oracle: tuple[Any, Any]
) -> None:
    streams = [
        engine.events("/v1/completions", prompt=p, max_tokens=200, temperature=0)
        for p in PROMPTS[:3]
    ]
    begun = [[next(stream)] for stream in streams]
    long = "print(self, answer) # number " * 100
    joined = said(engine.text(long, max_tokens=10, temperature=0))[0]
    assert joined == greedy(oracle, long, 10)
    for prompt, events, stream in zip(PROMPTS, begun, streams, strict=False):
        assert "".join(own_kit.pieces([*events, *stream])) == greedy(oracle, prompt, 200)


def test_the_same_seed_draws_the_same_whoever_is_in_the_batch(engine: Any) -> None:
    one = said(engine.text("def f", max_tokens=30, seed=5, temperature=0.9, top_p=0.95))[0]
    many = engine.text(
        ["x = ", "def f", "y"], n=2, max_tokens=30, seed=5, temperature=0.9, top_p=0.95
    )
    assert said(many)[2] == one
    assert len(set(said(many))) == 6
    assert said(engine.text("def f", max_tokens=30, seed=6, temperature=0.9))[0] != one
    free = {said(engine.text("def f", max_tokens=30))[0] for _ in range(3)}
    assert len(free) == 3


def test_fim_tokens_are_tokens_of_the_prompt(engine: Any, oracle: tuple[Any, Any]) -> None:
    ids = oracle[1](FIM)["input_ids"]
    assert engine.text(FIM, max_tokens=1)["usage"]["prompt_tokens"] == len(ids)
    assert engine.post("/tokenize", prompt=FIM).json()["tokens"] == ids
    assert said(engine.text(ids, max_tokens=9, temperature=0)) == said(
        engine.text(FIM, max_tokens=9, temperature=0)
    )


def test_special_tokens_of_a_reply_are_left_out_unless_asked_for(engine: Any) -> None:
    always = {"logit_bias": {str(SPECIAL_ID): 100}, "max_tokens": 3, "temperature": 0}
    plain = engine.text("x", **always)
    assert (said(plain), plain["usage"]["completion_tokens"]) == ([""], 3)
    assert said(engine.text("x", skip_special_tokens=False, **always)) == ["<filename>" * 3]
    thinks = {**always, "logit_bias": {str(THINK_ID): 100}}
    assert said(engine.text("x", **thinks)) == ["<think>" * 3]


def test_a_special_token_as_stop_ends_a_reply_although_it_is_not_shown(engine: Any) -> None:
    always = {"logit_bias": {str(SPECIAL_ID): 100}, "max_tokens": 9, "temperature": 0}
    for kept in (True, False):
        choice = engine.text("x", stop=["<filename>"], skip_special_tokens=kept, **always)
        assert choice["usage"]["completion_tokens"] == 1
        assert choice["choices"][0]["finish_reason"] == "stop"
        assert choice["choices"][0]["stop_reason"] == "<filename>"
        assert said(choice) == [""]
    by_id = engine.text("x", stop_token_ids=[SPECIAL_ID], **always)["choices"][0]
    assert (by_id["finish_reason"], by_id["stop_reason"]) == ("stop", SPECIAL_ID)
    assert engine.text("x", stop=["</s>"], **always)["choices"][0]["finish_reason"] == "length"


def test_the_models_own_end_ends_a_reply_unless_told_otherwise(engine: Any) -> None:
    ends = {"logit_bias": {str(EOS_ID): 100}, "max_tokens": 5, "temperature": 0}
    choice = engine.text("x", **ends)["choices"][0]
    assert (choice["text"], choice["finish_reason"], choice["stop_reason"]) == ("", "stop", None)
    goes_on = engine.text("x", ignore_eos=True, **ends)
    assert goes_on["choices"][0]["finish_reason"] == "length"
    at_least = engine.text("x", min_tokens=3, **ends)
    assert at_least["usage"]["completion_tokens"] == 4


def test_any_number_of_stops_cut_what_is_streamed_as_what_is_whole(
    engine: Any, own_kit: ModuleType, oracle: tuple[Any, Any]
) -> None:
    text = greedy(oracle, PROMPTS[0], 40)
    stop = text[12:16]
    body = {
        "prompt": PROMPTS[0], "max_tokens": 40, "temperature": 0,
        "stop": ["never 1", "never 2", "never 3", "never 4", stop],
    }  # fmt: skip
    cut = text[: text.index(stop)]
    whole = engine.text(**body)
    assert said(whole) == [cut]
    assert whole["choices"][0]["stop_reason"] == stop
    assert "".join(own_kit.pieces(list(engine.events("/v1/completions", **body)))) == cut
    assert said(engine.text(**body, include_stop_str_in_output=True)) == [cut + stop]


def test_logprobs_are_the_models_own(engine: Any, oracle: tuple[Any, Any]) -> None:
    model, tokenizer = oracle
    with torch.inference_mode():
        logits = model(**tokenizer(PROMPTS[0], return_tensors="pt")).logits[0, -1]
    best = torch.log_softmax(logits, -1).topk(3).values
    chat = engine.text(PROMPTS[0], max_tokens=5, temperature=0, logprobs=3)["choices"][0]
    assert chat["logprobs"]["token_logprobs"][0] == pytest.approx(best[0].item(), abs=1e-4)
    top = list(chat["logprobs"]["top_logprobs"][0].values())
    assert top == pytest.approx(best.tolist(), abs=1e-4)
    assert len(chat["logprobs"]["tokens"]) == 5
    drawn = engine.text(PROMPTS[0], max_tokens=5, logprobs=0)["choices"][0]["logprobs"]
    assert [list(one.values()) for one in drawn["top_logprobs"]] == [
        [logprob] for logprob in drawn["token_logprobs"]
    ]
    answer = engine.chat("hi", max_tokens=4, logprobs=True, top_logprobs=2)
    told = answer["choices"][0]["logprobs"]["content"]
    assert [len(one["top_logprobs"]) for one in told] == [2] * 4
    assert all(one["logprob"] <= one["top_logprobs"][0]["logprob"] + 1e-6 for one in told)


def test_sampling_wishes_are_each_replys_own(engine: Any, oracle: tuple[Any, Any]) -> None:
    best = greedy(oracle, "def f", 20)
    for wish in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert said(engine.text("def f", max_tokens=20, temperature=1.5, **wish)) == [best], wish
    plain = engine.text("def f", max_tokens=60, temperature=0, logprobs=0)
    punished = engine.text("def f", max_tokens=60, temperature=0, frequency_penalty=2, logprobs=0)
    counts = [len(set(x["choices"][0]["logprobs"]["tokens"])) for x in (plain, punished)]
    assert counts[1] > counts[0]
    once = engine.text("def f", max_tokens=60, temperature=0, repetition_penalty=100.0, logprobs=0)
    tokens = once["choices"][0]["logprobs"]["tokens"]
    assert len(set(tokens)) > counts[0]


def test_a_prompt_and_its_reply_stay_within_the_context(engine: Any, own_kit: ModuleType) -> None:
    got = engine.text([9] * 2040, max_tokens=500, ignore_eos=True)
    assert got["usage"]["completion_tokens"] == 8
    assert got["choices"][0]["finish_reason"] == "length"
    for prompt in ([9] * 2048, "x" * 10_000_000):
        error = own_kit.refused(engine.post("/v1/completions", prompt=prompt), 400)
        assert error["code"] == "context_length_exceeded"


def test_a_client_that_goes_away_frees_its_place(engine: Any, own_kit: ModuleType) -> None:
    streams = [
        engine.events("/v1/completions", prompt="x", max_tokens=1900, ignore_eos=True)
        for _ in range(6)
    ]
    for stream in streams[:4]:
        next(stream)
    # Two wait: four are under way at most.
    opened = [threading.Thread(target=lambda s=s: next(s, None)) for s in streams[4:]]
    for thread in opened:
        thread.start()
    own_kit.until(lambda: engine.load() == (4, 2) or engine.load()[0] == 0)
    for stream in streams[:4]:
        stream.close()
    for thread in opened:
        thread.join()
    for stream in streams[4:]:
        stream.close()
    own_kit.until(lambda: engine.load() == (0, 0))


@pytest.mark.parametrize(
    ("path", "body", "param", "words"),
    [
        ("completions", {"prompt": ""}, "prompt", "at least one token"),
        ("completions", {"prompt": [5000]}, "prompt", "vocabulary"),
        ("completions", {"prompt": "x", "logit_bias": {"x": 1}}, "logit_bias", "no token"),
        ("completions", {"prompt": "x", "echo": True, "logprobs": 1}, "echo", "leave out echo"),
        ("chat/completions", {"tools": [{"type": "function"}]}, "tools", "no tool calls"),
        ("embeddings", {"input": "x"}, "model", "no embeddings"),
    ],
)
def test_what_it_cannot_do_is_refused(
    engine: Any, own_kit: ModuleType, path: str, body: dict[str, Any], param: str, words: str
) -> None:
    if path == "chat/completions":
        body = {"messages": [{"role": "user", "content": "x"}], **body}
    error = own_kit.refused(
        engine.post(f"/v1/{path}", **body), 404 if path == "embeddings" else 400
    )
    assert error["param"] == param
    assert words in error["message"]
    assert engine.load() == (0, 0)


def test_a_checkpoint_that_cannot_be_used_is_said_in_one_line(
    own_kit: ModuleType, tiny_checkpoint: Path
) -> None:
    for words, line in (
        (("--source", "/nowhere"), "no such folder"),
        (("--source", str(tiny_checkpoint), "--context-tokens", "4096"), "was made for 2048"),
        (("--source", str(tiny_checkpoint), "--cache-gb", "0.01", "--context-tokens", "2048",
          "--dtype", "float32", "--batch", "99"), None),
    ):  # fmt: skip
        if line is None:
            with own_kit.served("transformers", *words) as engine:
                assert any("fewer replies at once" in said for said in engine.log)
            continue
        with pytest.raises(AssertionError, match=line):
            own_kit.Served("transformers", *words)


def test_smollm2_answers_a_question_streamed(own_kit: ModuleType) -> None:
    pytest.importorskip("gguf", reason="needs gguf: pip install -e '.[hf]'")
    words = ("--source", "smollm2:", "--threads", "1", "--context-tokens", "512")
    with own_kit.served("transformers", *words) as engine:
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        usage = {"include_usage": True}
        body = {"messages": messages, "max_tokens": 20, "temperature": 0, "stream_options": usage}
        events = list(engine.events("/v1/chat/completions", **body))
    assert "Paris" in "".join(own_kit.pieces(events))
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    # A token an event, but for the end.
    assert len(own_kit.pieces(events)) == events[-1]["usage"]["completion_tokens"] - 1
