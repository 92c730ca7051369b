"""The comparison page: every figure is on it, no winner is wrong, and nothing a stranger wrote is more than text."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from heed.errors import DataError
from heed.reports.comparison_page import render_comparison, write_comparison
from reports.comparison_document import comparison_document

HOSTILE = "</title></style><script>alert('x')</script><img src=x onerror=alert(1)>"
HOSTILE += "\" onload='y' {{ 7 * 7 }} &amp; \x00\u202e\ud800"
TWELVE = ("base", *(f"model-{index}" for index in range(10)), "ppo-ptx")


class Page(HTMLParser):
    """Texts and elements of a page, as a browser sees them."""

    VOID = ("meta", "line", "rect", "circle", "polyline", "br", "img", "link", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += f" {data.strip()}"

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def cells(self, *words: str) -> list[str]:
        """The one row of a table whose first cell has all the words."""
        (row,) = [row for row in self.rows if row and all(word in row[0] for word in words)]
        return [re.sub(r"\s+", " ", cell).strip() for cell in row]


def show(document: dict[str, Any]) -> Page:
    return Page(render_comparison(document))


def headline(document: dict[str, Any]) -> str:
    html = render_comparison(document)
    found = re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)
    assert found
    return found.group(1)


def small(better: str = "high", value: float = 0.05, p_holm: float | None = 0.01) -> dict[str, Any]:
    """Two models on one task: ``new`` less ``old`` is ``value``."""
    figures = {
        "old": {"m": {"value": 0.3, "low": 0.28, "high": 0.32, "n": 400}},
        "new": {"m": {"value": 0.3 + value, "low": 0.28 + value, "high": 0.32 + value, "n": 400}},
    }
    low, high = value - 0.01, value + 0.01
    row = {"a": "new", "b": "old", "value": value, "low": low, "high": high, "n": 400, "p": 0.001, "p_holm": p_holm}
    return {
        "schema": 1,
        "baseline": "old",
        "models": [{"name": "old"}, {"name": "new"}],
        "preference": None,
        "tasks": [
            {
                "name": "task",
                "title": "The task",
                "group": "Group",
                "n": 400,
                "metrics": [{"name": "m", "title": "metric", "better": better, "percent": True}],
                "figures": figures,
                "differences": {"m": [row]},
            }
        ],
        "tests": {"family": 1, "method": "Holm", "false_positive_level": 0.05},
    }


# --- everything is there


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from leaves(one, (*path, str(index)))
    else:
        yield path, value


@pytest.mark.parametrize("names", [("sft", "ppo-ptx"), ("base", "sft", "ppo-ptx"), TWELVE], ids=len)
def test_every_figure_of_the_document_is_on_the_page(names: tuple[str, ...]) -> None:
    """Each estimate's value in one of the ways in which the page writes numbers, and each text as it is."""
    document = comparison_document(names)
    text = show(document).text
    missing = []
    for path, value in leaves(document):
        if isinstance(value, str):
            if path[-1] not in ("name", "better") and value.split("\n")[0] not in text:
                missing.append(path)
        elif isinstance(value, float) and path[-1] in ("value", "low", "high", "gap", "better", "worse", "ties"):
            shown = (0,) if "elo" in path else (1, 2, 3)
            ways = {f"{scale * value:.{digits}f}".replace("-", "−") for scale in (1, 100) for digits in shown}
            if path[-1] in ("value", "low", "high") and "differences" in path:
                ways = {way if way.startswith("−") else f"+{way}" for way in ways}
            if not any(way in text or way.removeprefix("−") == "0.0" for way in ways):
                missing.append(path)
        elif isinstance(value, int) and path[-1] in ("n", "family", "seed", "failures") and str(value) not in text:
            missing.append(path)
    assert not missing


def test_a_row_has_each_models_figure_interval_counts_and_mark() -> None:
    page = show(comparison_document())
    # gain 0.14 * 2 / 3 of the third model over 31.2 %, 0.14 / 3 of the second
    cells = page.cells("TruthfulQA, questions and answers", "true", "n 817", "higher is better")
    assert cells[1:] == ["31.2 % 30.0–32.4", "35.9 % 34.7–37.1 better +4.7", "40.5 % 39.3–41.7 better +9.3"]
    assert page.cells("WMT 2015", "BLEU")[3] == "33.77 32.46–35.08 worse −1.72"
    assert page.cells("RealToxicityPrompts, respectful", "lower is better")[3].endswith("12 failed")
    assert page.cells("SQuAD 2.0", "F1")[1].endswith("7 cut")


def test_how_it_was_measured_is_told() -> None:
    text = show(comparison_document()).text
    for told in (
        "33 differences, Holm's correction, 5 % for any false finding",
        "DROP: no file drop_dataset_dev.json.",
        "base-3f9a5c0d1e",
        "export-of-sft",
        "Judged by a classifier, not by people.",
        "1 h 15 min",
        "different layouts (plain and chat)",
        "The answer shown first wins 56.0 % (53.0–59.0) of verdicts: it prefers a place",
    ):
        assert told in text


def test_what_people_said_of_single_answers_is_there() -> None:
    page = show(comparison_document())
    assert page.cells("Grade, mean")[1:] == ["4.10 3.89 to 4.31", "4.40 4.19 to 4.61", "4.70 4.49 to 4.91"]
    assert page.cells("hallucination")[1] == "31.0 % 26.0–36.0"


def test_calibration_is_the_weighted_distance_from_the_line() -> None:
    document = small()
    # (10 * |0.9 - 0.6| + 30 * |0.5 - 0.5|) / 40 = 0.075
    bins = [{"confidence": 0.9, "accuracy": 0.6, "n": 10}, {"confidence": 0.5, "accuracy": 0.5, "n": 30}]
    document["tasks"][0]["reliability"] = {"new": bins, "old": []}
    html = render_comparison(document)
    assert "ECE 0.075, n 40" in html
    assert html.count("<circle") == 2
    assert 'points="50.0,50.0 90.0,40.0 "' in html


# --- no wrong winner


@pytest.mark.parametrize(
    ("better", "value", "word"),
    [
        ("high", 0.05, "better"),
        ("high", -0.05, "worse"),
        ("low", 0.05, "worse"),
        ("low", -0.05, "better"),
        ("none", 0.05, "higher"),
        ("none", -0.05, "lower"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_direction_is_the_sign_and_which_way_is_better(better: str, value: float, word: str, turned: bool) -> None:
    """The same page, whether the difference is written as new less old or as old less new."""
    document = small(better, value)
    if turned:
        row = document["tasks"][0]["differences"]["m"][0]
        row |= {"a": "old", "b": "new", "value": -value, "low": -row["high"], "high": -row["low"]}
    page, sign = show(document), "+" if value > 0 else "−"
    assert page.cells("The task", "n 400")[2].endswith(f"{word} {sign}5.0")
    assert f"{sign}4.0" in page.text and f"{sign}6.0" in page.text
    told = headline(document)
    if better == "none":
        assert told.startswith("Nothing is shown to have got better or worse")
        assert "Changed, though neither way is better: The task, metric." in page.text
    else:
        assert told.startswith(f"new is {word} than old at The task ({sign}5.0 points)")
        assert f"nothing is shown to have got {'worse' if word == 'better' else 'better'}" in told


def test_the_better_side_of_the_figure_is_the_right_one() -> None:
    """A dot of a metric of which less is better stands right of the middle when it falls."""
    places = {
        value: float(re.findall(r'<u style="left:([\d.]+)%"', render_comparison(small("low", value)))[-1])
        for value in (-0.05, 0.05)
    }
    assert places[-0.05] > 50 > places[0.05]
    assert places[-0.05] - 50 == pytest.approx(50 - places[0.05])


@pytest.mark.parametrize(
    ("p_holm", "marked"), [(0.049, True), (0.05, True), (0.0501, False), (1.0, False), (None, False)]
)
def test_only_what_survives_the_correction_is_marked(p_holm: float | None, marked: bool) -> None:
    """Whatever the uncorrected p and the interval say."""
    document = small(p_holm=p_holm)
    assert ("better +5.0" in show(document).cells("The task", "n 400")[2]) is marked
    assert headline(document).startswith("new is better than old") is marked


def test_when_nothing_survives_the_sentence_says_so() -> None:
    document = comparison_document()
    for task in document["tasks"]:
        for rows in task["differences"].values():
            for row in rows:
                row["p_holm"] = None if row["p_holm"] is None else 1.0
    for row in document["preference"]["differences"]:
        row["p_holm"] = 0.4
    told = headline(document)
    assert told.startswith("Nothing is shown to have got better or worse: no difference between ppo-ptx and base")
    page = show(document)
    assert not [row for row in page.rows for cell in row if re.search(r"(better|worse) [+−]", cell)]
    assert "11 figures are not decided by these data, which does not mean equal." in page.text


def test_without_tests_nothing_is_claimed() -> None:
    document = small(p_holm=None)
    assert headline(document) == (
        "No difference between new and old was tested: nothing is shown to be better or worse."
    )
    document["models"] = document["models"][:1]
    assert headline(document) == "There is one model only: nothing was compared."


def test_preference_has_the_direction_of_its_win_rate() -> None:
    document = small(p_holm=1.0)
    rate = {"value": 0.42, "low": 0.38, "high": 0.46, "n": 600, "better": 0.4, "worse": 0.56, "ties": 0.04}
    document["preference"] = {
        "judge": "gold",
        "win_rates": {"new": rate},
        "differences": [
            {"a": "new", "b": "old", "value": -0.08, "low": -0.12, "high": -0.04, "n": 600, "p": 0.001, "p_holm": 0.002}
        ],
    } | dict.fromkeys(("what", "num_prompts", "temperature", "split", "order_bias", "failures"))
    assert headline(document) == (
        "new is worse than old at preference (42.0 % of comparisons); nothing is shown to have got better."
    )
    assert [" ".join(row[2].split()) for row in show(document).rows if len(row) == 8][1:3] == [
        "–",
        "42.0 % 38.0–46.0 worse",
    ]


def test_the_last_model_is_the_one_that_the_page_is_about_and_the_baseline_may_stand_anywhere() -> None:
    document = comparison_document()
    document["models"] = document["models"][1:] + document["models"][:1]
    assert [one["name"] for one in document["models"]] == ["sft", "ppo-ptx", "base"]
    assert headline(document).startswith("ppo-ptx is better than base")


def test_changed_questions_stand_on_the_side_that_their_metric_says() -> None:
    """The toxicity of one answer fell, which is better; the F1 of another fell, which is worse."""
    html = render_comparison(comparison_document())
    worse, better = html.index(">Got worse<"), html.index(">Got better<")
    assert worse < html.index("squad2-4-17") < better
    assert better < html.index("truthfulqa-qa-17") and better < html.index("toxicity-basic-17")
    assert "difference −0.71" in html


# --- what is missing, odd or hostile


def test_a_model_without_a_task_has_a_dash_and_the_others_their_figures() -> None:
    document = comparison_document()
    task = document["tasks"][0]
    for part in ("figures", "categories", "failed", "cut"):
        del task[part]["sft"]
    task["differences"] = {
        name: [row for row in rows if "sft" not in (row["a"], row["b"])] for name, rows in task["differences"].items()
    }
    cells = show(document).cells("TruthfulQA, questions and answers", "n 817")
    assert cells[2] == "–" and cells[3].startswith("40.5 %")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_a_dash(value: float | None) -> None:
    document = comparison_document()

    def emptied(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: emptied(each) for key, each in one.items()}
        if isinstance(one, list):
            return [emptied(each) for each in one]
        return value if isinstance(one, float) else one

    page = show(emptied(document))
    assert page.cells("WMT 2015", "BLEU")[1:] == ["–", "–", "–"]
    assert "nan" not in page.text.lower().split() and "inf" not in page.text.lower().split()
    assert "nothing is shown to be better or worse" in page.text


def test_a_task_that_failed_for_one_model_says_how_often() -> None:
    document = small()
    document["tasks"][0] |= {"failed": {"new": 398}, "cut": {"new": 0}}
    document["tasks"][0]["figures"]["new"]["m"] |= {"n": 2}
    assert show(document).cells("The task", "n 400")[2] == "35.0 % 33.0–37.0 better +5.0 n 2 398 failed"


@pytest.mark.parametrize("drop", ["preference", "tasks", "both"])
def test_a_page_without_a_part_is_a_page(drop: str) -> None:
    document = comparison_document(preference=drop == "tasks")
    if drop != "preference":
        document |= {"tasks": [], "changed": []}
    html = render_comparison(document)
    assert ('id="preference"' in html) is (drop == "tasks")
    assert ('id="figures"' in html) is (drop == "preference")
    assert not re.search(r'href="#(\w+)"(?![\s\S]*id="\1")', html)


def test_what_strangers_wrote_is_text() -> None:
    """Every text and every name of the document is hostile."""

    def poisoned(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: poisoned(each) for key, each in one.items()}
        if isinstance(one, list):
            return [poisoned(each) for each in one]
        return f"{one}{HOSTILE}" if isinstance(one, str) else one

    document, clean = comparison_document((f"a{HOSTILE}", f"b{HOSTILE}")), comparison_document(("aa", "bb"))
    for section in ("changed", "samples", "not_measured"):
        document[section] = poisoned(document[section])
    for one in document["tasks"]:
        one |= {name: poisoned(one[name]) for name in ("title", "group", "source", "note", "name")}
        one["metrics"] = [{**metric, "title": poisoned(metric["title"])} for metric in one["metrics"]]
    document["preference"] |= {name: poisoned(document["preference"][name]) for name in ("judge", "what", "split")}
    page, harmless = show(document), show(clean)
    assert not page.open
    assert "script" not in [tag for tag, _ in page.elements] and "img" not in [tag for tag, _ in page.elements]
    assert {name for _, attributes in page.elements for name in attributes} <= {
        name for _, attributes in harmless.elements for name in attributes
    }
    assert not set("\x00\u202e\ud800") & set(page.text)
    assert "<script>alert('x')</script>" in page.text and "49" not in page.text.split()


@pytest.mark.parametrize("names", [("sft", "ppo-ptx"), TWELVE], ids=len)
def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(names: tuple[str, ...]) -> None:
    html = render_comparison(comparison_document(names))
    page = Page(html)
    assert not page.open
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert "src" not in attributes and (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|https?://", html)
    assert "default-src 'none'" in html


def test_a_very_long_text_is_cut_and_says_so() -> None:
    document = comparison_document()
    document["changed"][0]["answers"]["ppo-ptx"] = "word " * 100_000
    html = render_comparison(document)
    assert "(494000 more characters)" in html
    assert len(html) < 200_000


def test_the_page_is_written_and_the_document_is_left_as_it_was(tmp_path: Path) -> None:
    document = comparison_document()
    before = copy.deepcopy(document)
    write_comparison(document, tmp_path / "comparison.html")
    assert (tmp_path / "comparison.html").read_text(encoding="utf-8") == render_comparison(document)
    assert document == before


def test_a_document_without_models_is_refused() -> None:
    with pytest.raises(DataError, match="has no 'models'"):
        render_comparison({"baseline": "base", "tasks": []})


def test_many_figures_are_folded_and_still_there() -> None:
    """More than forty rows: the tasks' main figures stand open, the others below them."""
    document = comparison_document()
    assert show(document).cells("true and informative")[3].startswith("40.5 %")
    assert "Other figures of the same tasks" not in show(document).text
    for task in document["tasks"]:
        (main, *_), figures = task["metrics"], task["figures"]
        for number in range(5):
            task["metrics"].append({**main, "name": f"more-{number}", "title": f"more {number} of {task['name']}"})
            for model in figures:
                figures[model][f"more-{number}"] = figures[model][main["name"]]
    html = render_comparison(document)
    opened, folded = html.split("Other figures of the same tasks")
    assert opened.count("<tbody>") >= 1 and "more 0 of squad2-4" not in opened
    page = Page(html)
    assert page.cells("true and informative")[3].startswith("40.5 %")
    assert all(page.cells(f"more {number} of squad2-4")[1] for number in range(5))
    assert "BLEU" in opened and "BLEU" in folded


@pytest.mark.parametrize(("what", "count", "told"), [("cut", 41, True), ("cut", 40, False), ("failed", 21, True)])
def test_questions_that_were_lost_are_told_at_the_top(what: str, count: int, told: bool) -> None:
    """More than a tenth of 400 cut, or more than a twentieth failed."""
    document = small()
    document["tasks"][0][what] = {"old": 0, "new": count}
    words = {
        "cut": "In 1 task more than 10 % of some model's questions were longer",
        "failed": "In 1 task more than 5 %",
    }
    assert (words[what] in show(document).text) is told


def test_of_many_changed_questions_the_largest_changes_come_first() -> None:
    document = comparison_document()
    (first, *_) = document["changed"]
    document["changed"] = [
        {**first, "id": f"by-{gap}", "gap": gap, "scores": {"base": 0.0, "ppo-ptx": gap}}
        for gap in (0.1, 0.9, 0.3, 0.2, 0.5)
    ]
    html = render_comparison(document)
    places = [html.index(f"by-{gap}") for gap in (0.9, 0.5, 0.3, 0.2, 0.1)]
    assert places == sorted(places)
    assert places[3] < html.index(">1 more<") < places[4]
