"""Sampling from a server: any that speaks OpenAI's protocol, such as vLLM, llama.cpp, Ollama or a hosted model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any

from heed.errors import ConfigError, EndpointError
from heed.generation.posting import HOPELESS, Poster, Refused, check_address, excerpt
from heed.records import Completion, Json, Prompt, StopReason, content_id
from heed.roles import Decoding


class OpenAISampler:
    """Plays ``Sampler`` with a model behind an OpenAI-compatible endpoint.

    Completions carry text only: such servers report no token ids, and log-probabilities of another distribution than
    the one they sample from. The first completion of each response has the tokens it took, where the server says, as
    ``meta["usage"]``. ``top_k`` and ``min_new_tokens`` are extensions that vLLM understands; they are sent only
    where they are asked for.

    Args:
        base_url: up to and including the version, such as ``"http://localhost:8000/v1"``.
        model: the name by which the server knows the model.
        api_key: sent as a bearer token.
        template: text of a prompt, such as ``Codec.render``, for a model without a chat template on its server; it is
            then asked by ``/completions`` instead of ``/chat/completions``.
        policy_name: what completions say they come from; the model's name when left empty.
        parallel: requests under way at once.
        attempts: how often a request is made before it is given up.
        timeout_seconds: of one attempt.
        sleep: waits so many seconds between attempts.

    Raises:
        ConfigError: the address is not one of HTTP.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        template: Callable[[Prompt], str] | None = None,
        policy_name: str = "",
        parallel: int = 16,
        attempts: int = 5,
        timeout_seconds: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_address(base_url, "base_url")
        if parallel < 1 or attempts < 1 or timeout_seconds <= 0:
            raise ConfigError(
                f"parallel is {parallel}, attempts is {attempts} and timeout_seconds is {timeout_seconds}, expected at "
                "least 1, at least 1, and more than 0"
            )
        self.url = base_url.rstrip("/") + ("/completions" if template else "/chat/completions")
        self.model, self.template, self.policy_name = model, template, policy_name or model
        self.parallel = parallel
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._poster = Poster(self.url, headers, attempts=attempts, timeout_seconds=timeout_seconds, sleep=sleep)

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each prompt.

        Raises:
            EndpointError: a prompt could not be answered; :meth:`try_sample` gives the others.
        """
        outcomes = self.try_sample(prompts, n, decoding)
        failed = [outcome for outcome in outcomes if isinstance(outcome, EndpointError)]
        if failed:
            raise EndpointError(f"{len(failed)} of {len(prompts)} prompts got no answer; the first: {failed[0]}")
        return [outcome for outcome in outcomes if not isinstance(outcome, EndpointError)]

    def try_sample(
        self, prompts: Sequence[Prompt], n: int, decoding: Decoding
    ) -> list[list[Completion] | EndpointError]:
        """For each prompt its ``n`` completions, or why there are none.

        Once the server has said what it would say to every request (a wrong key, an unknown model), the prompts left
        are not sent.
        """
        hopeless = Event()

        def one(prompt: Prompt) -> list[Completion] | EndpointError:
            if hopeless.is_set():
                return EndpointError(f"prompt {prompt.id}: not sent, as {self.url} refuses all requests")
            try:
                return self._answers(prompt, n, decoding)
            except Refused as error:
                if error.status in HOPELESS:
                    hopeless.set()
                return EndpointError(f"prompt {prompt.id}: {error}")
            except EndpointError as error:
                return EndpointError(f"prompt {prompt.id}: {error}")

        with ThreadPoolExecutor(max_workers=self.parallel) as pool:
            return list(pool.map(one, prompts))

    def _answers(self, prompt: Prompt, n: int, decoding: Decoding) -> list[Completion]:
        """Ask until there are ``n`` answers: some servers give only one at a time."""
        answers: list[Completion] = []
        while len(answers) < n:
            body = self._body(prompt, n - len(answers), decoding, asked=len(answers))
            response = self._poster.post(body)
            choices = response.get("choices")
            if not isinstance(choices, list) or not choices:
                raise EndpointError(f"{self.url} answered without choices")
            made = [self._completion(choice) for choice in choices[: n - len(answers)]]
            answers += [replace(made[0], meta=_usage(response)), *made[1:]]
        return answers

    def _body(self, prompt: Prompt, n: int, decoding: Decoding, asked: int) -> dict[str, Any]:
        seed = int(content_id(decoding.seed, prompt.id, asked), 16) % 2**31
        body: dict[str, Any] = {
            "model": self.model,
            "n": n,
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": seed,
        }
        if decoding.top_k:
            body["top_k"] = decoding.top_k
        if decoding.min_new_tokens:
            body["min_tokens"] = decoding.min_new_tokens
        if decoding.stop:
            body["stop"] = list(decoding.stop)
        if self.template:
            return {**body, "prompt": self.template(prompt)}
        return {**body, "messages": [{"role": m.role, "content": m.content} for m in prompt.messages]}

    def _completion(self, choice: Any) -> Completion:
        """One choice of the response as a record."""
        try:
            text = choice["text"] if self.template else choice["message"]["content"]
            reason, detail = choice["finish_reason"], choice.get("stop_reason")
        except (KeyError, TypeError, AttributeError) as error:
            raise EndpointError(f"{self.url} answered with a choice of another form: {excerpt(choice)}") from error
        reasons: Mapping[object, StopReason] = {
            "length": "length",
            "stop": "stop" if isinstance(detail, str) else "eos",
        }
        if not isinstance(text, str) or reason not in reasons:
            raise EndpointError(f"{self.url} ended an answer with {reason!r} and content {excerpt(text)}")
        return Completion(text=text.strip(), stop=reasons[reason], policy=self.policy_name)


def _usage(response: Mapping[str, Any]) -> dict[str, Json]:
    """``{"usage": {"prompt_tokens", "completion_tokens"}}`` of a response that says, of one request in all."""
    usage = response.get("usage")
    names = ("prompt_tokens", "completion_tokens")
    if not isinstance(usage, dict) or not all(isinstance(usage.get(name), int) for name in names):
        return {}
    return {"usage": {name: usage[name] for name in names}}
