"""Classifiers that find more of what a few documents are: for pages about code, for good code."""
