"""Prompts for filling in a middle, as each family of models writes them."""

from __future__ import annotations

import pytest

from seedcoder.fim import FIM


def test_seed_coder_puts_the_suffix_first() -> None:
    asked = FIM["seed-coder"].prompt("a\n", "\nz")
    assert asked == "<[fim-suffix]>\nz<[fim-prefix]>a\n<[fim-middle]>"


def test_others_put_the_prefix_first() -> None:
    assert FIM["qwen"].prompt("a", "z") == "<|fim_prefix|>a<|fim_suffix|>z<|fim_middle|>"
    assert FIM["codellama"].prompt("a", "z") == "<PRE> a <SUF>z <MID>"


def test_other_files_go_before_where_the_format_has_a_token_for_them() -> None:
    asked = FIM["qwen"].prompt("a", "z", files=[("b.py", "B")], path="a.py")
    assert asked.startswith("<|file_sep|>b.py\nB\n<|file_sep|>a.py\n<|fim_prefix|>a")
    with pytest.raises(ValueError, match="no token for other files"):
        FIM["seed-coder"].prompt("a", "z", files=[("b.py", "B")])
