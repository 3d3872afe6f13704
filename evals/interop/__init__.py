"""Runs in the files of other suites, and their samples as runs of ours."""
