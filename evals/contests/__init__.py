"""Benchmarks made of programming contests: each program is judged by whole inputs and outputs."""
