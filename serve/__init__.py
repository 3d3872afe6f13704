"""Engines behind one OpenAI-compatible gateway, and a playground."""
