"""FullStackBench: 16 languages, judged by test code in the language of the answer."""
