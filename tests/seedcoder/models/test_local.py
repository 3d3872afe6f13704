from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedcoder.completion import Completion, Message, Model, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.models import open_model

torch = pytest.importorskip("torch", reason="needs the 'hf' extra: torch")
transformers = pytest.importorskip("transformers", reason="needs the 'hf' extra: transformers")

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def tiny_checkpoint(folder: Path, *, seed: int = 0, kind: str = "llama", **changes: Any) -> Path:
    """A random checkpoint with a tokenizer of bytes and a few merges, made without a hub."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([TEMPLATE, pathlib.__doc__ or "", *vars(pathlib)], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 96,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,  # wide: the likeliest token changes from step to step
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    config = transformers.AutoConfig.for_model(kind, **{**sizes, **changes})
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """The same checkpoint in transformers' own hands."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return tokenizer, model


def opened(folder: Path, batch: int = 4) -> Model:
    return open_model(f"hf:{folder}?dtype=float32", threads=1, batch=batch)


@pytest.fixture
def model(folder: Path) -> Iterator[Model]:
    made = opened(folder)
    yield made
    made.close()


def prompts(count: int, *, seed: int = 1) -> list[Request]:
    rng = random.Random(seed)
    words = ["def", " f", "(x):", "\n", "    ", "return", " x", "+", "é", "日本", " 12"]
    return [
        Request(key=str(number), prompt="".join(rng.choices(words, k=rng.randint(1, 60))))
        for number in range(count)
    ]


def by_key(replies: Iterator[Completion]) -> dict[tuple[str, int], Completion]:
    found = {(reply.key, reply.n): reply for reply in replies}
    assert all(reply.error is None for reply in found.values())
    return found


def alone(reference: Any, text: str, most_tokens: int) -> tuple[list[int], str]:
    """What transformers' own generate says to one prompt, greedily: ids and text."""
    tokenizer, model = reference
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=most_tokens,
        do_sample=False,
        pad_token_id=1,
    )
    new = out[0, ids.shape[1] :].tolist()
    return new, tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.slow
def test_a_batch_says_what_generate_says_to_each_prompt_alone(model: Model, reference: Any) -> None:
    requests = prompts(14)
    found = by_key(model.generate(iter(requests), Sampling(max_tokens=40)))
    for request in requests:
        ids, text = alone(reference, str(request.prompt), 40)
        reply = found[request.key, 0]
        assert (reply.text, reply.tokens) == (text, len(ids))
        assert reply.finish == ("stop" if ids[-1] == 1 else "length")
    assert len(found) == 14


@pytest.mark.slow
def test_rows_that_end_at_different_times_do_not_disturb_the_others(
    folder: Path, reference: Any
) -> None:
    requests = prompts(12, seed=2)
    texts = {r.key: alone(reference, str(r.prompt), 60)[1] for r in requests}
    # A stop string of every prompt's own reply: each row leaves at another step.
    for batch in (1, 3, 12, 20):
        model = opened(folder, batch)
        found = by_key(model.generate(requests, Sampling(max_tokens=60, stop=("r", "12"))))
        model.close()
        for request in requests:
            whole = texts[request.key]
            ends = [at for stop in ("r", "12") if (at := whole.find(stop)) >= 0]
            assert found[request.key, 0].text == (whole[: min(ends)] if ends else whole)
        assert len({reply.tokens for reply in found.values()}) > 3


@pytest.mark.slow
def test_a_prefill_continues_the_chats_generation_prompt(model: Model, reference: Any) -> None:
    turns = (Message(role="system", content="be brief"), Message(role="user", content="def f"))
    request = Request(key="k", prompt=turns, prefill="    return")
    (reply,) = model.generate([request], Sampling(max_tokens=30))
    rendered = "<s><system>be brief</s><user>def f</s><assistant>    return"
    tokenizer, _ = reference
    _, text = alone(reference, rendered, 30)
    assert reply.text == text
    assert reply.prompt_tokens == len(tokenizer(rendered, add_special_tokens=False)["input_ids"])


def test_a_plain_prompt_is_continued_from_its_prefill(model: Model, reference: Any) -> None:
    (reply,) = model.generate(
        [Request(key="k", prompt="def f(x):", prefill="\n    return")], Sampling(max_tokens=20)
    )
    assert reply.text == alone(reference, "def f(x):\n    return", 20)[1]


def test_the_first_token_is_not_put_before_a_prompt_twice(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    first = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    own = {"Sequence": {"id": "A", "type_id": 0}}
    data["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [first, own],
        "pair": [first, own, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    }
    path.write_text(json.dumps(data), encoding="utf-8")
    model = opened(folder)
    chat = (Message(role="user", content="f"),)
    requests = [
        Request(key="plain", prompt="f"),
        Request(key="begun", prompt="<s>f"),
        Request(key="chat", prompt=chat),
    ]
    found = by_key(model.generate(requests, Sampling(max_tokens=5)))
    assert found["plain", 0].prompt_tokens == found["begun", 0].prompt_tokens == 2
    assert found["plain", 0].text == found["begun", 0].text
    rendered = transformers.AutoTokenizer.from_pretrained(folder)(
        "<s><user>f</s><assistant>", add_special_tokens=False
    )
    assert found["chat", 0].prompt_tokens == len(rendered["input_ids"])


@pytest.mark.slow
def test_samples_depend_on_their_seed_and_not_on_their_neighbours(folder: Path) -> None:
    sampling = Sampling(max_tokens=25, temperature=0.9, top_p=0.8, seed=7)
    requests = prompts(6, seed=3)
    model = opened(folder, batch=5)
    together = by_key(model.generate(requests, sampling, n=3))
    for request in requests[:3]:
        by_itself = by_key(model.generate([request], sampling, n=3))
        for n in range(3):
            assert by_itself[request.key, n].text == together[request.key, n].text
    one = Sampling(max_tokens=25, temperature=0.9, top_p=0.8, seed=8)
    shifted = by_key(model.generate(requests, one))
    model.close()
    assert all(shifted[r.key, 0].text == together[r.key, 1].text for r in requests)
    assert len({together[requests[0].key, n].text for n in range(3)}) > 1


def saying(folder: Path, *pieces: str) -> Path:
    """A checkpoint that says `pieces` to any prompt, a token each, and repeats the last."""
    from tokenizers import Tokenizer, decoders, models

    words = ["<s>", "</s>", "anything", *pieces]
    raw = Tokenizer(models.WordLevel({w: at for at, w in enumerate(words)}, unk_token="anything"))
    raw.decoder = decoders.Fuse()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="anything"
    ).save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.fill_(0.0)
        model.model.norm.weight.fill_(1.0)
        for token in range(2, len(words)):
            model.model.embed_tokens.weight[token, token] = 1.0
            model.lm_head.weight[min(token + 1, len(words) - 1), token] = 1.0
    model.save_pretrained(folder)
    return folder


def test_a_reply_ends_at_the_closing_fence_that_the_prefill_opened(tmp_path: Path) -> None:
    model = opened(saying(tmp_path, "x\n", "``", "`", "\n", "y"))
    request = Request(key="k", prompt="f", prefill="```python\n")
    (reply,) = model.generate([request], Sampling(max_tokens=30, stop_after_fence=True))
    assert (reply.text, reply.finish, reply.tokens) == ("x\n```", "stop", 4)
    (reply,) = model.generate([request], Sampling(max_tokens=8))
    assert (reply.text, reply.finish, reply.tokens) == ("x\n```\nyyyy", "length", 8)
    model.close()


def test_a_stop_string_across_tokens_is_cut_exactly(tmp_path: Path) -> None:
    model = opened(saying(tmp_path, "ab", "cd", "ef", "gh"))
    request = Request(key="k", prompt="f")
    (reply,) = model.generate([request], Sampling(max_tokens=30, stop=("zz", "def", "gh")))
    assert (reply.text, reply.finish, reply.tokens) == ("abc", "stop", 3)
    model.close()


def test_a_character_of_several_tokens_comes_whole_or_at_the_very_end(tmp_path: Path) -> None:
    from seedcoder.models.batching import GrowingText

    growing = GrowingText(lambda ids: bytes(ids).decode("utf-8", errors="replace"), b"ab")
    pieces = [growing.push(byte) for byte in "é日x".encode()]
    assert pieces == ["", "é", "", "", "日", "x"]
    assert growing.push("日".encode()[0]) == ""
    assert growing.flush() == "\ufffd"


def test_a_prompt_that_does_not_fit_is_an_overflow_of_its_own(model: Model) -> None:
    requests = [Request(key="long", prompt="x+" * 600), Request(key="ok", prompt="def f")]
    found = {reply.key: reply for reply in model.generate(requests, Sampling(max_tokens=3))}
    assert found["ok"].error is None
    assert found["long"].finish == "overflow"
    assert found["long"].error is not None and "the model takes 1 to 511" in found["long"].error


def test_a_reply_ends_where_the_context_ends(model: Model) -> None:
    (reply,) = model.generate([Request(key="k", prompt="x+" * 250)], Sampling(max_tokens=400))
    assert reply.finish in ("length", "stop")
    assert reply.prompt_tokens + reply.tokens <= 512


def test_requests_are_drawn_as_they_are_needed_and_replies_come_as_they_finish(
    model: Model,
) -> None:
    drawn = 0

    def endless() -> Iterator[Request]:
        nonlocal drawn
        while True:
            drawn += 1
            yield Request(key=str(drawn), prompt="def f" + "x" * (drawn % 7))

    replies = model.generate(endless(), Sampling(max_tokens=5))
    first = [next(replies) for _ in range(3)]
    assert drawn < 100
    assert len({reply.key for reply in first}) == 3


def test_no_requests_give_no_replies(model: Model) -> None:
    assert list(model.generate([], Sampling())) == []


def test_weights_that_are_not_numbers_are_an_error_and_not_an_answer(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    broken = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        broken.model.norm.weight.fill_(float("nan"))
    broken.save_pretrained(folder)
    model = opened(folder)
    (reply,) = model.generate([Request(key="k", prompt="def f")], Sampling())
    assert reply.finish == "error"
    assert reply.error is not None and "not finite" in reply.error


@pytest.mark.parametrize("has_bias", [True, False])
def test_packed_layers_give_what_linear_layers_give(has_bias: bool) -> None:
    from seedcoder.models.packed import PackedLinear, pack

    class Small(torch.nn.Module):
        dtype, device = torch.float32, torch.device("cpu")

        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Linear(33, 70, bias=has_bias))

        def forward(self, rows: Any) -> Any:
            return self.inner(rows)

    small = Small()
    with torch.inference_mode():
        inputs = [torch.randn(*shape, 33) for shape in ((1,), (7,), (3, 1), (1, 50), (64, 1))]
        expected = [small(rows) for rows in inputs]
        if not pack(small):
            pytest.skip("this torch has no packed linear layers")
        assert isinstance(small.inner[0], PackedLinear)
        for rows, right in zip(inputs, expected, strict=True):
            torch.testing.assert_close(small(rows), right)


@pytest.mark.slow
def test_other_decoders_run_as_well(tmp_path: Path) -> None:
    for kind in ("qwen2", "mistral"):
        folder = tiny_checkpoint(tmp_path / kind, kind=kind)
        requests = prompts(5, seed=4)
        model = opened(folder, batch=3)
        found = by_key(model.generate(requests, Sampling(max_tokens=20)))
        model.close()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        own = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for request in requests:
            assert found[request.key, 0].text == alone((tokenizer, own), str(request.prompt), 20)[1]


def test_a_window_shorter_than_the_context_is_refused(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path, kind="mistral", sliding_window=64)
    with pytest.raises(UsageError, match="sliding window of 64 tokens"):
        opened(folder)


def test_a_checkpoint_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    missing, empty = tmp_path / "none", tmp_path / "empty"
    empty.mkdir()
    torn = tiny_checkpoint(tmp_path / "torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    strange = tiny_checkpoint(tmp_path / "strange")
    (strange / "config.json").write_text('{"model_type": "nonesuch"}', encoding="utf-8")
    for folder, says in (
        (missing, "no such folder"),
        (empty, "no config.json"),
        (torn, "torn: "),
        (strange, "nonesuch"),
    ):
        with pytest.raises(UsageError) as raised:
            opened(folder)
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_chat_needs_a_template(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    for path in folder.glob("chat_template*"):
        path.unlink()
    model = opened(folder)
    chat = (Message(role="user", content="f"),)
    with pytest.raises(UsageError, match="no chat template"):
        list(model.generate([Request(key="k", prompt=chat)], Sampling()))
