"""A reasoning model's thought, told apart from its answer, and kept within a budget."""

from serve.thinking.asked import Thinking, take
from serve.thinking.budget import answer_with_budget
from serve.thinking.events import split_thoughts
from serve.thinking.splitter import Splitter

__all__ = ["Splitter", "Thinking", "answer_with_budget", "split_thoughts", "take"]
