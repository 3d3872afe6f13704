"""A few lines behind a program, where what it returns is not plain data, or too long to send.

They run in the candidate's box and hold no answer. Four kinds:

some     EvalPlus asks of some tasks only whether something was returned (a match object, say).
truth    The tests ask only whether the value is true.
members  EvalPlus compares the members, as a set: any iterable will do.
digest   A value of more than LONG characters goes out as its length and SHA-256. The digest is of
         a text that is equal where Python's `==` is: 1, 1.0 and True are written alike, sets and
         dicts in sorted order. Only equality can be judged of it, no tolerance.

Does not stop: a program that looks at what stands behind it. It finds no answer there, and what it
returns is compared outside as ever.
"""

from __future__ import annotations

from typing import Any, Final, Literal

Kind = Literal["some", "truth", "members", "digest"]

ENTRY: Final = "_seedcoder_entry"
MARK: Final = "seedcoder digest"
LONG: Final = 10_000  # ours; characters, safely below what the judge reads of any answer

_SOME: Final = """
    return value if value is None or isinstance(value, bool) else "something"
"""
_TRUTH: Final = "    return bool(value)"
_MEMBERS: Final = """
    plain = (list, tuple, set, frozenset, dict, str, bytes, int, float, type(None))
    return value if isinstance(value, plain) else list(value)
"""
_DIGEST: Final = """
    from array import array
    from hashlib import sha256
    numbers, exact = {bool, int, float}, 1 << 53
    def text(one):
        kind = type(one)
        if kind is str:
            return f"s{len(one)}:{one}"
        if kind in numbers:
            return repr(one) if kind is float and not one.is_integer() else hex(int(one))
        if kind in (list, tuple):
            mark = "l" if kind is list else "t"
            if len(one) > 99 and numbers.issuperset(map(type, one)):
                if -exact <= min(one) and max(one) <= exact:
                    return mark + sha256(array("d", [x + 0.0 for x in one])).hexdigest()
            return f"{mark}({','.join(map(text, one))})"
        if kind in (set, frozenset):
            return "e{%s}" % ",".join(sorted(map(text, one)))
        if kind is dict:
            return "d{%s}" % ",".join(sorted(f"{text(k)}:{text(v)}" for k, v in one.items()))
        if one is None:
            return "N"
        raise TypeError
    def size(one):
        kind = type(one)
        if kind is int and one.bit_length() > 1024:  # none that equals a float
            return one.bit_length() // 4
        if kind in (str, bytes):
            return len(one)
        if kind is dict:
            return size(list(one.items()))
        if kind in (list, tuple, set, frozenset):
            return 4 * len(one) if len(one) > LONG else 2 + sum(map(size, one))
        return 8
    try:
        long = size(value)
        if long <= LONG:
            return value
        floats = type(value) in (list, tuple) and {float}.issuperset(map(type, value))
        digest = sha256(text(value).encode("utf-8", "surrogatepass")).hexdigest()
        return ("MARK", long, digest, floats)
    except (TypeError, RecursionError):
        return value
""".replace("LONG", str(LONG)).replace("MARK", MARK)
_BODIES: Final = {"some": _SOME, "truth": _TRUTH, "members": _MEMBERS, "digest": _DIGEST}


def adapted(source: str, kind: Kind, name: str) -> str:
    """Return the program with what calls function `name` and gives its value another form."""
    if not source.strip():
        return source
    body = _BODIES[kind].strip("\n")
    return (
        f"{source}\n\n\n# Added for judging: the form in which the value goes out.\n"
        f"def {ENTRY}(*arguments):\n    value = {name}(*arguments)\n{body}\n"
    )


def is_digest(value: Any) -> bool:
    """Return whether a value is one that was sent as its digest."""
    return type(value) is tuple and len(value) == 4 and value[0] == MARK
