"""Names for other libraries' types, so that packages above need not import those libraries."""

from typing import TypeAlias

from transformers import PreTrainedModel, PreTrainedTokenizerBase

CausalLM: TypeAlias = PreTrainedModel
"""A Hugging Face causal language model."""
Tokenizer: TypeAlias = PreTrainedTokenizerBase
"""A Hugging Face tokenizer."""
