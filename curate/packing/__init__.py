"""Packed training data from what recipes keep."""
