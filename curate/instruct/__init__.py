"""Instruction data: asked of a model, judged by the sandbox, written for trainers."""
