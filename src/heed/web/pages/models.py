"""Looking at models: what there is and what it was made from, talking to one, two side by side blind, curves, samples.

Nothing said here becomes a label: a lead who looks around is not at work, and knows too much to be asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from heed.errors import DataError, HeedError, WorkspaceError
from heed.files import read_json
from heed.forms import clean_text
from heed.records import Message, Prompt
from heed.roles import Decoding
from heed.web import charts
from heed.web.pages.lead_common import after, one_of
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.generation.desk import ModelDesk
    from heed.web.visit import Visit

MAX_MESSAGE: Final = 8000
MAX_TURNS: Final = 40
MAX_ROWS: Final = 20_000
"""Lines of a metrics file that a page reads."""
MAX_POINTS: Final = 300
PAGE: Final = 20
LENGTHS: Final = (16, 48, 128, 512)
"""Longest answers on offer, in tokens."""


def models(visit: Visit) -> Response:
    """Every model of the workspace."""
    cards = visit.studio.store.models()
    made = {path.parent.name for path in visit.studio.workspace.models_dir.glob("*/heed.json")}
    return visit.page("models/models.html", title="Models", cards=cards, made=made)


def model(visit: Visit) -> Response:
    """One model: what it was made from, and what was made from it."""
    name = visit.path["name"]
    store = visit.studio.store
    try:
        lineage = store.lineage(name)
    except WorkspaceError as error:
        raise NotFound from error
    later = [card for card in store.models() if card.parent == name or name in card.uses]
    names = {account.id: account.name for account in visit.studio.people.accounts()}
    return visit.page(
        "models/model.html", title=name, card=lineage.models[0], lineage=lineage, later=later, names=names
    )


def chat_form(visit: Visit) -> Response:
    """A model to talk to."""
    names = _desk(visit).models()
    chosen = one_of(visit, "model", names, names[0] if names else "")
    return _chat_page(visit, names, chosen, [], "")


def chat(visit: Visit) -> Response:
    """One more turn. The conversation travels with the page and is not kept."""
    desk, form = _desk(visit), visit.form
    names = desk.models()
    chosen = form.get("model", "")
    turns = [] if form.get("anew") else _history(form.get("history", "[]"))
    text = clean_text(form.get("message", ""), "the message", MAX_MESSAGE).strip()
    if not text:
        return _chat_page(visit, names, chosen, turns, "" if form.get("anew") else "Write something first.")
    asked = [*turns, Message(role="user", content=text)]
    try:
        (answer,) = desk.sampler(chosen).sample([Prompt(messages=tuple(asked))], 1, _decoding(form))[0]
    except HeedError as error:
        return _chat_page(visit, names, chosen, turns, str(error), text)
    return _chat_page(visit, names, chosen, [*asked, Message(role="assistant", content=answer.text or "(nothing)")], "")


def compare_form(visit: Visit) -> Response:
    """Two models to set side by side."""
    names = _desk(visit).models()
    return _compare_page(visit, names, (*names, "", "")[:2], error="")


def compare(visit: Visit) -> Response:
    """Two answers without names; then, once one is chosen, the names."""
    desk, form = _desk(visit), visit.form
    names = desk.models()
    pair = (form.get("first", ""), form.get("second", ""))
    tally = [
        int(part) if part.isdecimal() and len(part) < 6 else 0 for part in (form.get("tally", "") + ",,").split(",")
    ][:3]
    text = clean_text(form.get("message", ""), "the prompt", MAX_MESSAGE).strip()
    salt = form.get("salt", "")[:64]
    if form.get("choice") in ("left", "right", "tie") and salt:
        swapped = _swapped(visit, salt)
        winner = {"left": int(swapped), "right": int(not swapped), "tie": 2}[form["choice"]]
        tally[winner] += 1
        shown = [form.get("left", "")[:MAX_MESSAGE], form.get("right", "")[:MAX_MESSAGE]]
        revealed = pair[::-1] if swapped else pair
        return _compare_page(visit, names, pair, text=text, shown=shown, revealed=revealed, tally=tally)
    if not text:
        return _compare_page(visit, names, pair, tally=tally, error="Write a prompt first.")
    salt = hashlib.sha256(f"{visit.studio.clock().isoformat()} {text}".encode()).hexdigest()[:24]
    try:
        prompt, decoding = Prompt.from_text(text), _decoding(form)
        answers = [desk.sampler(name).sample([prompt], 1, decoding)[0][0].text for name in pair]
    except HeedError as error:
        return _compare_page(visit, names, pair, text=text, tally=tally, error=str(error))
    shown = answers[::-1] if _swapped(visit, salt) else answers
    return _compare_page(visit, names, pair, text=text, shown=shown, salt=salt, tally=tally)


def runs(visit: Visit) -> Response:
    """Every stage that was begun."""
    listed = []
    for started in sorted(
        visit.studio.workspace.runs_dir.glob("*/started.json"), key=lambda path: -path.stat().st_mtime
    ):
        record = started.parent / "stage.json"
        content = read_json(record) if record.exists() else {}
        assert isinstance(content, Mapping)
        listed.append({"name": started.parent.name, "done": record.exists(), **content})
    report = (visit.studio.workspace.root / "report.html").exists()
    return visit.page("models/runs.html", title="Runs", runs=listed, report=report)


def run(visit: Visit) -> Response:
    """The curves of one run."""
    name = visit.path["name"]
    directory = visit.studio.workspace.runs_dir / name
    if "/" in name or name.startswith(".") or not (directory / "started.json").is_file():
        raise NotFound
    record = directory / "stage.json"
    content = read_json(record) if record.exists() else {}
    assert isinstance(content, Mapping)
    curves = _curves(directory / "metrics.jsonl")
    drawn = [(label, charts.line_chart([charts.Series(name=label, points=points)], label=f"{label} by step",
                                       x_label="step", numbers=False)) for label, points in curves.items()]  # fmt: skip
    listed: Any = content.get("figures") or {}
    figures = {key: value for key, value in listed.items() if isinstance(value, int | float | str)}
    return visit.page("models/run.html", title=name, name=name, record=content, figures=figures, curves=drawn)


def samples(visit: Visit) -> Response:
    """Answers in the store, the newest first."""
    policies = visit.studio.samples.policies()
    policy = one_of(visit, "model", policies, next((one for one in policies if one), ""))
    page = visit.studio.samples.page(policy, after(visit), PAGE)
    more = page[-1].id if len(page) == PAGE else None
    return visit.page("models/samples.html", title="Samples", policies=policies, policy=policy, samples=page, more=more)


def _desk(visit: Visit) -> ModelDesk:
    if visit.studio.desk is None:
        raise DataError("this studio was started without models to talk to")
    return visit.studio.desk


def _history(text: str) -> list[Message]:
    """A conversation that came back with a form: checked like anything from outside."""
    try:
        turns = json.loads(text)
        messages = [
            Message(role=role, content=clean_text(content, "a message", MAX_MESSAGE)) for role, content in turns
        ]
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError("the conversation that came with the page cannot be read; begin a new one") from error
    if len(messages) > MAX_TURNS or any(one.role != ("user", "assistant")[i % 2] for i, one in enumerate(messages)):
        raise DataError("the conversation that came with the page is too long or out of order; begin a new one")
    return messages


def _decoding(form: Mapping[str, str]) -> Decoding:
    length, temperature = form.get("length", "48"), form.get("temperature", "1")
    if length not in map(str, LENGTHS) or temperature not in ("0", "0.7", "1"):
        raise DataError("the length or the temperature is none of those on offer")
    seed = int(hashlib.sha256((form.get("history", "") + form.get("message", "")).encode()).hexdigest()[:8], 16)
    return Decoding(max_new_tokens=int(length), temperature=float(temperature), seed=seed)


def _swapped(visit: Visit, salt: str) -> bool:
    """Which side is which: settled by the session's secret, so that the page does not hold the answer."""
    return hashlib.sha256(f"{visit.csrf} {salt}".encode()).digest()[0] % 2 == 1


def _chat_page(
    visit: Visit, names: Sequence[str], chosen: str, turns: Sequence[Message], error: str, message: str = ""
) -> Response:
    history = json.dumps([[turn.role, turn.content] for turn in turns])
    return visit.page(
        "models/chat.html", title="Chat", names=names, chosen=chosen, turns=turns, history=history, error=error,
        message=message, lengths=LENGTHS, form=visit.form,
    )  # fmt: skip


def _compare_page(
    visit: Visit,
    names: Sequence[str],
    pair: Sequence[str],
    *,
    text: str = "",
    shown: Sequence[str] = (),
    revealed: Sequence[str] = (),
    salt: str = "",
    tally: Sequence[int] = (0, 0, 0),
    error: str = "",
) -> Response:
    return visit.page(
        "models/compare.html", title="Side by side", names=names, pair=pair, text=text, shown=shown,
        revealed=revealed, salt=salt, tally=tally, error=error, lengths=LENGTHS, form=visit.form,
    )  # fmt: skip


def _curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Figure to (step, value), thinned out; figures that never change are left out."""
    if not path.exists():
        return {}
    curves: dict[str, list[tuple[float, float]]] = {}
    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(MAX_ROWS), file, strict=False):
            try:
                row = json.loads(line)
            except ValueError:  # the last line of a run that is being written
                break
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                    curves.setdefault(name, []).append((float(row["step"]), float(value)))
    return {
        name: points[:: max(1, len(points) // MAX_POINTS)]
        for name, points in curves.items()
        if len({value for _, value in points}) > 1
    }


ROUTES = (
    Route(method="GET", path="/models", endpoint=models, who="lead"),
    Route(method="GET", path="/models/chat", endpoint=chat_form, who="lead"),
    Route(method="POST", path="/models/chat", endpoint=chat, who="lead", body="form"),
    Route(method="GET", path="/models/compare", endpoint=compare_form, who="lead"),
    Route(method="POST", path="/models/compare", endpoint=compare, who="lead", body="form"),
    Route(method="GET", path="/models/{name:path}", endpoint=model, who="lead"),
    Route(method="GET", path="/runs", endpoint=runs, who="lead"),
    Route(method="GET", path="/runs/{name}", endpoint=run, who="lead"),
    Route(method="GET", path="/samples", endpoint=samples, who="lead"),
)
