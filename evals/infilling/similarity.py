"""How alike two texts are: the numbers that code completion benchmarks call edit similarity.

Three numbers bear that name, and they differ:

ratio        fuzzywuzzy's `fuzz.ratio` where python-Levenshtein is not installed: difflib's matching
    blocks, twice their length over both lengths, in whole percent. The requirement files of
    CrossCodeEval (amazon-science/cceval: requirements.txt) and Repoformer install fuzzywuzzy alone,
    so this is what they compute.
indel_ratio  the same function where python-Levenshtein is installed: twice the longest common
    subsequence over both lengths, in whole percent. Never lower than `ratio`.
edit_ratio   RepoEval's own: 1 - Levenshtein distance / the longer length (`cal_edit_sim_repoeval`
    of amazon-science/Repoformer: repo_eval/eval_metric.py, and of the Qwen suite).

All are taken of texts stripped at both ends and given as shares of 1. Lengths are in characters.
"""

from __future__ import annotations

from difflib import SequenceMatcher


def ratio(written: str, gold: str) -> float:
    """Return fuzzywuzzy's ratio without python-Levenshtein, as a share with two decimals.

    The order of the texts matters a little: difflib takes what is frequent in a long second text
    for junk.
    """
    written, gold = written.strip(), gold.strip()
    if written == gold:
        return 1.0  # two empty texts too: fuzzywuzzy looks for equality first
    return round(100 * SequenceMatcher(None, written, gold).ratio()) / 100


def indel_ratio(written: str, gold: str) -> float:
    """Return fuzzywuzzy's ratio with python-Levenshtein, as a share with two decimals."""
    written, gold = written.strip(), gold.strip()
    if written == gold:
        return 1.0
    both = len(written) + len(gold)
    # As that package subtracts: halves round the way it rounds them.
    return round(100 * (1 - (both - 2 * _common(written, gold)) / both)) / 100


def edit_ratio(written: str, gold: str) -> float:
    """Return 1 - distance / the longer length; 0 for two empty texts, as upstream has it."""
    written, gold = written.strip(), gold.strip()
    longer = max(len(written), len(gold))
    return 1 - _distance(written, gold) / longer if longer else 0.0


def _common(first: str, second: str) -> int:
    """Return the length of the longest common subsequence (Hyyro's bit vectors, a row an int)."""
    places = _places(first)
    whole = (1 << len(first)) - 1
    row = whole
    for char in second:
        hits = row & places.get(char, 0)
        row = ((row + hits) | (row - hits)) & whole
    return len(first) - row.bit_count()


def _distance(first: str, second: str) -> int:
    """Return the Levenshtein distance (Myers' bit vectors)."""
    if not first:
        return len(second)
    places = _places(first)
    whole, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    up, down, distance = whole, 0, len(first)
    for char in second:
        hits = places.get(char, 0)
        across = (((hits & up) + up) ^ up) | hits
        more = down | (whole & ~(across | up))
        less = up & across
        distance += bool(more & last) - bool(less & last)
        more = ((more << 1) | 1) & whole
        less = (less << 1) & whole
        vertical = hits | down
        up = less | (whole & ~(vertical | more))
        down = more & vertical
    return distance


def _places(text: str) -> dict[str, int]:
    """Return for each character the bits of the places it stands at."""
    found: dict[str, int] = {}
    for place, char in enumerate(text):
        found[char] = found.get(char, 0) | 1 << place
    return found
