"""The page of a run: `render(result, problems, bench)`; and the words for each kind of verdict."""

from evals.report.page import render
from evals.report.words import TONES, WORDS

__all__ = ["TONES", "WORDS", "render"]
