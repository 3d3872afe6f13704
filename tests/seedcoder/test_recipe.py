"""Recipes: inheritance, overrides, and the one line that a mistake in one earns."""

from __future__ import annotations

import enum
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator

from seedcoder.errors import RecipeError
from seedcoder.recipe import APART, Recipe, as_plain, load_recipe, sha256_of


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Limits(Recipe):
    cpu_s: float = Field(default=3.0, gt=0)
    wall_s: float = 30.0
    memory_mb: int = 512


class Step(Recipe):
    name: str
    rate: float = 1.0


class Job(Recipe):
    bench: str
    model: str = "smollm2:"
    samples: int = 1
    strict: bool = False
    mode: Literal["chat", "base"] = "chat"
    colour: Colour = Colour.RED
    stop: tuple[str, ...] = ()
    out: Path | None = None
    limits: Limits = Limits()
    spare: Limits | None = None
    steps: tuple[Step, ...] = ()
    trainer: dict[str, Any] = Field(default_factory=dict)
    workers: Annotated[int | None, APART] = None

    @field_validator("samples")
    @classmethod
    def _whole(cls, value: int) -> int:
        if value < 1:
            raise ValueError("at least one sample a problem")
        return value


def write(folder: Path, text: str, name: str = "job.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def complaint(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, Job, overrides)
    said = str(caught.value)
    assert "\n" not in said
    assert caught.value.exit_code == 2
    return said.replace(f"{path.parent}/", "")


def test_a_recipe_fills_what_the_file_leaves_out_with_defaults(tmp_path):
    job = load_recipe(write(tmp_path, 'bench = "humaneval"\n[limits]\ncpu_s = 5\n'), Job)
    assert job.bench == "humaneval"
    assert job.limits == Limits(cpu_s=5.0)
    assert isinstance(job.limits.cpu_s, float)


def test_flag_wins_over_file_over_base_over_default(tmp_path):
    write(
        tmp_path,
        'bench = "a"\nmodel = "base"\nsamples = 2\nstop = ["x", "y"]\n'
        "[limits]\ncpu_s = 1.0\nwall_s = 2.0\n",
        "shared/ground.toml",
    )
    path = write(
        tmp_path,
        'base = "../shared/ground.toml"\nmodel = "file"\nsamples = 3\nstop = ["z"]\n'
        "[limits]\nwall_s = 4.0\n",
        "eval/job.toml",
    )
    job = load_recipe(path, Job, ["samples=4", "limits.memory_mb=64"])
    assert (job.bench, job.model, job.samples, job.stop) == ("a", "file", 4, ("z",))
    assert job.limits == Limits(cpu_s=1.0, wall_s=4.0, memory_mb=64)


def test_a_base_may_have_a_base(tmp_path):
    write(tmp_path, 'bench = "deep"\nsamples = 7\n', "a.toml")
    write(tmp_path, 'base = "a.toml"\nsamples = 8\n', "b.toml")
    job = load_recipe(write(tmp_path, 'base = "b.toml"\n'), Job)
    assert (job.bench, job.samples) == ("deep", 8)


def test_bases_that_run_in_a_circle_are_refused(tmp_path):
    write(tmp_path, 'base = "job.toml"\n', "b.toml")
    path = write(tmp_path, 'base = "b.toml"\n')
    assert complaint(path) == (
        "job.toml: the bases run in a circle: job.toml -> b.toml -> job.toml"
    )
    itself = write(tmp_path, 'base = "./self.toml"\n', "self.toml")
    assert "circle" in complaint(itself)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'bench = "b"\n[limits]\nwall = 1\n',
            "job.toml:limits: no key 'wall'; did you mean 'wall_s'?",
        ),
        ('bench = "b"\nmodell = "x"\n', "job.toml: no key 'modell'; did you mean 'model'?"),
        ("bnech = 'b'\n", "job.toml: no key 'bnech'; did you mean 'bench'? (and 1 more)"),
        (
            'bench = "b"\nmemory_mb = 3\n',
            "job.toml: no key 'memory_mb'; it belongs in [limits]",
        ),
        (
            'bench = "b"\n[limits]\nsamples = 3\n',
            "job.toml:limits: no key 'samples'; it belongs above the tables",
        ),
        (
            'bench = "b"\n[spare]\nzzz = 3\n',
            "job.toml:spare: no key 'zzz'; the keys are cpu_s, wall_s, memory_mb",
        ),
        (
            'bench = "b"\n[[steps]]\nname = "x"\nratee = 3\n',
            "job.toml:steps.0: no key 'ratee'; did you mean 'rate'?",
        ),
        ("samples = 3\n", "job.toml: key 'bench' is missing"),
        ('bench = "b"\n[[steps]]\nrate = 1\n', "job.toml:steps.0: key 'name' is missing"),
        ("bench = 3\n", "job.toml: bench must be a string, got 3"),
        ('bench = "b"\nsamples = "3"\n', "job.toml: samples must be a whole number, got '3'"),
        ('bench = "b"\nsamples = 3.0\n', "job.toml: samples must be a whole number, got 3.0"),
        ('bench = "b"\nsamples = true\n', "job.toml: samples must be a whole number, got true"),
        ('bench = "b"\nstrict = 1\n', "job.toml: strict must be true or false, got 1"),
        ('bench = "b"\nlimits = 1\n', "job.toml: limits must be a table, got 1"),
        ('bench = "b"\nstop = "x"\n', "job.toml: stop must be a list, got 'x'"),
        (
            'bench = "b"\n[limits]\ncpu_s = -1\n',
            "job.toml:limits: cpu_s must be greater than 0, got -1",
        ),
        ('bench = "b"\nsamples = 0\n', "job.toml: samples: at least one sample a problem"),
        (
            'bench = "b"\nmode = "chatt"\n',
            "job.toml: mode must be 'chat' or 'base', got 'chatt'; did you mean 'chat'?",
        ),
        (
            'bench = "b"\ncolour = "gren"\n',
            "job.toml: colour must be 'red' or 'green', got 'gren'; did you mean 'green'?",
        ),
        ('base = 3\nbench = "b"\n', "job.toml: base must be the path of a recipe, got 3"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_the_place_and_what_would_be_right(
    tmp_path, text, said
):
    assert complaint(write(tmp_path, text)) == said


def test_a_mistake_in_the_base_is_said_of_the_base(tmp_path):
    write(tmp_path, "[limits]\nwall = 1\n", "ground.toml")
    path = write(tmp_path, 'base = "ground.toml"\nbench = "b"\n[limits]\ncpu_s = 1\n')
    assert complaint(path) == "ground.toml:limits: no key 'wall'; did you mean 'wall_s'?"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "limits.wall=5",
            "--set limits.wall=5: no key 'wall'; did you mean 'wall_s'?",
        ),
        (
            "limits.wall_s=fast",
            "--set limits.wall_s=fast: wall_s must be a number, got 'fast'",
        ),
        ("bench=1", "--set bench=1: bench must be a string, got 1; quote it: --set 'bench=\"1\"'"),
        ("samples", "--set samples: no '='; write --set table.key=value"),
        ("=3", "--set =3: '' is no key; write --set table.key=value"),
        ("a b=3", "--set a b=3: 'a b' is no key; write --set table.key=value"),
        ("base=x.toml", "--set base=x.toml: base is read from the file only"),
    ],
)
def test_a_mistake_on_the_command_line_is_said_of_the_command_line(tmp_path, override, said):
    assert complaint(write(tmp_path, 'bench = "b"\n'), override) == said


def test_a_toml_mistake_names_line_and_column(tmp_path):
    said = complaint(write(tmp_path, 'bench = "b"\n[limits\ncpu_s = 1\n'))
    assert said.startswith("job.toml: not TOML: ")
    assert "line 2" in said


def test_a_file_that_is_not_there_suggests_its_neighbour(tmp_path):
    write(tmp_path, 'bench = "b"\n', "demo.toml")
    missing = f"{tmp_path}/"
    for asked in ("dmo.toml", "demo"):
        said = complaint(tmp_path / asked).replace(missing, "")
        assert said == f"recipe '{asked}' does not exist; did you mean 'demo.toml'?"
    assert "nor can its folder" in complaint(tmp_path / "nowhere" / "x.toml")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert complaint(folder) == "recipe 'folder' cannot be read: Is a directory"
    child = write(tmp_path, 'base = "dmo.toml"\n')
    assert complaint(child) == (
        "job.toml: base 'dmo.toml' does not exist; did you mean 'demo.toml'?"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'bench = "\xff"',
        b"bench = " + b"9" * 5000,
        b"x = " + b"[" * 100_000,
        b"\x00",
        b"\xef\xbb\xbfa=1",
    ],
)
def test_bytes_that_are_no_recipe_are_one_line(tmp_path, raw):
    path = tmp_path / "job.toml"
    path.write_bytes(raw)
    assert complaint(path).startswith("job.toml: not ")


def test_a_free_table_takes_what_it_is_given(tmp_path):
    path = write(tmp_path, 'bench = "b"\n[trainer]\nlr = 1e-4\nnested = {a = [1, 2]}\n')
    assert load_recipe(path, Job).trainer == {"lr": 1e-4, "nested": {"a": [1, 2]}}


def override_value(text: str, tmp: Path) -> Any:
    return load_recipe(tmp, Job, [f"trainer.x={text}"]).trainer["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("inf", math.inf),
        ("true", True),
        ('"true"', "true"),
        ("'a b'", "a b"),
        ("[1, 2]", [1, 2]),
        ('["a", "b"]', ["a", "b"]),
        ("{a = 1}", {"a": 1}),
        ("hello", "hello"),
        ("two words", "two words"),
        ("hf:org/name", "hf:org/name"),
        ("openai:http://127.0.0.1:8000/v1#name", "openai:http://127.0.0.1:8000/v1#name"),
        ("5#b", "5#b"),
        ("", ""),
        ("007", "007"),
        ("a=b", "a=b"),
        ("[1, 2", "[1, 2"),
        ("1\ny = 2", "1\ny = 2"),
        ("2026-01-02", "2026-01-02"),
        ("C:\\dir", "C:\\dir"),
    ],
)
def test_the_value_of_an_override_is_toml_or_else_the_words_as_they_stand(tmp_path, text, value):
    got = override_value(text, write(tmp_path, 'bench = "b"\n'))
    assert got == value
    assert type(got) is type(value)


def test_a_key_with_dots_in_it_is_quoted_as_in_toml(tmp_path):
    path = write(tmp_path, 'bench = "b"\n')
    job = load_recipe(path, Job, ['trainer."a.b".c=1', "trainer.d=2"])
    assert job.trainer == {"a.b": {"c": 1}, "d": 2}


def toml_of(value: Any) -> str:
    if isinstance(value, str):
        escaped = "".join(
            c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value
        )
        return f'"{escaped}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(toml_of(inner) for inner in value)}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{toml_of(key)} = {toml_of(inner)}" for key, inner in value.items())
        return f"{{{pairs}}}"
    return repr(value)


texts = st.text(st.characters(exclude_categories=["Cs"]))
toml_values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@given(value=toml_values, key=texts)
def test_whatever_toml_can_write_comes_through_an_override_unchanged(tmp_path_factory, value, key):
    path = tmp_path_factory.getbasetemp() / "through.toml"
    path.write_text('bench = "b"\n')
    job = load_recipe(path, Job, [f"trainer.{toml_of(key)}={toml_of(value)}"])
    assert job.trainer == {key: value}


@given(text=st.text(max_size=40))
def test_no_override_whatever_it_holds_ends_in_anything_but_a_recipe_or_one_line(
    tmp_path_factory, text
):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text('bench = "b"\n')
    for override in (text, f"trainer.x={text}", f"{text}=1", f"bench={text}"):
        try:
            load_recipe(path, Job, [override])
        except RecipeError as error:
            assert len(str(error).splitlines()) == 1


@given(raw=st.binary(max_size=60) | st.text(max_size=60).map(lambda s: s.encode(errors="replace")))
def test_no_file_whatever_it_holds_ends_in_anything_but_a_recipe_or_one_line(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(raw)
    try:
        load_recipe(path, Job)
    except RecipeError as error:
        assert len(str(error).splitlines()) == 1


def test_identity_leaves_out_what_is_marked_apart_and_resolved_keeps_it(tmp_path):
    path = write(tmp_path, 'bench = "b"\nworkers = 3\n')
    job = load_recipe(path, Job)
    assert job.resolved()["workers"] == 3
    assert "workers" not in job.identity()
    other = load_recipe(path, Job, ["workers=8"])
    assert sha256_of(job.identity()) == sha256_of(other.identity())
    assert sha256_of(job.identity()) != sha256_of(load_recipe(path, Job, ["samples=2"]).identity())


def test_a_digest_knows_no_order_of_keys_and_no_tuple_from_list():
    assert sha256_of({"a": 1, "b": (1, 2)}) == sha256_of({"b": [1, 2], "a": 1})
    assert sha256_of({"a": 1}) != sha256_of({"a": 1.0})
    assert sha256_of({"a": "\ud800"}) != sha256_of({"a": "\ud801"})


@pytest.mark.parametrize("value", [{"a": Path("x")}, {1: 2}, {"a": [{2}]}, object()])
def test_a_digest_of_what_is_no_plain_data_is_refused(value):
    with pytest.raises(TypeError, match="value"):
        sha256_of(value)


def test_a_digest_of_nan_is_refused():
    with pytest.raises(ValueError, match=r"value\.a\[1\]"):
        as_plain({"a": [1.0, math.nan]})
