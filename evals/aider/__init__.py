"""Aider's benchmarks: Exercism exercises, solved by editing files, with a second try."""
