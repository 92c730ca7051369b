"""The documentation cannot drift: its commands parse, its settings exist, its names can be imported, its examples run.

``make docs`` (this file, run as a program) writes the tables of ``docs/configuration.md`` anew.
"""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from heed.cli.app import app
from heed.config import RunConfig, Settings, flatten, override
from heed.recipes import NAMES, find

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SETTINGS_PAGE = ROOT / "docs" / "configuration.md"
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b")

COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def code_lines(text: str) -> Iterator[str]:
    """Lines of indented and fenced code, without the Python ones."""
    language = None
    for line in text.splitlines():
        if line.startswith("```"):
            language = None if language is not None else line.removeprefix("```")
        elif language in ("", "sh", "bash") or (language is None and line.startswith("    ")):
            yield line.strip()


def commands(text: str) -> Iterator[list[str]]:
    """``heed`` commands in code, as words, without what a ``#`` explains."""
    for line in code_lines(text):
        if re.match(r"(\.venv/bin/)?heed [a-z]", line):
            yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_parse(page: Path) -> None:
    """Each names a command there is, with options it has and settings that exist."""
    for name, *arguments in commands(page.read_text(encoding="utf-8")):
        assert name in COMMANDS, f"{page.name}: there is no command heed {name}"
        context = COMMANDS[name].make_context(f"heed {name}", list(arguments))
        assignments = context.params.get("assignments") or []
        override(RunConfig(), [one for one in assignments if not PLACEHOLDER.search(one.partition("=")[2])])
        for assignment in assignments:
            assert assignment.partition("=")[0] in dict(flatten(RunConfig())), f"{page.name}: {assignment}"
        if name == "run":
            assert context.params["recipe"] in NAMES


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = code_lines(page.read_text(encoding="utf-8"))
    named = {target for line in lines for target in re.findall(r"^make ([a-z]+)", line)}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_names_can_be_imported(page: Path) -> None:
    missing = []
    for name in sorted(set(re.findall(r"`(heed(?:\.(?!json|db)\w+)+)`", page.read_text(encoding="utf-8")))):
        try:
            resolve(name)
        except (ImportError, AttributeError):
            missing.append(name)
    assert not missing, f"{page.name} names {', '.join(missing)}"


def resolve(name: str) -> object:
    """The module or the thing in a module that a dotted name means."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module_name = ".".join(parts[:length])
        if _is_module(module_name):
            found: object = importlib.import_module(module_name)
            for part in parts[length:]:
                found = getattr(found, part)
            return found
    raise ImportError(name)


def _is_module(name: str) -> bool:
    path = ROOT / "src" / Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in links if target and not (page.parent / target).exists()]
    named = re.findall(r"`((?:tests|docs|src)/[\w/.]+)`", text)
    missing += [target for target in named if not (ROOT / target).exists()]
    assert not missing, f"{page.name}: {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_settings_named_in_prose_exist(page: Path) -> None:
    """``ppo.kl_coef`` in backticks is a setting, and so is anything else that begins with a section's name."""
    sections = "|".join(name for name, field in RunConfig.model_fields.items() if is_section(field.annotation))
    named = set(re.findall(rf"`((?:{sections})\.\w+)(?:=[^`]*)?`", page.read_text(encoding="utf-8")))
    assert named <= set(dict(flatten(RunConfig())))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the documentation from top to bottom, in a directory of their own; the README's sketch only parses."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        code = compile(block, str(page), "exec")
        for module, imported in re.findall(r"^from (heed[\w.]*) import (.+)$", block, re.MULTILINE):
            for name in imported.split(", "):
                resolve(f"{module}.{name}")
        if page.name != "README.md":
            exec(code, names)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_or_a_tutorial_and_its_help_has_an_example(name: str) -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/tutorials/*.md")]
    shown = {words[0] for page in pages for words in commands(page.read_text(encoding="utf-8"))}
    assert name in shown, f"no page shows heed {name}"
    assert "Example" in COMMANDS[name].help
    examples = [line.split("[/]")[-1].strip() for line in COMMANDS[name].help.splitlines() if f"heed {name}" in line]
    assert examples
    for example in examples:
        command, *arguments = shlex.split(example)[1:]
        COMMANDS[command].make_context(f"heed {command}", arguments)


def is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def rows(kind: type[Settings], prefix: str) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        if not is_section(field.annotation):
            default = "none" if field.default is None else field.default
            said = (field.description or "").replace("``", "`").replace("\n", " ")
            yield f"| `{prefix}{name}` | {default} | {said} |"


def settings_tables() -> str:
    """The tables of ``docs/configuration.md``, one for each section, and what each recipe changes."""
    head = ["| setting | default | what it is |", "| --- | --- | --- |"]
    text = ["## The run", "", *head, *rows(RunConfig, ""), ""]
    for name, field in RunConfig.model_fields.items():
        if is_section(field.annotation):
            kind: type[Settings] = field.annotation  # type: ignore[assignment]
            title = (kind.__doc__ or "").strip().replace("``", "`")
            text += [f"## `{name}`", "", title, "", *head, *rows(kind, f"{name}."), ""]
    text += ["## What the recipes change", ""]
    usual = dict(flatten(RunConfig()))
    for recipe in NAMES:
        changed = [f"`{n}={v}`" for n, v in flatten(find(recipe).config()) if v != usual[n] and n != "recipe"]
        text += [f"- **{recipe}**: {', '.join(changed) or 'nothing'}"]
    return "\n".join(text) + "\n"


def with_tables(page: str) -> str:
    before, marker, _ = page.partition("<!-- tables -->\n")
    return f"{before}{marker}\n{settings_tables()}"


def test_the_settings_page_is_up_to_date() -> None:
    page = SETTINGS_PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "docs/configuration.md is out of date; run: make docs"


def test_no_page_speaks_of_this_place() -> None:
    """Pages are for everyone: no paths of one machine."""
    private = re.compile(r"(?<![\w.])/(?:work|home|root|Users|tmp)/")
    wrong = [str(page.relative_to(ROOT)) for page in PAGES if private.search(page.read_text(encoding="utf-8"))]
    assert not wrong


if __name__ == "__main__":
    SETTINGS_PAGE.write_text(with_tables(SETTINGS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {SETTINGS_PAGE}")
