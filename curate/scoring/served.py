"""A trained Llama scorer behind a vLLM server, for scoring on GPUs.

    vllm serve SCORER/llama --runner pooling --convert classify --served-model-name scorer

The server is sent tokens, so that what it reads is what the scorer learnt to read. What this does
not guard against is a server that has another scorer under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from curate.scoring.llama import FOLDER, said_of
from curate.scoring.recipe import LlamaTable
from curate.scoring.rubric import MOST
from seedcoder.errors import MachineLacks, UsageError

_AT_ONCE: Final = 8  # ours: requests under way
_ROWS: Final = 16  # ours: texts a request
_TRIES: Final = 6
_TIMEOUT_S: Final = 300.0


def check_address(address: str) -> tuple[str, str]:
    """Return the server and the model of "http://HOST:PORT#NAME". UsageError: it is none."""
    server, _, model = address.partition("#")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname or not model:
        raise UsageError(f"{address!r} is no scorer's address; say http://HOST:PORT#NAME")
    return server.rstrip("/").removesuffix("/v1"), model


class ServedScorer:
    """Scores by a server's /classify."""

    def __init__(self, folder: Path, address: str, card: Mapping[str, Any]) -> None:
        """Load the tokenizer; nothing is sent yet. UsageError: a wrong address, or no Llama."""
        import openai

        if card["kind"] != "llama":
            raise UsageError(f"{str(folder)!r} is a {card['kind']} scorer; vLLM runs llama ones")
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError:
            raise MachineLacks(
                "a served scorer needs the 'hf' extra: pip install -e '.[hf]'"
            ) from None
        self._settings = LlamaTable(**card["llama"])
        self._server, self._model = check_address(address)
        self._tokenizer = Tokenizer.from_file(str(folder / FOLDER / "tokenizer.json"))
        self._tokenizer.enable_truncation(self._settings.max_tokens)
        self._tokenizer.no_padding()
        self._client = openai.OpenAI(
            base_url=self._server, api_key="none", max_retries=_TRIES, timeout=_TIMEOUT_S
        )

    def scores(self, texts: Sequence[str], languages: Sequence[str]) -> list[float]:
        """Return a score for each text, 0 to 10. MachineLacks: the server gives none."""
        said = [
            said_of(language, text, self._settings) or " "
            for language, text in zip(languages, texts, strict=True)
        ]
        tokens = [one.ids for one in self._tokenizer.encode_batch(said)]
        blocks = [tokens[begin : begin + _ROWS] for begin in range(0, len(tokens), _ROWS)]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return [score for found in threads.map(self._asked, blocks) for score in found]

    def _asked(self, block: list[list[int]]) -> list[float]:
        import openai

        body = {"model": self._model, "input": block, "use_activation": False}
        try:
            found: Any = self._client.post(
                f"{self._server}/classify", body=body, cast_to=dict[str, Any]
            )
        except openai.APIError as error:
            raise MachineLacks(f"no scores from {self._server}: {error.message}") from None
        rows = sorted(found["data"], key=lambda row: row["index"])
        if len(rows) != len(block) or any(len(row["probs"]) != 1 for row in rows):
            raise MachineLacks(
                f"{self._server} has no scorer as {self._model!r}: not one number a text"
            )
        return [min(float(MOST), max(0.0, MOST * float(row["probs"][0]))) for row in rows]
