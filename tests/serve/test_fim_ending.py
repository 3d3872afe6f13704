"""Where a middle ends, in each language; each end with what must not end it."""

from __future__ import annotations

import pytest

from serve.fim.ending import SyntaxEnd, ending
from serve.fim.grammar import guess, is_whole
from serve.fim.languages import BY_NAME, PYTHON, by_path


def cut(before: str, written: str, after: str, language: str, size: int = 5) -> tuple[str, str]:
    """Return what is left of what was written in pieces, and why it ended there."""
    end = SyntaxEnd(before, after, BY_NAME[language])
    out = []
    for at in range(0, len(written), size):
        safe, is_over = end.feed(written[at : at + size])
        out.append(safe)
        if is_over:
            return "".join(out), end.reason
    return "".join([*out, end.finish()]), end.reason


# language, before, middle, what the model writes behind it, after
CASES = {
    "python body, then another function": (
        "python", "def add(a, b):\n", "    return a + b\n",
        "\n\ndef sub(a, b):\n    return a - b\n", "\n\nprint(add(1, 2))\n",
    ),
    "python line, then the file again": (
        "python", "def f(x):\n    y = ", "x * 2",
        "\n    return y\n\n\nprint(f(2))\n", "\n    return y\n\n\nprint(f(2))\n",
    ),
    "python argument, then the bracket": (
        "python", "print(max(", "a, b", "), file=out)\nfoo()\n", "))\n",
    ),
    "javascript body, then another function": (
        "javascript", "function add(a, b) {\n", "  return a + b;\n",
        "}\n\nfunction sub(a, b) {\n  return a - b;\n}\n", "}\n\nadd(1, 2);\n",
    ),
    "typescript member, then the class's end": (
        "typescript", "class A {\n  x(): number {\n", "    return 1;\n",
        "  }\n}\n\nclass B {}\n", "  }\n}\n",
    ),
    "java statement, then more methods": (
        "java", "class A {\n    int f() {\n", "        return 1;\n",
        "    }\n\n    int g() {\n        return 2;\n    }\n", "    }\n}\n",
    ),
    "go body": (
        "go", "package p\n\nfunc add(a, b int) int {\n", "\treturn a + b\n",
        "}\n\nfunc sub(a, b int) int {\n\treturn a - b\n}\n", "}\n\nfunc main() {}\n",
    ),
    "c body": (
        "c", "int add(int a, int b) {\n", "    return a + b;\n",
        "}\n\nint main(void) {\n    return 0;\n}\n", "}\n",
    ),
    "c++ for": (
        "cpp",
        "int f() {\n  for (int i = 0; ", "i < 10; ++i", ") {\n    g(i);\n  }\n", ") {\n  }\n}\n",
    ),
    "rust body, with a lifetime": (
        "rust", "fn first<'a>(x: &'a str) -> &'a str {\n", "    let c = '{';\n    &x[..1]\n",
        "}\n\nfn main() {\n    println!(\"x\");\n}\n", "}\n",
    ),
    "a bracket in a string is none": (
        "javascript", "f(", '"a)b", /[)]/', ");\ng();\n", ");\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("case", CASES)
def test_the_end_is_found(case: str, size: int) -> None:
    language, before, middle, behind, after = CASES[case]
    got, reason = cut(before, middle + behind, after, language, size)
    assert got.rstrip() == middle.rstrip()
    assert reason


@pytest.mark.parametrize("case", CASES)
def test_a_middle_that_ends_by_itself_is_left_whole(case: str) -> None:
    language, before, middle, _, after = CASES[case]
    assert cut(before, middle, after, language) == (middle, "")


# What looks like an end and is none.
GOING_ON = {
    "else on the bracket's line": (
        "javascript", "if (a) {\n  b();\n", "} else {\n  c();\n", "}\n",
    ),
    "else of python": ("python", "def f():\n    if a:\n        b()\n", "    else:\n        c()\n",
                       "    return d\n"),
    "a chain of calls": (
        "javascript", "const x = a", "\n  .b({\n    c: 1,\n  })\n  .d()", ";\nfoo();\n",
    ),
    "what must open what follows closes": (
        "go", "package p\n\nfunc f(ok bool) {\n", "\tif !ok {", "\n\t\treturn\n\t}\n}\n",
    ),
    "two statements": (
        "python", "def f():\n    a = 1\n    ", "b = 2\n    c = 3", "\n    return a\n"),
    "blank lines in a body": (
        "python", "class A:\n",
        "    x = 1\n\n    def f(self):\n        pass\n\n    y = 2\n", "\n\nA()\n",
    ),
    "rows that look alike": (
        "c", "int t[] = {\n", "    0, 0, 0,\n    0, 0, 1,\n    0, 0, 0,\n", "};\n",
    ),
    "closing what follows does not close": (
        "javascript", "function a() {\n  if (b) {\n", "    c();\n  }\n", "}\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GOING_ON)
def test_what_goes_on_is_not_cut(case: str) -> None:
    language, before, middle, after = GOING_ON[case]
    assert cut(before, middle, after, language, 3) == (middle, "")


def test_lines_that_come_again_and_again_are_cut_to_the_first() -> None:
    block = "    total += values[index]\n    index += 1\n"
    got, reason = cut("def f(values):\n", block * 30, "    return total\n", "python")
    assert (got.rstrip(), reason) == (block.rstrip(), "repetition")


def test_an_echo_of_a_few_characters_ends_only_a_model_that_stopped() -> None:
    assert cut("x = [", "1, 2]\n", "]\n", "python")[0] == "1, 2"
    assert cut("x = ", "y", "", "python")[0] == "y"


def test_a_long_echo_ends_code_whose_brackets_cannot_be_counted() -> None:
    before = "#define BEGIN {\n#define END }\nint f(void) BEGIN\n    int a = 1;\n"
    after = (
        "\n    int b = first(a);\n    int c = second(b);\n    return combine(a, b, c);\n  }\nEND\n"
    )
    middle = "    a += 1;"
    assert cut(before, middle + after * 2, after, "c") == (middle, "echo")
    # Half of it and then something else is none.
    other = "\n    int b = first(a);\n    int c = third(a);\n    return a;"
    assert cut(before, middle + other, after, "c") == (middle + other, "")


def test_the_line_mode_ends_at_the_first_line_with_text() -> None:
    end = ending("line", "x", "", PYTHON)
    assert end.feed("\n  ") == ("\n  ", False)
    assert end.feed("a b\nc") == ("a b", True)


def test_no_mode_ends_nothing() -> None:
    end = ending("none", "x", "y", PYTHON)
    assert end.feed("y\ny\ny") == ("y\ny\ny", False)


def test_a_language_is_guessed_from_its_grammar() -> None:
    assert guess("def f(x):\n    return x\n\nclass A:\n    pass\n", "").name == "python"
    assert guess("package p\n\nfunc f(x int) int {\n\treturn x\n}\n", "").name == "go"
    assert guess('fn main() {\n    let x: u8 = 1;\n    println!("{x}");\n}\n', "").name == "rust"
    prose = "Dear all, we meet at noon; bring your own sandwiches, please. It's raining!\n" * 3
    assert guess(prose, "").name == "text"
    assert by_path("src\\a.TS") is BY_NAME["typescript"]
    assert by_path("notes.txt") is None


def test_the_grammar_tells_whole_code_from_broken() -> None:
    assert is_whole("def f():\n    return ", "1", "\n\nf()\n", PYTHON)
    assert not is_whole("def f():\n    return ", "(1", "\n\nf()\n", PYTHON)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_middle_begun_within_a_line_ends_where_its_function_does(size: int) -> None:
    before, after = "def add(a, b):\n    return ", "\n\n\ndef main():\n    print(add(1, 2))\n"
    written = "a + (\n        b\n    )\n\n\ndef sub(a, b):\n    return a - b\n"
    cutter = ending("syntax", before, after, BY_NAME["python"])
    got, ended = "", False
    for at in range(0, len(written), size):
        piece, ended = cutter.feed(written[at : at + size])
        got += piece
        if ended:
            break
    assert (got, ended) == ("a + (\n        b\n    )", True)
