from __future__ import annotations

from pathlib import Path

from heed.cli.app import main
from heed.records import Completion, Labeler, Prompt, Ranking, Rating
from heed.store import Workspace


def test_held_out_labelers_stay_held_out_through_a_file_and_back(tmp_path: Path) -> None:
    prompt = Prompt.from_text("Name a colour.")
    answers = Completion(text="Red."), Completion(text="Seven.")
    there, back = (Workspace.create(tmp_path / name) for name in ("there", "back"))
    with there.store() as store:
        store.add_labelers([Labeler(id="ann", group="heldout")])
        store.add_rankings([Ranking(prompt=prompt, completions=answers, tiers=(0, 1), labeler="ann")])
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    for arguments in (
        ["export", "rankings", f"heed:{first}", "-w", str(there.root)],
        ["import", f"heed:{first}", "-w", str(back.root)],
        ["export", "rankings", f"heed:{second}", "-w", str(back.root)],
    ):
        try:
            main(arguments)
        except SystemExit as left:
            assert not left.code
    assert first.read_bytes() == second.read_bytes()
    with back.store() as store:
        assert [one.group for one in store.labelers() if one.id == "ann"] == ["heldout"]
        assert store.rankings(labeler_group="training") == [] and len(store.rankings(labeler_group="heldout")) == 1


def test_ratings_of_a_file_are_kept(tmp_path: Path) -> None:
    from heed.data.writers import write

    rating = Rating(prompt=Prompt.from_text("Hello."), completion=Completion(text="Hi."), overall=6, labeler="ann")
    path = tmp_path / "ratings.jsonl"
    write("heed", path, [rating])
    workspace = Workspace.create(tmp_path / "w")
    try:
        main(["import", f"heed:{path}", "-w", str(workspace.root)])
    except SystemExit as left:
        assert not left.code
    with workspace.store() as store:
        assert [one.overall for one in store.ratings()] == [6]
