"""Sentence pairs: entropy in bits by hand, the stereotype score, and what is wrong with a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from choice_fakes import marks_of, reply
from fakes import tiny_codec, tiny_lm
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.crows_pairs import load_crows_pairs
from heed.evaluation.tasks.items import Question, Reply
from heed.evaluation.tasks.model import LocalModel
from heed.evaluation.tasks.pairs import entropy_bits, pair_entropy
from heed.evaluation.tasks.prefixes import PREFIXES
from heed.evaluation.tasks.winogender import load_winogender

WORDS = {"male": "he", "female": "she", "neutral": "they"}
HEADER = "id,sent_more,sent_less,stereo_antistereo,bias_type\n"


def _winogender(directory: Path, *occupations: str, stats: bool = True) -> Path:
    lines = ["sentid\tsentence"]
    for occupation in occupations:
        for other in ("customer", "someone"):
            for answer in "01":
                for gender, word in WORDS.items():
                    sentence = f'The {occupation} told {other} that "{word} could pay ({answer}).'
                    lines.append(f"{occupation}.{other}.{answer}.{gender}.txt\t{sentence}")
    (directory / "all_sentences.tsv").write_text("\n".join(lines) + "\n")
    if stats:
        rows = [f"{occupation}\t9.0\t{20 * (place + 1)}\t2015" for place, occupation in enumerate(occupations)]
        names = "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year"
        (directory / "occupations-stats.tsv").write_text("\n".join([names, *rows]) + "\n")
    return directory


def _crows(directory: Path, *rows: str, header: str = HEADER) -> Path:
    (directory / "crows_pairs_anonymized.csv").write_text(header + "".join(f"{row}\n" for row in rows))
    return directory


def test_entropy_by_hand() -> None:
    assert entropy_bits([0.5, 0.5]) == 1.0
    assert entropy_bits([1.0, 0.0]) == 0.0
    assert entropy_bits([0.25, 0.75]) == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3))
    assert pair_entropy([math.log(0.001), math.log(0.003)]) == pytest.approx(0.8112781, abs=1e-7)
    assert pair_entropy([-3000.0, 0.0]) == 0.0


def test_winogender_by_hand(tmp_path: Path) -> None:
    task = load_winogender(_winogender(tmp_path, "cook"))
    assert [one.id for one in task.questions] == ["cook.customer.0", "cook.customer.1"]
    assert task.questions[0].choices[1] == 'The cook told customer that "she could pay (0).'
    first, second = task.mark(task.questions, [reply(math.log(0.3), math.log(0.1), math.log(0.1)), Reply(error="no")])
    assert first.metrics == pytest.approx({"entropy": 0.8112781, "he": 0.75, "neutral": 0.2})
    assert (first.cluster, first.category) == ("cook", "about the occupation")
    assert second.error == "no" and not second.metrics


def test_winogender_modes_and_participants(tmp_path: Path) -> None:
    _winogender(tmp_path, "cook", "clerk")
    contexts = {mode: load_winogender(tmp_path, mode=mode).questions[0].context for mode in PREFIXES}
    assert contexts["basic"] == "" and contexts["respectful"] != contexts["biased"]
    assert all(context.endswith("manner:\n\n") for mode, context in contexts.items() if mode == "respectful")
    names = [load_winogender(tmp_path, mode=mode).name for mode in PREFIXES]
    assert names == ["winogender-basic", "winogender-respectful", "winogender-biased"]
    everyone = load_winogender(tmp_path, participants="all")
    assert len(everyone.questions) == 8 and everyone.name == "winogender-all-basic"
    assert {one.id.split(".")[1] for one in load_winogender(tmp_path, participants="someone").questions} == {"someone"}


def test_she_follows_the_share_of_women(tmp_path: Path) -> None:
    task = load_winogender(_winogender(tmp_path, "cook", "clerk", "nurse"))
    share = {"cook": 0.2, "clerk": 0.3, "nurse": 0.4}

    def logprob(question: Question, choice: str) -> float:
        she = share[question.cluster] if question.id.endswith("0") else 0.5  # sentences about the customer are left out
        return math.log(she if "she" in choice else 1 - she)

    metric = next(one for one in task.metrics if one.name == "follows_occupation")
    assert metric.statistic is not None
    marks = marks_of(task, logprob)
    assert metric.statistic(marks) == pytest.approx(1.0)
    assert math.isnan(metric.statistic(marks[:2]))
    (tmp_path / "occupations-stats.tsv").unlink()
    assert "follows_occupation" not in [one.name for one in load_winogender(tmp_path).metrics]


def test_crows_pairs_by_hand(tmp_path: Path) -> None:
    _crows(tmp_path, '0,"A, b.",A c.,stereo,age', "1,D e.,D f.,antistereo,gender", "2,G h.,G i.,stereo,age")
    task = load_crows_pairs(tmp_path, mode="biased")
    assert task.name == "crows-pairs-biased" and task.questions[0].choices == ("A, b.", "A c.")
    replies = [reply(math.log(0.3), math.log(0.1)), reply(-5.0, -4.0), reply(-7.0, -7.0)]
    marks = task.mark(task.questions, replies)
    assert marks[0].metrics == pytest.approx({"entropy": 0.8112781, "stereotype": 1.0, "stereotype_stereo": 1.0})
    assert marks[1].metrics["stereotype_antistereo"] == 0.0 and marks[1].output == "D f."
    assert marks[2].metrics == pytest.approx({"entropy": 1.0, "stereotype": 0.5, "stereotype_stereo": 0.5})
    assert [one.category for one in marks] == ["age", "gender", "age"]


def test_the_published_first_column_has_no_name(tmp_path: Path) -> None:
    _crows(tmp_path, "17,A b.,A c.,stereo,age", header=HEADER.removeprefix("id"))
    assert load_crows_pairs(tmp_path).questions[0].id == "17"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,A b.,A c.,other,age", "line 2: field 'stereo_antistereo' is 'other', expected stereo or antistereo"),
        ("0,,A c.,stereo,age", "line 2: field 'sent_more' is empty, expected a sentence"),
        ("0,A b.,stereo,age", "line 2: 4 columns, expected 5: id, sent_more, sent_less"),
    ],
)
def test_a_bad_pair_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_crows_pairs(_crows(tmp_path, row))
    assert message in str(caught.value)


def test_bad_files_of_both(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="field 'sent_less' is missing"):
        load_crows_pairs(_crows(tmp_path, "0,A b.,stereo,age", header="id,sent_more,stereo_antistereo,bias_type\n"))
    with pytest.raises(DataError, match="the file has no rows"):
        load_crows_pairs(_crows(tmp_path))
    with pytest.raises(ConfigError, match="mode is 'polite', expected 'basic' or 'respectful' or 'biased'"):
        load_crows_pairs(tmp_path, mode="polite")  # type: ignore[arg-type]
    sentences = tmp_path / "all_sentences.tsv"
    for text, message in (
        ("sentid\tsentence\ncook.customer.2.male.txt\tx\n", "line 2: field 'sentid' is 'cook.customer.2.male.txt'"),
        ("sentid\tsentence\ncook.customer.1.male.txt\tx\n", "line 2: cook.customer.1 has no female and no neutral"),
        ("sentid\tsentence\n", "the file has no rows"),
        ("id\tsentence\nx\ty\n", "field 'sentid' is missing; there are 'id', 'sentence'"),
    ):
        sentences.write_text(text)
        with pytest.raises(DataError) as caught:
            load_winogender(tmp_path)
        assert message in str(caught.value)
    _winogender(tmp_path, "cook")
    (tmp_path / "occupations-stats.tsv").write_text("occupation\tbls_pct_female\ncook\tmany\n")
    with pytest.raises(DataError, match="field 'bls_pct_female' is 'many', expected a number"):
        load_winogender(tmp_path)


def test_a_real_model_weighs_whole_sentences(tmp_path: Path) -> None:
    """The same entropy as from one plain forward pass over each sentence, with the end token in front."""
    _crows(tmp_path, "0,a cat,a dog,stereo,age")
    codec, model = tiny_codec(), tiny_lm()
    task = load_crows_pairs(tmp_path)
    (found,) = task.mark(task.questions, LocalModel(model, codec, "tiny", "").likelihoods(task.questions))
    totals = []
    for sentence in ("a cat", "a dog"):
        ids = torch.tensor([[codec.eos_id, *codec.encode_text(sentence)]])
        with torch.no_grad():
            logprobs = model(ids).logits.double().log_softmax(dim=-1)[0, :-1]
        totals.append(float(logprobs.gather(1, ids[0, 1:, None]).sum()))
    assert found.metrics["entropy"] == pytest.approx(pair_entropy(totals), abs=1e-5)
    assert found.metrics["stereotype"] == float(totals[0] > totals[1])
