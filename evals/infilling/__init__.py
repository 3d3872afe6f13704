"""Benchmarks that ask for a missing middle, and for the next lines of a repository."""
