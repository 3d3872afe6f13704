"""Images of ours: built from the Dockerfile beside this module, or made here of Debian packages.

Where no registry can be reached for the base image, debootstrap fetches Debian's packages (whose
signatures it checks) from this machine's mirror, and the engine imports the folder as an image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.containers import engine
from sandbox.containers.engine import DockerClient
from sandbox.errors import SandboxUnavailable

_HERE = Path(__file__).parent
_LABEL = "seedcoder.image"
_SUITE = "bookworm"  # Debian 12, whose python3 is 3.11
# Python with its whole library, a shell, tar and sleep: unpacked, not installed.
_MINIMAL = (
    "base-files", "libc6", "libgcc-s1", "zlib1g", "libexpat1", "libbz2-1.0", "liblzma5", "libffi8",
    "libssl3", "libsqlite3-0", "libncursesw6", "libtinfo6", "libreadline8", "libdb5.3", "libuuid1",
    "libcrypt1", "libselinux1", "libpcre2-8-0", "libacl1", "libattr1", "libgmp10", "dash",
    "coreutils", "tar", "python3-minimal", "python3.11-minimal", "python3.11",
    "libpython3.11-minimal", "libpython3.11-stdlib",
)  # fmt: skip
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of the engine: one of its names, MiB, and whether it is one of ours."""

    name: str
    size_mb: int
    ours: bool


def images() -> tuple[Image, ...]:
    """Return the engine's images that have a name, ours first."""
    client = engine.connect()
    try:
        with engine.broken("listing images"):
            found = [
                Image(
                    name=tag,
                    size_mb=int(image.attrs.get("Size", 0)) >> 20,
                    ours=_LABEL in (image.labels or {}),
                )
                for image in client.images.list()
                for tag in image.tags
            ]
    finally:
        client.close()
    return tuple(sorted(found, key=lambda image: (not image.ours, image.name)))


def build(name: str, *, minimal: bool, say: Say, keep: Path | None = None) -> str:
    """Make an image of that name and return its id.

    minimal: Python and the C library only, no compilers. keep: a folder for a minimal image's tar,
    which the next call then takes. say: is told, in a line each, what happens.
    Raises SandboxUnavailable, which says what to install or to be.
    """
    client = engine.connect()
    try:
        if not minimal:
            made = _from_dockerfile(client, name, say)
            if made:
                return made
        return _imported(client, name, minimal=minimal, say=say, keep=keep)
    finally:
        client.close()


def _from_dockerfile(client: DockerClient, name: str, say: Say) -> str:
    """Return the id of the image built, "" where its base cannot be had."""
    try:
        image, _ = client.images.build(
            path=str(_HERE), tag=name, rm=True, forcerm=True, labels={_LABEL: "full"},
            use_config_proxy=True,
        )  # fmt: skip
    except (*engine.failures(), engine.sdk().errors.BuildError) as error:
        say(f"the Dockerfile cannot be built here: {engine.words(error)}")
        return ""
    return str(image.id)


def _imported(
    client: DockerClient, name: str, *, minimal: bool, say: Say, keep: Path | None
) -> str:
    kept = keep / f"minimal-{_SUITE}-{os.uname().machine}.tar" if keep and minimal else None
    if kept is not None and kept.exists():
        return _import(client, name, kept, minimal=minimal)
    lacking = [tool for tool in ("debootstrap", "dpkg-deb") if shutil.which(tool) is None]
    if lacking or os.geteuid() != 0:
        need = f"apt-get install {' '.join(lacking)}" if lacking else "be root"
        raise SandboxUnavailable(
            f"an image without a registry is made by debootstrap, as root: {need}"
        )
    with tempfile.TemporaryDirectory(prefix="seedcoder-image-") as place:
        root = Path(place, "root")
        say("fetching Debian packages with debootstrap")
        (_unpack if minimal else _install)(root, Path(place))
        _finish(root)
        say("importing them as an image")
        packed = Path(place, "image.tar")
        with tarfile.open(packed, "w") as tar:
            tar.add(root, arcname=".")
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(packed, part)
            part.replace(kept)
        return _import(client, name, packed, minimal=minimal)


def _unpack(root: Path, place: Path) -> None:
    """Lay the files of a few packages into a folder; no script of theirs is run."""
    fetched = place / "fetched"
    wanted = ",".join(_MINIMAL)
    _do(["debootstrap", "--download-only", "--variant=minbase", f"--include={wanted}", _SUITE,
         str(fetched)])  # fmt: skip
    root.mkdir()
    for package in _MINIMAL:
        found = sorted((fetched / "var/cache/apt/archives").glob(f"{package}_*.deb"))
        if not found:
            raise SandboxUnavailable(f"debootstrap did not fetch {package}")
        _do(["dpkg-deb", "-x", str(found[0]), str(root)])


def _install(root: Path, place: Path) -> None:
    """Install Debian and the packages of packages.txt into a folder."""
    _do(["debootstrap", "--variant=minbase", _SUITE, str(root)])
    packages = (_HERE / "packages.txt").read_text().split()
    # In mount namespaces of their own, so that nothing stays mounted however this ends.
    inside = (
        'mount -t proc proc "$0/proc" && exec chroot "$0" '
        "apt-get install -y -qq --no-install-recommends " + " ".join(packages)
    )
    _do(["unshare", "-m", "sh", "-c", inside, str(root)])
    for archive in (root / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()


def _finish(root: Path) -> None:
    """Make what every image of ours has: one writable place under all its names, and a user."""
    shutil.rmtree(root / "var/tmp", ignore_errors=True)
    (root / "var").mkdir(exist_ok=True)
    (root / "var/tmp").symlink_to("/tmp")
    for name, text in (
        ("passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
        ("group", "root:x:0:\nnogroup:x:65534:\n"),
    ):
        path = root / "etc" / name
        if not path.exists():
            path.write_text(text)


def _do(command: list[str]) -> None:
    """Run a command of this machine. Raises SandboxUnavailable with its last words."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()][-1:]
        raise SandboxUnavailable(f"{command[0]} ended with {done.returncode}: {' '.join(said)}")


def _import(client: DockerClient, name: str, packed: Path, *, minimal: bool) -> str:
    kind = "minimal" if minimal else "full"
    changes = [f"LABEL {_LABEL}={kind}", "ENV PATH=/usr/local/bin:/usr/bin:/bin", 'CMD ["python3"]']
    repository, _, tag = name.partition(":")
    with engine.broken("importing an image"):
        client.api.import_image_from_file(
            str(packed), repository=repository, tag=tag or "latest", changes=changes
        )
        return str(client.images.get(name).id)
