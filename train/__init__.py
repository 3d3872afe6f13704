"""Pretrain and fine-tune the models."""
