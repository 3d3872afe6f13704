"""Benchmarks whose tests are code in the candidate's own language."""
