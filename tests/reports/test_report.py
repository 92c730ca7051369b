"""The report: it holds what was found, escapes what strangers wrote, and does without what is missing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from heed.config import RunConfig
from heed.errors import DataError, WorkspaceError
from heed.reports import write_report
from heed.reports.curves import learning_curves, ppo_curves
from heed.reports.figures import overoptimization
from heed.reports.material import Band, Material
from heed.reports.page import render
from heed.reports.tables import (
    baseline_rows,
    curve_rows,
    invariance_rows,
    kind_rows,
    ladder_rows,
    lineage_rows,
    stage_rows,
)
from heed.reports.words import duration, number, percent, verdict

HOSTILE = "</dd><script>alert('x')</script><img src=x onerror=alert(1)> $\\frac{a}{b}$ {{ 7 * 7 }} &amp;"


def estimate(value: float, half: float = 0.03, n: int = 700, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": max(value - half, 0.0), "high": min(value + half, 1.0), "n": n, **more}


def entry(value: float, **more: Any) -> dict[str, Any]:
    kinds = {
        "facts": estimate(value, 0.1, 50, better=0.4, worse=0.1),
        HOSTILE: estimate(0.3, 0.1, 50, better=0.1, worse=0.5),
    }
    return estimate(value, better=0.3, worse=0.05, kinds=kinds, groups={"control": estimate(0.5)}, **more)


FITS = {
    "best_of_n": {
        "form": "best_of_n",
        "better": "rl",
        "resampled": "prompts",
        "n": 250,
        "forms": {
            "best_of_n": {
                "alpha": {"value": 1.25, "low": 1.125, "high": 1.375, "n": 250},
                "beta": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 250},
                "r_squared": 0.96,
                "peak": {"kl": 0.5, "low": 0.25, "high": None, "turns": 0.9, "gain": 0.7},
            }
        },
        "observed": {"kl": 0.6, "low": 0.3, "high": 0.9, "turns": 1.0, "gain": 0.6},
        "extrapolation": {},
    },
    "kl_free": {"form": "rl", "better": "rl", "forms": {}, "observed": {"kl": None}, "resampled": "points", "n": 6},
}


@pytest.fixture
def results() -> dict[str, Any]:
    return example()


def example() -> dict[str, Any]:
    values = {"base": 0.03, "prompted": 0.2, "sft": 0.5, "ppo": 0.6, "ppo_ptx": 0.62, "blind": 0.54}
    wins = {name: entry(value) for name, value in values.items()}
    rates = {
        name: {rate: estimate(0.3) for rate in ("right", "hallucination", "over_abstention")}
        for name in ("sft", "ppo_ptx")
    }
    accuracy = {"accuracy_gold": estimate(0.78), "accuracy_labels": estimate(0.63)}
    points = [
        {"run": run, "at": at, "kl": reach * at, "reward": float(at), "gold": gain * at}
        for run, reach, gain in (("best_of_n", 0.3, 0.2), ("ppo_ptx", 0.2, 0.2), ("kl_free", 9.0, -1.0))
        for at in range(4)
    ]
    return {
        "recipe": "sandbox",
        "seed": 3,
        "config_hash": "0123456789abcdef",
        "config": RunConfig().model_dump(mode="json"),
        "evaluation": {"baseline": "sft", "judged_by": "gold", "num_prompts": 700},
        "win_rate": {**wins, "best_of_n": {**estimate(0.66), "worse": 0.1}},
        "win_rate_greedy": wins,
        "win_rate_controlled": {name: {**one, "stripped": estimate(0.6)} for name, one in wins.items()},
        "rates": {},
        "intervals": {"rates": rates, "pretraining_loss": {"sft": estimate(0.9)}},
        "kinds": {name: {"facts": {"right": estimate(0.4), "right_greedy": estimate(0.5)}} for name in values},
        "scores": {name: {"gold": estimate(2.1), "words": estimate(9.0)} for name in values},
        "kl": {"sft": 0.0, "ppo_ptx": None},
        "elo": {name: estimate(10.0) for name in values},
        "duels": [
            {"a": "ppo_ptx", "b": "blind", "win_rate": estimate(0.58), "difference": {"win_rate": estimate(0.08)}}
        ],
        "reward_model": {
            "intervals": accuracy,
            "accuracy_gold": 0.78,
            "noise_bound": 0.74,
            "noise_bound_how": "As computed.",
            "ece": 0.02,
            "brier": 0.2,
            "temperature": 1.1,
            "reliability": [
                {"confidence": 0.6, "accuracy": 0.6, "n": 40},
                {"confidence": 0.9, "accuracy": 0.8, "n": 9},
            ],
            "by_gap": [{"gap": 0.1, **estimate(0.6)}, {"gap": 2.0, **estimate(0.9)}],
            "by_kind": {"facts": estimate(0.8), HOSTILE: estimate(0.5)},
            "by_length": {"equal_length": {"value": None, "low": None, "high": None, "n": 0}},
            "detail_on": "gold",
            "by_labeler": {
                "training": {"ann": estimate(0.7), HOSTILE: estimate(0.5)},
                "heldout": {"eve": estimate(0.6)},
            },
            "both_high": [{"score": -1.0, **estimate(0.8)}, {"score": 1.5, **estimate(0.6)}],
            "sureness": {"ece_after": 0.0123, "floor_after": 0.0119},
            "invariance": {
                "swapped": {"what": "the other way round", "largest": 2e-6, "changed_order": 0, "n": 9, "holds": True},
                "alone": {"what": HOSTILE, "largest": None, "changed_order": 3, "n": 9, "holds": False},
            },
        },
        "reward_model_baselines": {"all": {"reward": estimate(0.6), "length_only": estimate(0.53)}},
        "overoptimization": {"points": points, "fits": json.loads(json.dumps(FITS))},
        "pretraining_loss": {"sft": 0.9, "ppo": 0.93, "kl_free": None},
        "pretraining_loss_change": {"ppo": estimate(0.03)},
        "samples": [
            {
                "prompt": HOSTILE,
                "kind": "facts",
                "outcome": "worse",
                "answers": {"sft": HOSTILE, "ppo_ptx": ""},
                "scores": {"sft": -0.0, "ppo_ptx": 1.0},
            }
        ],
        "stages": {"sft": {"title": "SFT", "wall_seconds": 61.0, "tokens": 5000, "peak_rss_mib": 800.0}},
        "peak_rss_mib": 900.0,
        "bands": [{"name": "far", "metric": "kl_per_token", "high": 0.05}],
    }


def workspace(root: Path, results: dict[str, Any]) -> Path:
    (root / "results.json").write_text(json.dumps(results))
    rows = [
        {"step": i, "kl_per_token": 0.02 * i, "score": 0.1 * i, "kl": 0.3 * i, "diagnoses": []} for i in range(1, 9)
    ]
    diagnosis = {"step": 4, "name": HOSTILE, "metric": "kl_per_token", "value": 0.08, "meaning": HOSTILE}
    losses = [{"step": i, "loss": 2 / i} for i in range(1, 50)]
    for stage, file, lines in (
        ("ppo-ptx", "metrics.jsonl", rows),
        ("ppo-ptx", "diagnoses.jsonl", [diagnosis]),
        ("sft", "metrics.jsonl", losses),
    ):
        (root / "runs" / stage).mkdir(parents=True, exist_ok=True)
        (root / "runs" / stage / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name, parent in (("base", None), ("sft", "base")):
        (root / "models" / name).mkdir(parents=True)
        card = {"kind": "policy", "card": {"parent": parent, "stage": name}}
        (root / "models" / name / "heed.json").write_text(json.dumps(card))
    return root


class Outline(HTMLParser):
    """Tags, attributes and text of a page."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "td", "th", "tr", "dd", "dt") and tag not in self.open:
            return
        while self.open and self.open.pop() != tag:
            pass


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(workspace(tmp_path_factory.mktemp("run"), example())).read_text(encoding="utf-8")


def test_a_whole_report_says_what_was_found(page: str) -> None:
    for said in (
        "PPO-ptx beats SFT: it is preferred on 62 % (59–65) at temperature 1",
        "5 % got worse",
        "reaches 54 % (51–57) greedily",
        "Blind control",
        "got worse",
        "0123456789abcdef",
        "kl_coef",
        "1 min 01 s",
        "length only",
    ):
        assert said in page, said
    figures = (
        "ladder",
        "kinds",
        "rates",
        "accuracy",
        "reliability",
        "by-gap",
        "by-kind",
        "by-labeler",
        "both-high",
        "overoptimization",
        "tax",
    )
    for name in (*figures, "ppo", "learning"):
        assert f'id="{name}-' in page, name


def test_what_strangers_wrote_is_only_text(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert "script" not in outline.seen and "img" not in outline.seen
    assert not [name for name, _ in outline.attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page and " 49 " not in page
    assert "&amp;amp;" in page


def test_the_page_needs_nothing_from_anywhere(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert not {"script", "link", "iframe", "object"} & set(outline.seen)
    addresses = [value for name, value in outline.attributes if name in ("src", "href", "xlink:href") and value]
    assert all(address.startswith("#") for address in addresses)
    assert not re.findall(r"url\((?!#)", page)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_links_lead_somewhere(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    ids = [value for name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in outline.attributes if name == "href" and value} <= set(ids)


def test_figures_are_whole_svg_in_the_colours_of_the_page(page: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 13
    for figure in figures:
        ElementTree.fromstring(figure)
        assert "#0a0" not in figure
        for name in re.findall(r"var\(--([a-z0-9-]+)\)", figure):
            assert f"--{name}:" in page, name


def test_a_report_of_almost_nothing(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "No model was compared with another." in page
    assert "<svg" not in page and "<table" not in page


@pytest.mark.parametrize(
    "missing",
    [
        "win_rate_greedy rates duels pretraining_loss_change seed bands",
        "win_rate_controlled kinds elo reward_model_baselines intervals config",
        "reward_model overoptimization samples stages evaluation",
        "win_rate scores kl pretraining_loss peak_rss_mib",
    ],
)
def test_any_section_may_be_missing(results: dict[str, Any], missing: str) -> None:
    for section in missing.split():
        del results[section]
    assert "</html>" in render(Material(results=results))


def test_a_workspace_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no results\.json to report on; run: heed run RECIPE"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(WorkspaceError, match="expected a JSON object"):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match="line 1: not valid JSON"):
        write_report(tmp_path)


def test_the_verdict_claims_no_more_than_the_intervals(results: dict[str, Any]) -> None:
    results["win_rate_controlled"]["ppo_ptx"] = entry(0.52)
    assert verdict(results)[0].startswith(
        "PPO-ptx is not shown to be better than SFT controlled: it is preferred on 62 %"
    )
    for section in ("win_rate", "win_rate_greedy", "win_rate_controlled"):
        results[section]["ppo_ptx"] = entry(0.4)
    assert verdict(results)[0].startswith("PPO-ptx is worse than SFT: it is preferred on only 40 %")
    results["evaluation"]["judged_by"] = "a second reward model"
    assert verdict(results)[0].endswith("judged by a second reward model.")


def test_tables_by_hand(results: dict[str, Any]) -> None:
    rows = ladder_rows(results)
    assert [row["label"] for row in rows][-2:] == ["Best of n", "Blind control"]
    assert rows[2]["wins"][1]["value"] == "–"  # SFT greedily against itself is no comparison
    kinds = kind_rows(results, "ppo_ptx")
    assert (kinds[0]["state"], kinds[1]["kind"], kinds[1]["before"]) == ("worse", "facts", "50 %")
    assert stage_rows(results)[0]["speed"] == "82/s"
    assert baseline_rows(results)[0] == ["reward", "length only"]


def test_lineage_is_a_tree_even_where_parents_are_strangers_or_go_round() -> None:
    cards = {
        "sft": {"parent": "base"},
        "base": {"parent": "hub/model"},
        "ppo": {"parent": "sft"},
        "a": {"parent": "b"},
        "b": {"parent": "a"},
    }
    rows = lineage_rows(Material(results={}, models=cards))
    assert [(row["name"], row["depth"], row["origin"]) for row in rows][:3] == [
        ("base", 0, "hub/model"),
        ("sft", 1, None),
        ("ppo", 2, None),
    ]


def test_curves_shade_bands_relative_to_the_first_value() -> None:
    rows = [{"step": i, "kl_per_token": 0.0, "entropy": 1.0 / i} for i in range(1, 9)]
    plain = Material(results={}, curves={"ppo": rows})
    banded = Material(
        results={}, curves={"ppo": rows}, bands=[Band(name="x", metric="entropy", low=0.5, relative=True)]
    )
    assert "var(--band)" not in ppo_curves(plain)
    assert "var(--band)" in ppo_curves(banded)
    assert ppo_curves(Material(results={})) == learning_curves(Material(results={})) == ""


def test_numbers_are_written_for_people() -> None:
    assert [percent(0.614), percent(None), number(-1.5), number(-0.001), number(0.03, sign=True)] == [
        "61 %",
        "–",
        "−1.50",
        "0.00",
        "+0.03",
    ]
    assert [duration(9.25), duration(83.2), duration(4000)] == ["9.2 s", "1 min 23 s", "1 h 06 min"]


def test_the_curves_of_over_optimisation_as_a_table(results: dict[str, Any]) -> None:
    first, second = curve_rows(results)
    assert (first["form"], first["better"], first["n"]) == ("d(α − βd)", False, 250)
    assert first["alpha"] == {"value": "1.25", "span": "1.12 to 1.38", "state": ""}
    assert first["peak"]["span"] == "0.25–…" and first["observed"]["value"] == "0.60"
    assert (first["foretold"]["value"], second["peak"]["value"], second["observed"]["value"]) == ("–", "–", "none")
    assert curve_rows({}) == []


def test_a_score_that_changes_is_named(results: dict[str, Any]) -> None:
    swapped, alone = invariance_rows(results["reward_model"])
    assert (swapped["largest"], swapped["holds"]) == ("2.0e-06", True)
    assert (alone["largest"], alone["turned"], alone["holds"]) == ("not finite", 3, False)


def test_the_optimum_is_marked_where_the_curve_fits(results: dict[str, Any]) -> None:
    marked = overoptimization(results)
    results["overoptimization"]["fits"]["best_of_n"]["forms"]["best_of_n"]["r_squared"] = 0.5
    plain = overoptimization(results)
    assert marked.count("<path") == plain.count("<path") + 4, "a band and a line, near the start and in the whole"
