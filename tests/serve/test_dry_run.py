"""`seedcoder serve up RECIPE --dry-run`: the commands as they would be, and what fits."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seedcoder.errors import UsageError
from serve.cli import app
from serve.config import ServeRecipe, read_serve_recipe
from serve.dry_run import EnginePlan, gpu_totals, plan_service

RECIPES = Path(__file__).parents[2] / "recipes" / "serve"


@pytest.fixture(autouse=True)
def no_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without vLLM, whatever this one has."""
    monkeypatch.delenv("SEEDCODER_VLLM_PYTHON", raising=False)
    monkeypatch.setattr("serve.engines.vllm_install._BESIDE", Path("/nowhere/python"))


def planned(tmp_path: Path, text: str, gpu_gb: float = 80) -> tuple[EnginePlan, ...]:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    return plan_service(read_serve_recipe(file), beside=tmp_path, gpu_gb=gpu_gb)


def vllm(card: str = "seed-coder-8b-base", options: str = "", devices: str = "") -> str:
    environment = f'environment = {{ CUDA_VISIBLE_DEVICES = "{devices}" }}' if devices else ""
    return (
        f'[[models]]\ncard = "{card}"\nengine = "vllm"\noptions = {{ {options} }}\n{environment}\n'
    )


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_recipe_has_its_commands_and_fits_where_it_is_meant_to(recipe: Path) -> None:
    done = CliRunner().invoke(app, ["up", str(recipe), "--dry-run", "--gpu-gb", "80"])
    assert done.exit_code == 0, done.output
    plans = plan_service(read_serve_recipe(recipe), beside=recipe.parent, gpu_gb=80)
    for one in plans:
        assert one.command is not None and shlex.join(one.command[1:4]) in done.stdout
    assert all(share <= 1 for share in gpu_totals(plans).values())


def test_the_family_stands_on_one_gpu_behind_one_address() -> None:
    recipe = read_serve_recipe(RECIPES / "seed-coder-8b.toml")
    base, instruct, reasoning = plan_service(recipe, beside=RECIPES, gpu_gb=80)
    assert [base.model, instruct.model, reasoning.model] == [
        "seed-coder-8b-base",
        "seed-coder-8b-instruct",
        "seed-coder-8b-reasoning",
    ]
    assert instruct.command is not None
    words = list(instruct.command)
    assert words[words.index("--chat-template") + 1].endswith("/serve/cards/seed-coder.jinja")
    assert words[words.index("--max-model-len") + 1] == "32768"
    assert base.memory is not None and base.memory.sequences_that_fit == 1
    assert gpu_totals((base, instruct, reasoning)) == {"0": pytest.approx(0.9)}


def test_more_than_a_gpu_has_is_found(tmp_path: Path) -> None:
    text = vllm(options="gpu_memory_utilization = 0.6", devices="0")
    text += vllm("seed-coder-8b-instruct", "gpu_memory_utilization = 0.6", "0")
    assert gpu_totals(planned(tmp_path, text)) == {"0": pytest.approx(1.2)}
    file = str(tmp_path / "recipe.toml")
    done = CliRunner().invoke(app, ["up", file, "--dry-run", "--gpu-gb", "80"])
    assert done.exit_code == 1
    assert "MORE THAN THERE IS" in done.stdout


def test_what_does_not_fit_exits_with_1(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, vllm(), gpu_gb=16)
    assert one.memory is not None and not one.memory.fits
    done = CliRunner().invoke(
        app, ["up", str(tmp_path / "recipe.toml"), "--dry-run", "--gpu-gb", "16", "--json"]
    )
    assert done.exit_code == 1
    assert json.loads(done.stdout)["engines"][0]["memory"]["fits"] is False


@pytest.mark.parametrize(
    ("options", "kb", "gpus", "weights_gb"),
    [
        ("tensor_parallel_size = 4", 128, ["0", "1", "2", "3"], 15.37),
        ("pipeline_parallel_size = 2", 128, ["0", "1"], 15.37),
        ("tensor-parallel-size = 2", 128, ["0", "1"], 15.37),
        ('kv_cache_dtype = "fp8"', 64, ["0"], 15.37),
        ('quantization = "fp8"', 128, ["0"], 7.68),
        ('dtype = "float32"', 128, ["0"], 30.73),
    ],
)
def test_the_plan_follows_vllms_options(
    tmp_path: Path, options: str, kb: float, gpus: list[str], weights_gb: float
) -> None:
    (one,) = planned(tmp_path, vllm(options=options))
    assert one.memory is not None
    assert one.memory.kv_kb_per_token == kb
    assert one.memory.weights_gb == pytest.approx(weights_gb, abs=0.01)
    assert sorted(one.share) == gpus


def test_a_shorter_context_lets_more_of_them_fit(tmp_path: Path) -> None:
    (whole,) = planned(tmp_path, vllm())
    (short,) = planned(tmp_path, vllm(options="max_model_len = 4096"))
    assert whole.memory is not None and short.memory is not None
    assert short.memory.tokens_that_fit == whole.memory.tokens_that_fit
    assert short.memory.sequences_that_fit > 7 * whole.memory.sequences_that_fit


def test_a_length_in_vllms_own_words_is_left_to_it(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, vllm(options='max_model_len = "32k"'))
    assert one.memory is not None and one.memory.context_tokens == 32768
    assert any("'32k' is not read here" in note for note in one.notes)
    assert one.command is not None and "32k" in one.command


def test_too_few_gpus_are_noted(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, vllm(options="tensor_parallel_size = 4", devices="0,1"))
    assert any("wants 4 GPUs, CUDA_VISIBLE_DEVICES names 2" in note for note in one.notes)
    (enough,) = planned(tmp_path, vllm(options="tensor_parallel_size = 2", devices="4,5"))
    assert not any("wants" in note for note in enough.notes)
    assert sorted(enough.share) == ["4", "5"]


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    text = vllm() + 'environment = { HF_TOKEN = "hf_secret", PLAIN = "seen" }\n'
    (one,) = planned(tmp_path, text)
    said = "\n".join(one.lines()) + json.dumps(one.to_json())
    assert "hf_secret" not in said
    assert "PLAIN=seen" in said


def test_the_command_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    text = vllm(options='hf_overrides = { a = "b c" }', devices="0")
    (one,) = planned(tmp_path, text)
    line = one.lines()[1].strip()
    words = [word for word in shlex.split(line) if "=" not in word.partition(" ")[0].split("{")[0]]
    assert one.command is not None
    assert tuple(words) == one.command


def test_an_upstream_starts_nothing(tmp_path: Path) -> None:
    text = (
        '[[models]]\ncard = "seed-coder-8b-instruct"\nengine = "openai"\n'
        'options = { url = "http://127.0.0.1:9000/v1", model = "other" }\n'
    )
    (one,) = planned(tmp_path, text)
    assert (one.command, one.memory, one.share) == (None, None, {})
    assert "http://127.0.0.1:9000" in one.lines()[0]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, vllm())
    assert one.address.startswith("unix:")
    assert not Path(one.address.removeprefix("unix:")).parent.exists()


def test_what_a_start_would_refuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such card"):
        planned(tmp_path, vllm(card="nope"))
    with pytest.raises(UsageError, match=r"options\.port"):
        planned(tmp_path, vllm(options="port = 8000"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('tensor_parallel_size = "two"', "tensor_parallel_size: it must be a positive number"),
        ("tensor_parallel_size = 1.5", "tensor_parallel_size: it must be a whole number"),
        ("tensor_parallel_size = 0", "tensor_parallel_size: it must be a positive number"),
        ("max_model_len = true", "max_model_len: it must be a positive number"),
        ("gpu_memory_utilization = 90", "gpu_memory_utilization: it must be at most 1"),
    ],
)
def test_sizes_that_are_none_are_refused_in_one_line(
    tmp_path: Path, options: str, said: str
) -> None:
    with pytest.raises(UsageError, match=rf"of seed-coder-8b-base: options\.{said}"):
        planned(tmp_path, vllm(options=options))


def test_a_cache_that_is_no_number_is_refused(tmp_path: Path) -> None:
    text = vllm() + 'environment = { VLLM_CPU_KVCACHE_SPACE = "much" }\n'
    with pytest.raises(UsageError, match="a number of GB, not 'much'"):
        planned(tmp_path, text)


def test_a_script_is_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    text = '[[models]]\ncard = "scripted"\nengine = "scripted"\noptions = { file = "a.jsonl" }\n'
    (tmp_path / "a.jsonl").write_text("")
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    recipe: ServeRecipe = read_serve_recipe(file)
    assert recipe.models[0].options["file"] == str(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").unlink()
    assert read_serve_recipe(file).models[0].options["file"] == "a.jsonl"
