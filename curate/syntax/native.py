"""The recogniser in C, where it is built: whether a grammar accepts a text, without a tree.

It only ever says "accepted", which is as exact as the grammar; whatever it does not accept is
parsed. It is built when the project is installed; without a compiler all texts are parsed, with the
same columns. Calls let go of the interpreter's lock.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, cast


class Recogniser:
    """Of one grammar. For one thread at a time."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        """Keep what `recogniser_of` found."""
        self._library = library
        self._handle = handle

    def accepts(self, text: bytes) -> bool:
        """Return True where the grammar accepts the text; False says nothing."""
        return bool(self._library.recognise(self._handle, text, len(text)))


@cache
def recogniser_of(grammar: str) -> Recogniser | None:
    """Return a grammar's recogniser; None where it is not built, or knows not the grammar's form.

    LookupError: there is no such grammar.
    """
    library = _library()
    if library is None:
        return None
    from tree_sitter_language_pack import get_binding

    binding = get_binding(cast(Any, grammar))
    pointer = binding if isinstance(binding, int) else _pointer(binding)
    handle = library.recogniser_of(pointer)
    return Recogniser(library, handle) if handle else None


@cache
def _library() -> ctypes.CDLL | None:
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_recognise{suffix}")
        if path.is_file():
            library = ctypes.CDLL(str(path))
            library.recogniser_of.restype = ctypes.c_void_p
            library.recogniser_of.argtypes = [ctypes.c_void_p]
            library.recognise.restype = ctypes.c_int
            library.recognise.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
            return library
    return None


def _pointer(capsule: object) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype = ctypes.c_void_p
    get.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, b"tree_sitter.Language"))
