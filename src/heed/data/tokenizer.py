"""Tokenizers: a byte-level BPE trained from text, or any that Hugging Face can load; and the two chat templates.

A trained tokenizer is exact: decoding what was encoded gives the same text, byte for byte. PAD is never EOS, so the
end of an answer is always learned (instructgpt.md section 8.1, detail 1: Huang et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from heed.errors import ConfigError, TokenizerError

EOS_TOKEN = "<|endoftext|>"
PAD_TOKEN = "<|pad|>"
ROLE_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>")
SPECIAL_TOKENS = (EOS_TOKEN, PAD_TOKEN, *ROLE_TOKENS)
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
"""One token for each byte, and the special ones: no text is ever unknown."""

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['content'] + (eos_token if message['role'] == 'assistant' else '\\n') }}"
    "{% endfor %}"
)
"""The prompt, a newline, the answer, EOS. A model that has only read plain text can already be asked this way."""

ROLES_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + (eos_token if message['role'] == 'assistant' else '') }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""Each turn is opened by the token of its role; for conversations of several turns."""


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, *, line_prefix_space: bool = False, chat_template: str = PLAIN_TEMPLATE
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with GPT-2's word pattern on ``texts``.

    Args:
        texts: documents, read once.
        vocab_size: tokens in all, with the 256 bytes and the special ones; little text may give fewer.
        line_prefix_space: encode every line as if a space stood before it, so that a word is the same token at the
            start of a line as inside it. Decoding takes the space away again.
        chat_template: Jinja template that lays out a conversation.

    Raises:
        ConfigError: ``vocab_size`` has no room for the bytes and the special tokens.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        raise ConfigError(f"vocab_size is {vocab_size}, expected at least {SMALLEST_VOCABULARY} (256 bytes + special)")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if line_prefix_space:
        tokenizer.normalizer = _space_before_each_line()
        tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace(Regex("^ "), "")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=EOS_TOKEN,
        pad_token=PAD_TOKEN,
        extra_special_tokens=list(ROLE_TOKENS),
        clean_up_tokenization_spaces=False,
        chat_template=chat_template,
    )


def load_tokenizer(path_or_name: str | Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a directory or the Hugging Face hub, ready for training.

    Raises:
        TokenizerError: there is none, or it has no end-of-sequence token.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(path_or_name))
    except (OSError, ValueError, KeyError) as error:
        raise TokenizerError(
            f"{path_or_name}: no tokenizer can be loaded from here ({_first_line(error)}); expected a directory with "
            "tokenizer.json and tokenizer_config.json, or the name of a model on the Hugging Face hub"
        ) from error
    end_token_id(tokenizer)
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, path: str | Path) -> None:
    """Write ``tokenizer`` into the directory ``path``; :func:`load_tokenizer` and transformers read it back."""
    tokenizer.save_pretrained(str(path))


def end_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id of the end-of-sequence token.

    Raises:
        TokenizerError: there is none.
    """
    if tokenizer.eos_token_id is None:
        raise TokenizerError(
            f"tokenizer {_name(tokenizer)} has no end-of-sequence token, so that no answer could ever end; set one, "
            "such as tokenizer.eos_token = '<|endoftext|>', and save the tokenizer again"
        )
    return int(tokenizer.eos_token_id)


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id to fill rows with: the tokenizer's PAD unless that is EOS, else a spare token, else one that is not EOS.

    Nothing in Heed tells padding from text by this id; masks and lengths are explicit. It must only not be EOS, for
    the sake of other programs that read a saved model.
    """
    eos = end_token_id(tokenizer)
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != eos:
        return int(tokenizer.pad_token_id)
    vocabulary = tokenizer.get_vocab()
    spare = (PAD_TOKEN, "<|padding|>", "<pad>", "[PAD]", "<unk>", "<|reserved_special_token_0|>")
    found = [vocabulary[token] for token in spare if vocabulary.get(token, eos) != eos]
    return found[0] if found else int(eos == 0)


def _space_before_each_line() -> normalizers.Normalizer:
    """Put a space before every line that is not empty; removing one space from each line start undoes it exactly."""
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex("\n(?=[^\n])"), "\n "),
            normalizers.Prepend(" "),
            normalizers.Replace(Regex("\\A \n"), "\n"),
        ]
    )


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return repr(tokenizer.name_or_path) if tokenizer.name_or_path else type(tokenizer).__name__


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
