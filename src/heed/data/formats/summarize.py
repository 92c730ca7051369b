"""OpenAI's summarize-from-feedback comparisons (Stiennon et al. 2020, arXiv 2009.01325, appendix B and C).

Each line is one worker's choice between two summaries of a Reddit post or a news article. The prompt is laid out as
the paper's models read it. The worker's confidence and the batch are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from heed.data.lines import Row, read_rows, write_rows
from heed.errors import DataError
from heed.records import Completion, Json, Message, Prompt, Ranking

SOURCE = "summarize-from-feedback"
_POST = "SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:"
_ARTICLE = "Article:\n{article}\n\nTL;DR:"
_POST_PARTS = re.compile(r"SUBREDDIT: r/(.*?)\n\nTITLE: (.*?)\n\nPOST: (.*)\n\nTL;DR:", re.DOTALL)
_ARTICLE_PARTS = re.compile(r"Article:\n(.*)\n\nTL;DR:", re.DOTALL)


def read(path: Path) -> Iterator[Ranking]:
    """Each choice as a ranking by the labeler ``"summarize-from-feedback/WORKER"``.

    Raises:
        DataError: a missing field, or a choice that names a summary which is not there.
    """
    for row in read_rows(path):
        summaries = row.rows("summaries")
        choice = row.integer("choice")
        if not 0 <= choice < len(summaries):
            raise row.error(f"field 'choice' names summary {choice}, but there are summaries 0 to {len(summaries) - 1}")
        tiers = [0 if index == choice else 1 for index in range(len(summaries))]
        prompt = _prompt(row, row.row("info"))
        completions = [_completion(summary) for summary in summaries]
        yield row.ranking(prompt, completions, tiers, labeler=f"{SOURCE}/{row.text_or('worker')}".rstrip("/"))


def write(path: Path, records: Iterable[object]) -> int:
    """Write each comparison that a ranking holds as one line; how many. Ties have no line."""
    return write_rows(path, (value for record in records for value in _lines(record)))


def _prompt(row: Row, info: Row) -> Prompt:
    if info.has("article"):
        text = _ARTICLE.format(article=info.text("article"))
    else:
        text = _POST.format(subreddit=info.text("subreddit"), title=info.text("title"), post=info.text("post"))
    meta = {"id": info.text("id")} if info.has("id") else {}
    messages = [Message(role="user", content=text)]
    return row.prompt(messages, source=SOURCE, category="summarization", split=row.text_or("split", "train"), meta=meta)


def _completion(summary: Row) -> Completion:
    meta = {"note": summary.text("note")} if summary.has("note") else {}
    return Completion(text=summary.text("text").strip(), policy=summary.text_or("policy"), meta=meta)


def _lines(record: object) -> Iterator[dict[str, Json]]:
    if not isinstance(record, Ranking):
        raise DataError(f"{SOURCE} holds rankings, a {type(record).__name__.lower()} cannot be written in it")
    for comparison in record.comparisons():
        answers = [comparison.chosen, comparison.rejected]
        if record.completions.index(answers[0]) > record.completions.index(answers[1]):
            answers.reverse()
        yield {
            "info": _info(record.prompt),
            "summaries": [
                {"text": f" {answer.text}", "policy": answer.policy, "note": answer.meta.get("note")}
                for answer in answers
            ],
            "choice": answers.index(comparison.chosen),
            "worker": record.labeler.removeprefix(f"{SOURCE}/"),
            "batch": "",
            "split": record.prompt.split,
            "extra": {},
        }


def _info(prompt: Prompt) -> dict[str, Json]:
    info: dict[str, Json] = {"id": prompt.meta.get("id") or prompt.id}
    if parts := _POST_PARTS.fullmatch(prompt.text):
        subreddit, title, post = parts.groups()
        return {**info, "post": post, "title": title, "subreddit": subreddit}
    if parts := _ARTICLE_PARTS.fullmatch(prompt.text):
        return {**info, "article": parts.group(1)}
    return {**info, "post": prompt.text, "title": "", "subreddit": ""}
