"""Forms: what labelers are asked, as data, and the one way in which what they answer is checked.

A form is a list of questions about the item as a whole or about each candidate answer. Pages are drawn from it, and
:func:`check_answers` turns what a page sends into :class:`Answers` or says which question is not answered as it asks.
Nothing is ever filled in on a labeler's behalf: a question that was not touched is not answered.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from heed.errors import DataError, nearest

TaskKind = Literal["demonstration", "prompt", "grade", "rank", "compare", "chat", "edit", "sensitive", "survey"]
"""What a labeler does: decides which page is drawn. ``grade`` is grading each answer, then ranking them all."""
QuestionKind = Literal["answer", "text", "likert", "flag", "choice", "choices", "examples", "tiers", "strength"]
Value: TypeAlias = "bool | int | str | tuple[str, ...] | tuple[tuple[str, str], ...]"
LETTERS: Final = "ABCDEFGHI"
"""Names of the candidates on a page, in the order in which they are shown; K is at most nine."""
MAX_TEXT: Final = 20_000
"""Characters in one text, unless its question says otherwise."""

OVERALL: Final = "overall"
STRENGTH: Final = "strength"
EDIT: Final = "edit"
DEMONSTRATION: Final = "demonstration"
RANKING: Final = "ranking"
PROMPT: Final = "prompt"

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_NO_CHARACTER = re.compile("[\ufdd0-\ufdef\ufffe\uffff]")
_HIDDEN = re.compile(  # what turns the direction of text around, then what takes no place in it; not what joins letters
    "[\u202a-\u202e\u2066-\u2069"
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
    "|(?<![\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"  # variants are for Han alone
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Frozen):
    """One question of a form."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    kind: QuestionKind
    label: str
    help: str = ""
    scope: Literal["item", "candidate"] = "item"
    low: int = 1
    high: int = 7
    """Ends of a Likert scale; of a strength, which runs from ``-high`` (left) to ``high`` (right), only ``high``."""
    low_label: str = ""
    high_label: str = ""
    choices: tuple[str, ...] = ()
    required: bool = True
    nullable: bool = False
    """A flag that may not apply, such as "satisfies the constraint" where there is none."""
    ties: bool = True
    """Whether tiers or a strength may say that answers are equally good."""
    max_chars: int = MAX_TEXT


class Form(_Frozen):
    """What is asked about an item. A form that has been used never changes; a changed one is a new version."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    task: TaskKind
    title: str
    instruction: str = ""
    questions: tuple[Question, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_answered(self) -> Form:
        names = [question.name for question in self.questions]
        if len(set(names)) < len(names):
            raise ValueError(f"two questions are called {next(n for n in names if names.count(n) > 1)!r}")
        for question in self.questions:
            wrong = _wrong_with(question)
            if wrong:
                raise ValueError(f"question {question.name!r} {wrong}")
        orders = [question.name for question in self.questions if question.kind in ("tiers", "strength")]
        if len(orders) > 1:
            raise ValueError(f"{orders[0]!r} and {orders[1]!r} both put the answers in an order; ask for it once")
        needed = {"demonstration": DEMONSTRATION, "edit": EDIT, "prompt": PROMPT}.get(self.task)
        if needed is not None and not any(q.name == needed and q.required for q in self.questions):
            raise ValueError(f"a form of the task {self.task!r} needs a question {needed!r} that must be answered")
        if self.task != "edit" and EDIT in names:
            raise ValueError(f"question {EDIT!r} belongs to the task 'edit', and this form's task is {self.task!r}")
        return self

    def of_scope(self, scope: Literal["item", "candidate"]) -> tuple[Question, ...]:
        """The questions about the item, or those about each candidate."""
        return tuple(question for question in self.questions if question.scope == scope)

    def question(self, name: str) -> Question:
        """The question of a name; a ``KeyError`` if there is none."""
        for question in self.questions:
            if question.name == name:
                return question
        raise KeyError(name)

    @property
    def ranks(self) -> bool:
        """Whether an answer places the candidates in an order."""
        return any(question.kind in ("tiers", "strength") for question in self.questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A form as one labeler filled it in, checked. Candidates are in the order in which they were shown."""

    item: Mapping[str, Value] = field(default_factory=dict)
    candidates: tuple[Mapping[str, Value], ...] = ()
    tiers: tuple[int, ...] = ()
    """One for each candidate, dense, 0 is best; empty where the form does not rank."""
    note: str = ""


def _wrong_with(question: Question) -> str:
    """What makes a question one that cannot be asked; nothing if it can."""
    if question.kind in ("choice", "choices"):
        if len(question.choices) < 2:
            return f"offers {len(question.choices)} choices, expected 2 or more"
        if len(set(question.choices)) < len(question.choices) or not all(one.strip() for one in question.choices):
            return "offers the same choice twice, or an empty one"
    if question.kind == "likert" and question.low >= question.high:
        return f"runs from {question.low} to {question.high}"
    if question.kind == "strength" and question.high < 1:
        return f"runs from {-question.high} to {question.high}, expected at least 1"
    if question.kind in ("tiers", "strength", "examples") and question.scope != "item":
        return f"is about one answer; {question.kind} are about the item"
    if question.max_chars < 1:
        return f"allows {question.max_chars} characters"
    if question.name == OVERALL:
        whole = question.kind == "likert" and question.scope == "candidate" and 1 <= question.low < question.high <= 7
        return "" if whole else "is a rating: a likert scale about each answer, within 1 to 7"
    kind = {DEMONSTRATION: "answer", EDIT: "answer", PROMPT: "text"}.get(question.name)
    if kind is not None and (question.kind != kind or question.scope != "item"):
        return f"is of kind {question.kind!r}; what has this name is of kind {kind!r}, about the item"
    return ""


def parse_form(definition: object, where: str = "form") -> Form:
    """A form from its definition.

    Raises:
        DataError: what is wrong with it, and where.
    """
    try:
        return Form.model_validate(definition)
    except ValidationError as error:
        first = min(
            error.errors(), key=lambda one: one["type"] != "extra_forbidden"
        )  # a misspelt name explains the rest
        place = ".".join(str(part) for part in first["loc"]) or "the form"
        known = [*Form.model_fields, *Question.model_fields]
        hint = nearest(str(first["loc"][-1]), known) if first["type"] == "extra_forbidden" else ""
        raise DataError(f"{where}: {place}: {first['msg']}{hint}") from error


def check_answers(form: Form, payload: object, num_candidates: int) -> Answers:
    """What a page sent, checked against its form.

    ``payload`` is ``{"item": {question: value}, "candidates": {"A": {question: value}, ...}, "tiers": {"A": 0, ...},
    "note": text}``; parts that a form does not ask for may be missing.

    Raises:
        DataError: a question is unanswered, unknown, or answered with what it does not offer.
    """
    if not isinstance(payload, Mapping):
        raise DataError("the answer is not a JSON object")
    unknown = payload.keys() - {"item", "candidates", "tiers", "note"}
    if unknown:
        part = min(map(str, unknown))[:80]
        raise DataError(f"the answer has an unknown part {part!r}; expected item, candidates, tiers, note")
    letters = LETTERS[:num_candidates]
    item = _check_part(form.of_scope("item"), payload.get("item") or {}, "")
    given = payload.get("candidates") or {}
    if not isinstance(given, Mapping) or not given.keys() <= set(letters):
        raise DataError(f"candidates are {str(given)[:80]}, expected answers about {', '.join(letters) or 'none'}")
    about = form.of_scope("candidate")
    candidates = tuple(_check_part(about, given.get(letter) or {}, f" of answer {letter}") for letter in letters)
    tiers: tuple[int, ...] = ()
    for question in form.questions:
        if question.kind == "tiers" and (question.required or payload.get("tiers")):
            tiers = _check_tiers(question, payload.get("tiers"), letters)
        elif question.kind == "strength" and question.name in item:
            strength = item[question.name]
            assert isinstance(strength, int)
            tiers = (0, 0) if strength == 0 else (0, 1) if strength < 0 else (1, 0)
    note = payload.get("note") or ""
    if not isinstance(note, str):
        raise DataError("the note is not text")
    return Answers(item=item, candidates=candidates if about else (), tiers=tiers, note=clean_text(note, "note"))


def clean_text(text: str, where: str, max_chars: int = MAX_TEXT) -> str:
    """A labeler's text as it may be stored and trained on: normal line ends, no control characters, NFC.

    Raises:
        DataError: it is too long, or hides invisible characters or marks that turn the direction of text around.
    """
    text = unicodedata.normalize("NFC", _LINE_END.sub("\n", text))
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Co"))
    text = _NO_CHARACTER.sub("", text)
    if len(text) > max_chars:
        raise DataError(f"{where} is {len(text):,} characters long, expected at most {max_chars:,}")
    hidden = _HIDDEN.search(text)
    if hidden:
        raise DataError(
            f"{where} holds an invisible character (U+{ord(hidden[0]):04X} "
            f"{unicodedata.name(hidden[0], 'unnamed')}) at place {hidden.start() + 1}; remove it"
        )
    return text


def _check_part(questions: Sequence[Question], given: object, about: str) -> dict[str, Value]:
    if not isinstance(given, Mapping):
        raise DataError(f"the answers{about} are not a JSON object")
    names = {question.name for question in questions}
    for name in given:
        if name not in names:
            name = str(name)[:80]
            raise DataError(f"the form has no question {name!r}{about}.{nearest(name, names)}")
    checked: dict[str, Value] = {}
    for question in questions:
        if question.kind == "tiers":
            continue
        value = given.get(question.name)
        where = f"question {question.name!r}{about}"
        if value is None or value == "" or value == []:
            if question.required and not (question.nullable and question.name in given):
                raise DataError(f"{where} is not answered")
            continue
        checked[question.name] = _check_value(question, value, where)
    return checked


def _check_value(question: Question, value: Any, where: str) -> Value:
    whole = isinstance(value, int) and not isinstance(value, bool)
    match question.kind:
        case "flag" if isinstance(value, bool):
            return value
        case "likert" if whole and question.low <= value <= question.high:
            return int(value)
        case "strength" if whole and abs(value) <= question.high and (value or question.ties):
            return int(value)
        case "choice" if value in question.choices:
            return str(value)
        case "choices" if isinstance(value, list) and all(one in question.choices for one in value):
            return tuple(dict.fromkeys(value))
        case "answer" | "text" if isinstance(value, str):
            text = clean_text(value, where, question.max_chars)
            if not text.strip():
                raise DataError(f"{where} holds nothing but spaces")
            return text.strip() if question.kind == "answer" else text
        case "examples" if isinstance(value, list):
            return _check_examples(value, where, question.max_chars)
    raise DataError(f"{where}: {str(value)[:80]!r} is not an answer; expected {_expected(question)}")


def _check_examples(value: list[Any], where: str, max_chars: int) -> tuple[tuple[str, str], ...]:
    examples = []
    for number, one in enumerate(value, 1):
        if not (isinstance(one, Mapping) and one.keys() == {"query", "response"}):
            raise DataError(f"{where}: example {number} needs a query and a response")
        pair = tuple(
            clean_text(str(one[key]), f"{where}, example {number}", max_chars) for key in ("query", "response")
        )
        if not all(text.strip() for text in pair):
            raise DataError(f"{where}: example {number} needs text in its query and its response")
        examples.append((pair[0], pair[1]))
    return tuple(examples)


def _check_tiers(question: Question, given: object, letters: str) -> tuple[int, ...]:
    if not isinstance(given, Mapping):
        raise DataError("the ranking is not there: expected a tier for every answer")
    missing = [letter for letter in letters if letter not in given]
    if missing or len(given) != len(letters):
        placed = ", ".join(map(str, given))[:80] or "nothing"
        raise DataError(f"the ranking places {placed}, expected each of {letters}")
    tiers = [given[letter] for letter in letters]
    if not all(isinstance(tier, int) and not isinstance(tier, bool) for tier in tiers):
        raise DataError(f"the ranking has tiers {str(tiers)[:80]}, expected whole numbers")
    order = sorted(set(tiers))
    if not question.ties and len(order) < len(tiers):
        raise DataError("the ranking has a tie, and this form allows none")
    return tuple(order.index(tier) for tier in tiers)


def _expected(question: Question) -> str:
    return {
        "flag": "yes or no",
        "likert": f"a whole number from {question.low} to {question.high}",
        "strength": f"a whole number from -{question.high} to {question.high}" + ("" if question.ties else ", not 0"),
        "choice": f"one of {', '.join(question.choices)}",
        "choices": f"some of {', '.join(question.choices)}",
        "examples": "pairs of query and response",
    }.get(question.kind, "text")
