"""The prompts of CRUXEval, to the letter: scores made with other words are other scores.

Text of `prompts.py` and `openai/openai_prompt.py` in facebookresearch/cruxeval (MIT, Copyright (c)
Meta Platforms, Inc. and affiliates). Missing on purpose: the variant for Phind's model.
"""

from __future__ import annotations

from typing import Final

# openai/openai_prompt.py: what a chat model is told first.
SYSTEM: Final = (
    "You are an expert at Python programming, code execution, test case generation, and fuzzing."
)

_OUTPUT_TASK: Final = (
    "You are given a Python function and an assertion containing an input to the function. "
    "Complete the assertion with a literal (no unsimplified expressions, no function calls) "
    "containing the output when executing the provided code on the given input, even if the "
    "function is incorrect or incomplete. Do NOT output any extra information. "
)
_INPUT_TASK: Final = "You will be given a function f and an output in the form f(??) == output. "

_OUTPUT_DIRECT: Final = (
    _OUTPUT_TASK
    + """Provide the full assertion with the correct output in [ANSWER] and [/ANSWER] tags, \
following the examples.

[PYTHON]
def f(n):
    return n
assert f(17) == ??
[/PYTHON]
[ANSWER]
assert f(17) == 17
[/ANSWER]

[PYTHON]
def f(s):
    return s + "a"
assert f("x9j") == ??
[/PYTHON]
[ANSWER]
assert f("x9j") == "x9ja"
[/ANSWER]
"""
)
_OUTPUT_COT: Final = (
    _OUTPUT_TASK
    + """Execute the program step by step before arriving at an answer, and provide the full \
assertion with the correct output in [ANSWER] and [/ANSWER] tags, following the examples.

[PYTHON]
def f(s):
    s = s + s
    return "b" + s + "a"
assert f("hi") == ??
[/PYTHON]
[THOUGHT]
Let's execute the code step by step:

1. The function f is defined, which takes a single argument s.
2. The function is called with the argument "hi", so within the function, s is initially "hi".
3. Inside the function, s is concatenated with itself, so s becomes "hihi".
4. The function then returns a new string that starts with "b", followed by the value of s \
(which is now "hihi"), and ends with "a".
5. The return value of the function is therefore "bhihia".
[/THOUGHT]
[ANSWER]
assert f("hi") == "bhihia"
[/ANSWER]
"""
)
_INPUT_DIRECT: Final = (
    _INPUT_TASK
    + """Find any input such that executing f on the input leads to the given output. There may \
be multiple answers, but you should only output one. In [ANSWER] and [/ANSWER] tags, complete the \
assertion with one such input that will produce the output when executing the function.

[PYTHON]
def f(my_list):
    count = 0
    for i in my_list:
        if len(i) % 2 == 0:
            count += 1
    return count
assert f(??) == 3
[/PYTHON]
[ANSWER]
assert f(["mq", "px", "zy"]) == 3
[/ANSWER]

[PYTHON]
def f(s1, s2):
    return s1 + s2
assert f(??) == "banana"
[/PYTHON]
[ANSWER]
assert f("ba", "nana") == "banana"
[/ANSWER]
"""
)
_INPUT_COT: Final = (
    _INPUT_TASK
    + """Your task is to find any input such that executing f on the input leads to the given \
output. There may be multiple answers, but only output one. First, think step by step. You MUST \
surround the answer with [ANSWER] and [/ANSWER] tags. Express your answer as a passing assertion \
containing the input and the given output.

[PYTHON]
def f(x):
    return x + 1
assert f(??) == 17
[/PYTHON]
[THOUGHT]
To find an input such that executing f on the input leads to the given output, we can work \
backwards from the given assertion. We know that f(??) == 17.\x20

Since the function f(x) returns x + 1, for f(??) to be equal to 17, the value of ?? should be 16.\
\x20
[/THOUGHT]
[ANSWER]
assert f(16) == 17
[/ANSWER]
"""
)


def output_prompt(code: str, given: str, *, cot: bool) -> str:
    """Return the prompt that asks what `f` returns. given: the arguments, as source."""
    return _asked(_OUTPUT_COT if cot else _OUTPUT_DIRECT, code, f"f({given}) == ??", cot)


def input_prompt(code: str, output: str, *, cot: bool) -> str:
    """Return the prompt that asks for arguments. output: what `f` shall return, as source."""
    return _asked(_INPUT_COT if cot else _INPUT_DIRECT, code, f"f(??) == {output}", cot)


def _asked(examples: str, code: str, claim: str, cot: bool) -> str:
    begun = "[THOUGHT]" if cot else "[ANSWER]"
    return f"{examples}\n[PYTHON]\n{code}\nassert {claim}\n[/PYTHON]\n{begun}\n"
