"""Files in and out by the lead's pages, the owner's backup, and a person who is forgotten."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.store import Workspace
from heed.store.lines import to_line
from heed.store.studio.backup import restore_backup
from heed.web.studio import Studio

HOSTILE = '=HYPERLINK("http://evil","x")'


def ranking(index: int, labeler: str, tiers: tuple[int, int] = (0, 1)) -> Ranking:
    completions = (Completion(text=f"{HOSTILE} {index}", policy="a"), Completion(text="@SUM(1)", policy="b"))
    return Ranking(prompt=Prompt.from_text(f"+q {index}"), completions=completions, tiers=tiers, labeler=labeler)


def fill(studio: Studio, labeler: str) -> None:
    studio.store.add_rankings([ranking(0, labeler), ranking(1, labeler), ranking(2, labeler, (0, 0))])


def freeze(browser: Any, **fields: str) -> Any:
    chosen = {"kind": "rankings", "campaign": "", "group": "", "ties": "keep", **fields}
    return browser.post("/lead/data/export", chosen)


def upload(browser: Any, content: str, format: str = "heed", name: str = "x.jsonl") -> Any:
    files = {"file": (name, content.encode(), "application/octet-stream")}
    return browser.post("/lead/data/import", {"format": format}, files=files)


def test_a_file_is_looked_at_and_then_taken_in(studio: Studio, client_as: Any) -> None:
    lead = client_as("lead")
    record = Demonstration(prompt=Prompt.from_text("Why <b>?"), completion=Completion(text="So."), labeler="zoe")
    page = upload(lead, to_line(record))
    assert page.status_code == 200 and "Why &lt;b&gt;?" in page.text and "zoe" not in str(studio.store.labelers())
    token = page.text.split("/lead/data/import/")[1].split('"')[0]
    done = lead.post(f"/lead/data/import/{token}", {"action": "import"})
    assert done.status_code == 303 and studio.store.demonstrations() == [record]
    assert lead.post(f"/lead/data/import/{token}", {"action": "import"}).status_code == 404, "once"
    assert not list((studio.workspace.root / "uploads").iterdir())
    assert any(event.verb == "data.import" for event in studio.audit.events())


def test_a_mistake_is_named_with_its_line_and_nothing_is_half_imported(studio: Studio, client_as: Any) -> None:
    lead = client_as("lead")
    good = to_line(Prompt.from_text("good"))
    page = upload(lead, good + good.replace('"record"', '"recrod"'))
    assert page.status_code == 422 and "x.jsonl, line 2" in page.text
    assert studio.store.counts()["prompts"] == 0 and not list((studio.workspace.root / "uploads").iterdir())
    for content, format, name in ((good, "text", "x.jsonl"), (good, "heed", "x.exe"), ("", "heed", "x.jsonl")):
        assert upload(lead, content, format, name).status_code == 422
    conflict = to_line(ranking(0, "ann")) + '{"record": "labeler", "id": "ann", "kind": "model", "group": "training"}\n'
    studio.store.add_labelers([Labeler(id="ann")])
    token = upload(lead, conflict).text.split("/lead/data/import/")[1].split('"')[0]
    page = lead.post(f"/lead/data/import/{token}", {"action": "import"})
    assert page.status_code == 422 and "Nothing was imported" in page.text
    assert studio.store.counts()["prompts"] == 0


def test_names_of_uploads_and_downloads_cannot_leave_their_folders(studio: Studio, client_as: Any) -> None:
    lead = client_as("lead")
    page = upload(lead, to_line(Prompt.from_text("x")), name="../../../evil.jsonl")
    assert page.status_code == 200 and not (studio.workspace.root.parent / "evil.jsonl").exists()
    for token in ("..", "../x", "0" * 31, "*" * 32, "0" * 32):
        assert lead.post(f"/lead/data/import/{token}", {"action": "import"}).status_code in (404, 405)
    for id in ("..%2f..%2fheed.db", "../../heed.db", "0" * 16):
        assert lead.get(f"/lead/data/export/{id}").status_code == 404


def test_a_data_set_is_frozen_listed_and_downloaded(studio: Studio, client_as: Any) -> None:
    lead = client_as("lead")
    fill(studio, lead.account.id)
    assert freeze(lead).status_code == 303 and freeze(lead).status_code == 303
    (path,) = (path for path in studio.workspace.exports_dir.iterdir() if path.is_dir())
    assert path.name in lead.get("/lead/data").text
    lines = lead.get(f"/lead/data/export/{path.name}")
    assert lines.content == (path / "data.jsonl").read_bytes() and lines.text.count("\n") == 3
    table = lead.get(f"/lead/data/export/{path.name}?format=csv")
    for response in (lines, table):
        assert response.headers["content-disposition"].startswith("attachment")
        assert response.headers["x-content-type-options"] == "nosniff"
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert len(rows) == 6 and rows[0]["answer"] == f"'{HOSTILE} 0" and rows[0]["prompt"] == "'+q 0"
    assert [row["tier"] for row in rows] == ["0", "1", "0", "1", "0", "0"]
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@"))]
    assert freeze(lead, ties="drop").status_code == 303
    assert len([path for path in studio.workspace.exports_dir.iterdir() if path.is_dir()]) == 2
    assert freeze(lead, kind="demonstrations").status_code == 422, "there are none"
    assert freeze(lead, kind="everything").status_code == 422


def test_the_owner_downloads_a_backup_that_can_be_restored(studio: Studio, client_as: Any, tmp_path: Path) -> None:
    owner, lead = client_as("owner"), client_as("lead")
    fill(studio, lead.account.id)
    freeze(lead)
    assert lead.post("/lead/data/backup").status_code == 404
    response = owner.post("/lead/data/backup")
    assert response.status_code == 200 and response.headers["content-disposition"].startswith("attachment")
    (tmp_path / "b.zip").write_bytes(response.content)
    assert zipfile.ZipFile(tmp_path / "b.zip").testzip() is None
    restored = Workspace.create(tmp_path / "restored")
    with restored.store() as store:
        restore_backup(store, tmp_path / "b.zip", root=restored.root)
        assert store.rankings() == studio.store.rankings()


def test_the_owner_forgets_a_person_who_asks_for_it(studio: Studio, client_as: Any) -> None:
    owner, lead, labeler = client_as("owner"), client_as("lead"), client_as("labeler", "Ann Other")
    who = labeler.account
    record = Demonstration(prompt=Prompt.from_text("x"), completion=Completion(text="xylophone"), labeler=who.id)
    studio.store.add_demonstrations([record])
    freeze(owner, kind="demonstrations")
    assert lead.get("/lead/privacy").status_code == 404 and lead.get(f"/lead/privacy/{who.id}").status_code == 404
    assert who.name in owner.get("/lead/privacy").text
    page = owner.get(f"/lead/privacy/{who.id}")
    assert page.status_code == 200 and "demonstrations" in page.text
    assert owner.get(f"/lead/privacy/{who.name}").status_code == 404, "addresses hold ids only"
    assert owner.post(f"/lead/privacy/{who.id}", {"confirm": "nonsense"}).status_code == 422
    assert labeler.get("/work").status_code == 200
    fields = {"confirm": who.name, "rewrite": "yes", "reason": "asked"}
    assert owner.post(f"/lead/privacy/{who.id}", fields).status_code == 303
    assert labeler.get("/work").status_code == 303, "signed out"
    assert studio.store.demonstrations() == [] and studio.people.by_name(who.name) is None
    (path,) = studio.workspace.exports_dir.glob("*/data.jsonl")
    assert "xylophone" not in path.read_text() and json.loads(path.read_text())["labeler"] == who.id
    assert "rows redacted" in owner.get("/lead/data").text and "asked" in owner.get("/lead/privacy").text
    assert studio.audit.verify() is None and who.name not in str(studio.audit.events())
    me = owner.account
    assert owner.post(f"/lead/privacy/{me.id}", {"confirm": me.name}).status_code == 422, "the only owner stays"
