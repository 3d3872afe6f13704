"""What an eval recipe takes, and what it refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.bench import open_bench
from evals.catalogue import BENCHES
from evals.humaneval import HumanEval
from evals.recipe import EvalRecipe
from evals.suite import is_suite, load_suite
from sandbox import Limits
from seedcoder.errors import RecipeError
from seedcoder.recipe import load_recipe

ROOT = Path(__file__).parents[2]
SMALL = 'bench = "humaneval"\nmodel = "smollm2:"\nprotocol = "chat"\n'


def _load(tmp_path: Path, text: str, *changes: str) -> EvalRecipe:
    path = tmp_path / "small.toml"
    path.write_text(SMALL + text, encoding="utf-8")
    return load_recipe(path, EvalRecipe, changes)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes" / "eval").glob("*.toml")), ids=lambda path: path.name
)
def test_every_recipe_is_read_and_fits_its_benchmark(path: Path) -> None:
    one = [] if is_suite(path) else [(path.stem, load_recipe(path, EvalRecipe))]
    for _, recipe in one or load_suite(path):
        assert recipe.protocol in BENCHES[recipe.bench].protocols, recipe.bench
        assert recipe.check_gold
        open_bench(recipe.bench, recipe.options)  # the options are those of the benchmark


def test_limits_and_sampling_stand_on_the_benchmarks_own(
    tmp_path: Path, humaneval: HumanEval
) -> None:
    recipe = _load(tmp_path, "[sampling]\nmax_tokens = 9\nstop_after_fence = false\n")
    sampling = recipe.sampling_over(humaneval.sampling(recipe.style()))
    assert (sampling.max_tokens, sampling.stop_after_fence, len(sampling.stop)) == (9, False, 4)
    assert recipe.limits.over(Limits(cpu_s=4.0)) == Limits(cpu_s=4.0)
    said = _load(tmp_path, "", "limits.wall_s=3", "sampling.stop=[]").limits
    assert said.over(Limits(cpu_s=4.0)) == Limits(cpu_s=4.0, wall_s=3.0)
    assert _load(tmp_path, "", "limits.cpu_s=9").limits.over(Limits(cpu_s=2.0)).wall_s == 90.0


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        ("[limits]\nwall = 3\n", (), "did you mean 'wall_s'"),
        ("sample = 2\n", (), "did you mean 'samples'"),
        ("[pool]\nrequire = 'dokker'\n", (), "require"),
        ("k = [1, 10]\n", (), "k must hold numbers from 1 to samples"),
        ("", ("k=[1,1]", "samples=2"), "names a number twice"),
        ("", ("samples=0",), "samples"),
        ("", ("samples='three'",), "samples"),
        ("", ("max_error_rate=2",), "max_error_rate"),
        ("", ("protocol=fim",), "protocol"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(
    tmp_path: Path, text: str, changes: tuple[str, ...], said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        _load(tmp_path, text, *changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_only_says_how_fast_or_how_strict_does_not_make_another_run(tmp_path: Path) -> None:
    plain = _load(tmp_path, "").identity()
    changes = ("batch=4", "threads=1", "pool.workers=1", "max_error_rate=0.5", "check_gold=false")
    assert _load(tmp_path, "", *changes, "pool.require=namespace").identity() == plain
    assert _load(tmp_path, "", "pool.box=restricted").identity() != plain
    assert _load(tmp_path, "", "limit=5").identity() != plain
