"""How CodeEditorBench asks: zero-shot, one instruction for each of its four tasks.

CodeEditorBench/CodeEditorBench prompt_function/prompt_{debug,translate,polishment,switch}.py,
`generate_prompt_group1`. Upstream puts the instruction into each model's own template; here it is
the user's turn of a chat, or, for base models, the text of its "codellama" group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

TaskName = Literal["debug", "translate", "switch", "polish"]

_RULES: Final = (
    " Note that:\n1. Your solution should strictly consist of the corrected code only. \n"
    "2. You must wrap your code using ```.\n\n"
)
_HEAD: Final = "Write a solution to the following coding problem:\n"
_TEXTS: Final[Mapping[TaskName, str]] = {
    "debug": (
        "You are assigned the task of correcting the {code_language} buggy code. Ensuring that "
        "your corrected code adheres to the specified programming language syntax and logic "
        "requirements. Validate your solution against the provided test cases to ensure its "
        "accuracy.@RULES@Below is the buggy code snippet:\n{incorrect_solutions}\n\n"
        "Correct the code and ensure it passes the following test case:\n"
        "Input: {public_tests_input}\nOutput: {public_tests_output}"
    ),
    "translate": (
        "You are assigned the task of translating the following code snippet to another "
        "programming language. Ensuring that your translated code meets the syntax and logic "
        "requirements of the target programming language. Validate your solution against the "
        "provided test cases to ensure its accuracy.@RULES@Below is the source code snippet in "
        "{source_lang}:\n{source_code}\n\nTranslate this code to {target_lang}. Ensure your "
        "translated code works correctly with the test case provided:\n"
        "Input: {public_tests_input}\nOutput: {public_tests_output}"
    ),
    "polish": (
        "You are assigned the task of optimizing the given code snippet to enhance its execution "
        "efficiency and reduce memory usage. Ensuring the accuracy of the code remains "
        "unaffected. Validate your solution against the provided test cases to ensure its "
        "accuracy.@RULES@Below is the source code snippet that needs optimization:\n"
        "{source_code}\n\nOptimize the code and ensure it passes the following test case:\n"
        "Input: {public_tests_input}\nOutput: {public_tests_output}"
    ),
    "switch": (
        "You are assigned the task of modifying the given code snippet to implement a new function "
        "that is related to the original function implemented by the code. Ensure your modified "
        "code adheres to the programming language's syntax and logic requirements. Validate your "
        "solution against the provided test cases to ensure its accuracy.@RULES@Below is the code "
        "snippet that implements a specific function:\n{similar_source_code}\n\n"
        "It currently performs the operation:\nInput: {public_similar_tests_input}\n"
        "Output: {public_similar_tests_output}\n\n"
        "You are required to modify this code to implement a new function that is related to the "
        "original one, as detailed below:\nInput: {public_target_tests_input}\n"
        "Output: {public_target_tests_output}\n\n"
        "Ensure your modified code passes the provided test case."
    ),
}


def instruction(task: TaskName, row: Mapping[str, Any]) -> str:
    """Return the instruction for a row. Raises KeyError for a column that it lacks."""
    return _HEAD + _TEXTS[task].replace("@RULES@", _RULES).format_map(row)
