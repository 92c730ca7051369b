"""Heed teaches a language model to follow instructions from feedback: the whole loop in one package."""

__version__ = "0.1.0"
