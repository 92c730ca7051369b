"""Text and token ids: prompts through the chat template, answers ended by EOS, lengths checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from heed.data.batches import EncodedGroup, Example
from heed.data.tokenizer import PLAIN_TEMPLATE, end_token_id, pad_token_id
from heed.errors import ConfigError, DataError
from heed.records import Completion, Demonstration, Prompt

_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use characters: they stand for a special token's name in someone's text


class Codec:
    """A tokenizer, its chat template and a context length: everything needed to turn records into token ids.

    A prompt and its answer are encoded apart, so the ids of a prompt never depend on what follows. Text that spells
    a special token (``"<|endoftext|>"``) is encoded as the text it is and never becomes that token.

    Args:
        tokenizer: any tokenizer with an end-of-sequence token; without a chat template of its own it gets the plain
            one (prompt, newline, answer).
        context: longest sequence in tokens, prompt and answer together.

    Raises:
        TokenizerError: the tokenizer has no end-of-sequence token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context: int) -> None:
        if context < 2:
            raise ConfigError(f"context is {context}, expected at least 2: one token of prompt and one of answer")
        self.tokenizer = tokenizer
        self.context = context
        self.eos_id = end_token_id(tokenizer)
        self.pad_id = pad_token_id(tokenizer)
        self.vocab_size = len(tokenizer)
        self._plain = tokenizer.chat_template in (None, PLAIN_TEMPLATE)
        self._start = _start_ids(tokenizer)
        added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        names = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, names)))

    # Prompts

    def render(self, prompt: Prompt) -> str:
        """The prompt as the template lays it out, up to where the answer begins."""
        return self._render([(message.role, message.content) for message in prompt.messages])

    def encode_prompt(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, up to where the answer begins.

        Raises:
            DataError: it fills the context, so that no answer fits.
        """
        return self.encode_prompts([prompt])[0]

    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of many prompts at once, which is faster.

        Raises:
            DataError: one of them fills the context, so that no answer fits.
        """
        encoded = self.prompt_ids(prompts)
        for prompt, ids in zip(prompts, encoded, strict=True):
            if len(ids) >= self.context:
                raise DataError(
                    f"prompt {prompt.id} ({_excerpt(prompt.text)}) is {len(ids)} tokens long, expected at most "
                    f"{self.context - 1}: the context is {self.context} tokens and the answer needs room in it"
                )
        return encoded

    def prompt_ids(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Like :meth:`encode_prompts`, for prompts of any length."""
        rendered: list[str] = []
        guarded: dict[int, list[int]] = {}
        for index, prompt in enumerate(prompts):
            turns = [(message.role, message.content) for message in prompt.messages]
            if any(self._special.search(content) for _, content in turns):
                guarded[index] = self._encode_guarded(turns)
            rendered.append("" if index in guarded else self._render(turns))
        start = self._start if self._plain else []
        encoded = self._encode(rendered)
        return [guarded.get(index, start + ids) for index, ids in enumerate(encoded)]

    # Answers and plain text

    def encode_text(self, text: str) -> list[int]:
        """Token ids of plain text, without EOS."""
        return self.encode_texts([text])[0]

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many texts at once, without EOS."""
        return self._encode(texts, literally=True)

    def encode_completion(self, text: str) -> list[int]:
        """Token ids of an answer, with EOS at its end."""
        return [*self.encode_text(text), self.eos_id]

    def encode_completions(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many answers at once, each with EOS at its end."""
        return [[*ids, self.eos_id] for ids in self.encode_texts(texts)]

    def completion_ids(self, completion: Completion) -> list[int]:
        """The ids a completion was sampled as, or else its text's ids and EOS."""
        return list(completion.token_ids) if completion.token_ids else self.encode_completion(completion.text)

    def encode_corpus(self, documents: Iterable[str], batch: int = 256) -> Iterable[list[int]]:
        """Token ids of documents, one after another, a ``batch`` of them at a time; for :func:`pack_rows`."""
        waiting: list[str] = []
        for document in documents:
            waiting.append(document)
            if len(waiting) == batch:
                yield from ([*self._start, *ids] for ids in self.encode_texts(waiting))
                waiting.clear()
        yield from ([*self._start, *ids] for ids in self.encode_texts(waiting))

    def encode_continuations(
        self, contexts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> list[EncodedGroup]:
        """Plain texts, each with what may follow it, without a template and without EOS, of any length.

        A context and a continuation are encoded together, and cut where the context's own tokens end; blanks at the
        context's end go to the continuation, as tokens begin with their blank. An empty context is the token that a
        text starts with. That is how the common evaluation harness does it (Gao et al. 2024), so figures agree.
        """
        bare = [context.rstrip() for context in contexts]
        joined = [
            context + continuation
            for context, options in zip(contexts, continuations, strict=True)
            for continuation in options
        ]
        whole = iter(self.encode_texts(joined))
        groups = []
        for ids, options in zip(self.encode_texts(bare), continuations, strict=True):
            ends = [next(whole)[len(ids) :] for _ in options]
            groups.append(EncodedGroup(prompt_ids=[*self._start, *ids] or [self.eos_id], completion_ids=ends))
        return groups

    # Records

    def encode_demonstration(self, demonstration: Demonstration) -> Example:
        """Prompt and answer as one sequence; the answer and its EOS are what is learned.

        Raises:
            DataError: together they are longer than the context.
        """
        return self.encode_demonstrations([demonstration])[0]

    def encode_demonstrations(self, demonstrations: Sequence[Demonstration]) -> list[Example]:
        """Many demonstrations at once; see :meth:`encode_demonstration`."""
        groups = self.encode_groups([d.prompt for d in demonstrations], [[d.completion] for d in demonstrations])
        return [
            Example(
                ids=[*group.prompt_ids, *group.completion_ids[0]],
                loss_mask=[False] * len(group.prompt_ids) + [True] * len(group.completion_ids[0]),
            )
            for group in groups
        ]

    def encode_groups(
        self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]
    ) -> list[EncodedGroup]:
        """Prompts, each with its answers, as answer groups.

        Raises:
            DataError: a prompt and one of its answers are longer than the context.
        """
        prompt_ids = self.encode_prompts(prompts)
        written = [c.text for group in completions for c in group if not c.token_ids]
        encoded = iter(self.encode_completions(written))
        groups = []
        for prompt, ids, answers in zip(prompts, prompt_ids, completions, strict=True):
            answer_ids = [list(c.token_ids) if c.token_ids else next(encoded) for c in answers]
            longest = max(map(len, answer_ids), default=0)
            if len(ids) + longest > self.context:
                raise DataError(
                    f"prompt {prompt.id} ({_excerpt(prompt.text)}) and its answer are {len(ids)} + {longest} tokens "
                    f"long, expected at most {self.context}, the context"
                )
            groups.append(EncodedGroup(prompt_ids=ids, completion_ids=answer_ids))
        return groups

    # Back to text

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, without special tokens and without space at the ends."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def decode_many(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """Many texts at once, which is faster."""
        texts = self.tokenizer.batch_decode([list(ids) for ids in sequences], skip_special_tokens=True)
        return [str(text).strip() for text in texts]

    def _render(self, turns: Sequence[tuple[str, str]]) -> str:
        if self._plain:  # what PLAIN_TEMPLATE says, without the template engine
            eos = self.tokenizer.eos_token
            return "".join(content + (str(eos) if role == "assistant" else "\n") for role, content in turns)
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except TemplateError as error:
            roles = ", ".join(role for role, _ in turns)
            raise DataError(
                f"the tokenizer's chat template refuses a conversation of {roles} ({_excerpt(turns[0][1])}): {error}"
            ) from error

    def _encode(self, texts: Sequence[str], *, literally: bool = False) -> list[list[int]]:
        """Ids of many texts; the name of a special token is that token, unless the text is taken ``literally``."""
        if isinstance(self.tokenizer, PreTrainedTokenizerFast):
            backend = self.tokenizer.backend_tokenizer
            backend.encode_special_tokens = literally
            return [found.ids for found in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        encoded = self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=literally)
        return [list(ids) for ids in encoded["input_ids"]]

    def _encode_guarded(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Like rendering and encoding, but names of special tokens inside the messages are mere text."""
        names: list[str] = []

        def stand_in(match: re.Match[str]) -> str:
            names.append(match.group())
            return f"{_OPEN}{len(names) - 1}{_CLOSE}"

        rendered = self._render([(role, self._special.sub(stand_in, content)) for role, content in turns])
        ids = list(self._start) if self._plain else []
        for place, piece in enumerate(re.split(f"{_OPEN}(\\d+){_CLOSE}", rendered)):
            is_name = place % 2 == 1
            ids += self._encode([names[int(piece)] if is_name else piece], literally=is_name)[0]
        return ids


def _start_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The beginning-of-sequence token, if this tokenizer puts one before plain text by itself."""
    bos = tokenizer.bos_token_id
    opening = list(tokenizer("a")["input_ids"])[:1]
    return opening if bos is not None and opening == [bos] and bos != tokenizer.eos_token_id else []


def _excerpt(text: str, length: int = 40) -> str:
    return repr(text if len(text) <= length else text[:length] + "...")
