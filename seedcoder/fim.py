"""How a model is asked to fill in the middle: its special tokens, and the order they come in.

    FIM["seed-coder"].prompt("def f():\\n    return ", "\\n\\nprint(f())\\n")

"spm" puts the suffix first, then the prefix, then the middle; "psm" the prefix first. Where
`files` are given (repository-level prompts), each is written as the format writes files; a format
without words of its own for that gets none, and `prompt` raises ValueError.

Sources: Seed-Coder: its base card (suffix, prefix, middle; no token ends the middle). The others:
Qwen2.5-Coder, StarCoder2, DeepSeek-Coder, CodeLlama and Codestral as their cards write them; not
one of those was asked by us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Order = Literal["spm", "psm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fim:
    """The tokens of one family of models.

    prefix, suffix, middle: the tokens before each part; `middle` may be empty (CodeLlama's does
        not exist in every form). stop: strings that end the middle, if the model has any.
    repository, file: tokens before a repository's and a file's name, empty where there are none.
    """

    prefix: str
    suffix: str
    middle: str
    order: Order = "psm"
    stop: tuple[str, ...] = ()
    repository: str = ""
    file: str = ""

    def prompt(
        self, before: str, after: str, *, files: Sequence[tuple[str, str]] = (), path: str = ""
    ) -> str:
        """Return the text to continue: what comes is the middle.

        files: (name, text) of other files, nearest last; path: the name of the file being filled.
        Raises ValueError for files where the format has no token for them.
        """
        head = ""
        if files:
            if not self.file:
                raise ValueError("this FIM format has no token for other files")
            head = "".join(f"{self.file}{name}\n{text}\n" for name, text in files)
            head += f"{self.file}{path}\n" if path else ""
        parts = (f"{self.prefix}{before}", f"{self.suffix}{after}")
        first, second = parts if self.order == "psm" else parts[::-1]
        return f"{head}{first}{second}{self.middle}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return {**data, "stop": list(self.stop)}


FIM: Final[Mapping[str, Fim]] = {
    "seed-coder": Fim(
        prefix="<[fim-prefix]>", suffix="<[fim-suffix]>", middle="<[fim-middle]>", order="spm"
    ),
    "qwen": Fim(
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        stop=("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>"),
        repository="<|repo_name|>",
        file="<|file_sep|>",
    ),
    "starcoder": Fim(
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        stop=("<|endoftext|>", "<file_sep>"),
        repository="<repo_name>",
        file="<file_sep>",
    ),
    "deepseek": Fim(prefix="<｜fim▁begin｜>", suffix="<｜fim▁hole｜>", middle="<｜fim▁end｜>"),
    "codellama": Fim(prefix="<PRE> ", suffix=" <SUF>", middle=" <MID>", stop=(" <EOT>",)),
    "codestral": Fim(prefix="[PREFIX]", suffix="[SUFFIX]", middle="", order="spm"),
}
