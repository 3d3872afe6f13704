"""Commits of real git histories as training text; see `curate.commits.source`."""
