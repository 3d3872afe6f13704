"""API keys: who may use a server. The file holds their SHA-256 digests, never a key.

A key has 256 random bits, so a digest without salt gives nothing away. Does not guard the way: a
key crosses the network as it stands, so put TLS before a server that others reach.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

KEYS_VARIABLE = "SEEDCODER_SANDBOX_KEYS_FILE"
_LINE = re.compile(r"([0-9a-f]{64})(?:\s+([\w.@-]{1,64}))?")


class KeysFileError(ValueError):
    """A file of keys that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a server. digests: from the SHA-256 digest to its owner's name."""

    digests: tuple[tuple[bytes, str], ...]

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a file: a line a key, its digest in hex and a name; `#` begins a comment."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise KeysFileError(f"cannot read the keys in {path}: {why}") from None
        found = []
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            match = _LINE.fullmatch(text)
            if match is None:
                raise KeysFileError(
                    f"{path}:{number}: a line must be the SHA-256 of a key in 64 hex digits, and a"
                    " name; `seedcoder sandbox key new` makes one"
                )
            found.append((bytes.fromhex(match[1]), match[2] or f"key-{number}"))
        if not found:
            raise KeysFileError(f"{path} holds no key; `seedcoder sandbox key new` makes one")
        return cls(digests=tuple(found))

    def owner(self, key: str) -> str | None:
        """Return the name of the key's owner, None for a key that is not there.

        Every digest is compared, each in constant time: how long it takes tells nothing.
        """
        given = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, name in self.digests:
            if hmac.compare_digest(digest, given):
                found = name
        return found


def new_key(name: str) -> tuple[str, str]:
    """Return a new key, and its line for the file of keys."""
    if not re.fullmatch(r"[\w.@-]{1,64}", name):
        raise ValueError(f"a name has 1 to 64 letters, digits and ._@-, got {name!r}")
    key = f"sbx_{secrets.token_urlsafe(32)}"
    return key, f"{hashlib.sha256(key.encode()).hexdigest()} {name}"


def presented(authorization: str, x_api_key: str) -> str:
    """Return the key that a request carries, "" for none.

    `Bearer KEY`, `X-API-Key: KEY`, or as the password of `Basic`: clients that know no keys send
    that when their URL reads http://any:KEY@host/.
    """
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return x_api_key.strip()
