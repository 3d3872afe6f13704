"""Secrets and personal data in documents: found, counted, and taken out in a column beside."""
