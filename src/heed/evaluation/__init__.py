"""Measuring a model that follows instructions: by preference, by rates, by what it cost."""
