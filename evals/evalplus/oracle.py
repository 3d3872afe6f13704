"""When EvalPlus takes an answer for right: equality, its tolerances, its special oracles.

All as in evalplus 0.3.1: `unsafe_execute` in evalplus/eval/__init__.py, and evalplus/eval/
_special_oracle.py. A tolerance that has been switched on by an expected float stays on for the
inputs that follow; since only expected values switch it, it is known of each input beforehand.

HumanEval/32 (`find_zero`) is judged by what its oracle means: the value is a zero of the
polynomial. evalplus 0.3.1 checks that, and then forgets to count the test as passed, so that no
solution passes there; `compatible` copies this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from evals.evalplus.adapter import is_digest
from evals.evalplus.tolerance import all_close, is_floats

# By the name of the function, as there.
NOT_NONE: Final = frozenset(("check_str", "text_match_three", "text_starta_endb"))
AS_SETS: Final = frozenset(
    {
        "similar_elements",
        "find_char_long",
        "common_in_nested_lists",
        "extract_singly",
        "larg_nnum",
        "intersection_array",
        "find_dissimilar",
        "Diff",
    }
)
_FLOAT_ATOL: Final = 1e-6

_ERRORS: Final = (TypeError, ValueError, ArithmeticError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one call must return.

    value: of the reference. atol: the tolerance in force, 0 for none. args: of the call.
    special: of the task, looked at besides equality; None for most.
    """

    value: Any
    atol: float
    args: Sequence[Any]
    special: Callable[[Wanted, Any], bool] | None = None

    def __repr__(self) -> str:
        """The value alone: this is what people are shown."""
        try:
            return repr(self.value)
        except ValueError:  # an int of more digits than Python writes
            return hex(self.value) if type(self.value) is int else "<a value of huge integers>"


def accepts(wanted: Wanted, got: Any) -> bool:
    """Return whether the answer is right. What is an error there is a wrong answer."""
    try:
        if wanted.special is _zero or wanted.special is _never:
            return wanted.special(wanted, got)
        if is_digest(wanted.value) and is_digest(got):
            # Not the last: whether these were floats is no part of what they equal.
            return bool(got[:3] == wanted.value[:3])
        exact = wanted.special(wanted, got) if wanted.special else bool(got == wanted.value)
        if exact or not wanted.atol:
            return exact
        if is_digest(wanted.value) or type(got) is not type(wanted.value):
            return False
        if isinstance(got, list | tuple) and len(got) != len(wanted.value):
            return False
        return all_close(got, wanted.value, wanted.atol)
    except _ERRORS:
        return False


def wanted(
    dataset: str,
    entry_point: str,
    calls: Sequence[Sequence[Any]],
    values: Sequence[Any],
    atol: float,
    *,
    compatible: bool = False,
) -> list[Wanted]:
    """Return what each call of one run must return.

    dataset: "humaneval" or "mbpp". atol: of the task's row. compatible: find_zero never passes.
    """
    special = _SPECIAL.get((dataset, entry_point))
    if dataset == "mbpp" and entry_point in AS_SETS:
        special = _same_members
    elif dataset == "mbpp" and entry_point in NOT_NONE:
        special = _something
    elif compatible and special is _zero:
        special = _never
    found = []
    for args, value in zip(calls, values, strict=True):
        # The oracle of `surface_Area` is asked before the tolerance is switched on.
        before = atol
        floats = bool(value[3]) if is_digest(value) else is_floats(value)
        if not atol and floats and special is not _zero:
            atol = _FLOAT_ATOL
        if special is _area:
            found.append(Wanted(value, atol, (*args, before), special))
        else:
            found.append(Wanted(value, atol, args, special))
    return found


def _any(_wanted: Wanted, _got: Any) -> bool:
    return True


def _divisor_sum(wanted: Wanted, got: Any) -> bool:
    return bool(got == wanted.value or got == 0)


def _area(wanted: Wanted, got: Any) -> bool:
    """A pyramid's surface: upstream's formula, or that for a height from base to apex."""
    if got == wanted.value:
        return True
    edge, height, atol = wanted.args
    slant = math.sqrt((edge / 2) ** 2 + height**2)
    return bool(abs(got - round(edge**2 + 4 * (edge * slant) / 2)) <= atol)


def _digit_distance(wanted: Wanted, got: Any) -> bool:
    if got == wanted.value:
        return True
    first, second = map(str, wanted.args)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width), strict=True)
    return bool(got == sum(abs(int(a) - int(b)) for a, b in pairs))


def _same_members(wanted: Wanted, got: Any) -> bool:
    return set(got) == set(wanted.value)


def _something(wanted: Wanted, got: Any) -> bool:
    return bool(got == wanted.value if isinstance(got, bool) else wanted.value == (got is not None))


def _zero(wanted: Wanted, got: Any) -> bool:
    (coefficients,) = wanted.args
    value = sum(each * math.pow(got, power) for power, each in enumerate(coefficients))
    return bool(abs(value) <= wanted.atol)


def _never(_wanted: Wanted, _got: Any) -> bool:
    return False


_SPECIAL: Final = {
    ("mbpp", "are_equivalent"): _any,  # Mbpp/164
    ("mbpp", "sum_div"): _divisor_sum,  # Mbpp/295
    ("mbpp", "surface_Area"): _area,  # Mbpp/581
    ("mbpp", "digit_distance_nums"): _digit_distance,  # Mbpp/558
    ("humaneval", "find_zero"): _zero,  # HumanEval/32
}
