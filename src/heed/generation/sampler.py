"""A local model as a Sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedModel

from heed.data.chat import Codec
from heed.generation.engine import Engine, Generated
from heed.records import Completion, Prompt
from heed.roles import Decoding


class LocalSampler:
    """Plays ``Sampler`` with a model in this process.

    Args:
        model: the policy.
        codec: its tokenizer, chat template and context.
        policy_name: what completions say they come from.
        max_slots: answers under way at once; bounds memory and changes no result.
    """

    def __init__(self, model: PreTrainedModel, codec: Codec, policy_name: str, max_slots: int = 256) -> None:
        self.codec = codec
        self.policy_name = policy_name
        self.engine = Engine(model, eos_id=codec.eos_id, max_slots=max_slots, context=codec.context)

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each prompt, with their tokens as sampled, log-probabilities and stop reasons.

        A stop string is not part of the text, but the tokens that spelled it are among the tokens.

        Raises:
            DataError: a prompt leaves no room for an answer.
        """
        return self.go_on(self.codec.encode_prompts(prompts), n, decoding)

    def go_on(self, prompt_ids: Sequence[Sequence[int]], n: int, decoding: Decoding) -> list[list[Completion]]:
        """Like :meth:`sample`, from token ids: what a model makes of plain text, without a chat template."""
        ends = self._spells(decoding.stop) if decoding.stop else None
        answers = self.engine.generate(prompt_ids, n, decoding, ends=ends)
        if decoding.stop:
            texts = [_before(self._text(answer.token_ids), decoding.stop).strip() for row in answers for answer in row]
        else:
            texts = self.codec.decode_many([answer.token_ids for row in answers for answer in row])
        flat = iter(texts)
        return [[self._completion(answer, next(flat)) for answer in row] for row in answers]

    def _completion(self, answer: Generated, text: str) -> Completion:
        return Completion(
            text=text,
            token_ids=tuple(answer.token_ids),
            logprobs=tuple(answer.logprobs),
            stop=answer.stop,
            policy=self.policy_name,
        )

    def _text(self, token_ids: Sequence[int]) -> str:
        return str(self.codec.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def _spells(self, stop: Sequence[str]) -> Callable[[Sequence[int]], bool]:
        """Whether the text of some tokens has one of the stop strings at its end.

        It is asked after each token, so only the end is looked at: a token has a byte at least, and a character that
        the cut divides has four bytes at most.
        """
        longest = max(len(string.encode()) for string in stop) + 4

        def ends(token_ids: Sequence[int]) -> bool:
            text = self._text(token_ids[-longest:])
            return any(string in text for string in stop)

        return ends


def _before(text: str, stop: Sequence[str]) -> str:
    """``text`` up to the first stop string in it.

    >>> _before("One. Two.", ["Two", ". "])
    'One'
    """
    return text[: min((at for string in stop if (at := text.find(string)) >= 0), default=len(text))]
