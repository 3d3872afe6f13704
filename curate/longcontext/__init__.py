"""Repositories as long texts: each file after what it imports."""
