"""What is wrong with upstream's own data, by its own grading: told apart from our faults.

Found by running upstream's solutions as `mxeval/execution.py` does: the interpreter's exit code
behind prompt + canonical_solution + test (node 20 with lodash, CPython 3.11).
"""

from __future__ import annotations

from typing import Final

# Solutions of mbjsp_release_v1.2.jsonl that fail their own tests; in most a parameter has another
# name than in the prompt.
JAVASCRIPT: Final = frozenset({
    2, 18, 26, 29, 37, 50, 54, 63, 65, 81, 91, 94, 104, 106, 110, 129, 140, 156, 174, 193, 196,
    197, 205, 206, 213, 222, 230, 237, 249, 258, 259, 261, 264, 272, 273, 278, 281, 324, 326,
    333, 357, 363, 366, 368, 371, 376, 378, 381, 393, 394, 399, 400, 401, 421, 424, 428, 429,
    438, 445, 452, 470, 473, 484, 492, 494, 512, 513, 514, 544, 546, 552, 553, 560, 561, 573,
    580, 585, 611, 613, 614, 616, 619, 621, 630, 632, 637, 639, 645, 651, 653, 665, 668, 679,
    691, 694, 695, 697, 698, 710, 713, 715, 720, 726, 740, 744, 749, 750, 753, 757, 772, 776,
    780, 785, 788, 791, 792, 795, 806, 808, 809, 811, 825, 842, 844, 852, 858, 875, 878, 888,
    894, 915, 916, 920, 921, 936, 939, 942, 951, 954, 969, 972,
})  # fmt: skip

# Solutions of mbpp_release_v1.jsonl that fail theirs.
PYTHON: Final = frozenset({
    56, 64, 160, 341, 349, 367, 596, 601, 607, 631, 642, 899, 927, 966, 967,
})  # fmt: skip

# Python tests that take names from the candidate's module, replace the function themselves (it is
# called `check`, as they are), or look at the order of a set or at what the function did to its
# argument: judged in one process, as upstream does. The first seven pass nothing, there as here.
PYTHON_TOGETHER: Final = frozenset({56, 349, 367, 601, 899, 927, 967, 341, 839})
