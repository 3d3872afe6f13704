"""Benchmarks: problems to samples to verdicts to scores to a report."""
