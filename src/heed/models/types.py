"""Names for other libraries' types, so that packages above need not import those libraries."""

from typing import TypeAlias

from transformers import PreTrainedModel

CausalLM: TypeAlias = PreTrainedModel
"""A Hugging Face causal language model."""
