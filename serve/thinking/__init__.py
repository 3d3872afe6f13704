"""A reasoning model's thought, told apart from its answer, and kept within a budget."""

from serve.thinking.asked import Thinking, take
from serve.thinking.budget import answer_with_budget
from serve.thinking.events import split_thoughts
from serve.thinking.running import running_events, without_running_usage
from serve.thinking.splitter import Splitter

__all__ = [
    "Splitter",
    "Thinking",
    "answer_with_budget",
    "running_events",
    "split_thoughts",
    "take",
    "without_running_usage",
]
