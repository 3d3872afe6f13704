"""Whatever the document of the routes allows, and what it does not: never an error of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.slow
# Right requests, from which it goes on to wrong ones.
EXAMPLES: dict[str, Any] = {
    "/v1/chat/completions": {
        "model": "chatty",
        "messages": [{"role": "user", "content": "count"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "/v1/completions": {"model": "filler", "prompt": "def add(", "suffix": "\n", "max_tokens": 9},
    "/v1/embeddings": {"model": "vectors", "input": ["a", "b"]},
    "/infill": {"input_prefix": "def add(", "input_suffix": "\n", "stream": True},
}


def _with_models(schema: Any, names: list[str]) -> Any:
    """Return the document with models that exist, and without parameters that no engine knows.

    Others would all end in the same 404 or 400. What breaks the document is tried as well.
    """
    if isinstance(schema, list):
        return [_with_models(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_models(value, names) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and "model" in found["properties"]:
        found["properties"]["model"] = {"type": "string", "enum": names}
        found["additionalProperties"] = False
    return found


def test_no_request_makes_the_service_fail(service_kit: ModuleType, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("st")
    if not command.is_file() and shutil.which("st") is None:
        pytest.skip("schemathesis is not installed: pip install -e '.[dev]'")
    (tmp_path / "service").mkdir()
    with service_kit.Service(tmp_path / "service") as service:
        status, document = service.ask("/openapi.json")
        assert status == 200
        document = _with_models(document, [*service_kit.MODELS, "nobody"])
        for path, example in EXAMPLES.items():
            body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            body["example"] = example
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        done = subprocess.run(
            [command, "run", tmp_path / "openapi.json", "--url", service.url, "--no-color",
             "--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing",
             "--max-examples", "25", "--seed", "1", "--request-timeout", "20"],
            capture_output=True, text=True, cwd=tmp_path, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        operations = sum(len(path) for path in document["paths"].values())
        assert f"Tested: {operations}" in done.stdout and operations > 20
        # The control: among all that were asked, some were answered.
        answered = [line for line in service.log().splitlines() if " status=200 " in line]
        for route in EXAMPLES:
            assert any(f"route={route} " in line for line in answered), route
        assert service.ask(
            "/v1/chat/completions",
            {"model": "chatty", "messages": [{"role": "user", "content": "count"}]},
        )[0] == 200  # fmt: skip
    assert "Traceback" not in service.log()
