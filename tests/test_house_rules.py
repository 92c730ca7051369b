"""The house rules of ``CONTRIBUTING.md`` that a program can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "heed"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


def test_a_file_can_be_read_in_one_sitting() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for folder in (SOURCE, ROOT / "tests")
        for path in sorted(folder.rglob("*.py"))
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 500
    ]
    assert not long, "\n".join(long)


def test_a_function_is_a_story_of_150_lines_at_most() -> None:
    long = [
        f"{name}:{node.lineno}: {node.name} has {length} lines"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > 150
    ]
    assert not long, "\n".join(long)


def test_everything_public_says_what_it_is() -> None:
    silent = [name for name, tree in trees() if not ast.get_docstring(tree)]
    silent += [
        f"{name}: {qualified}"
        for name, tree in trees()
        for qualified, node in public_definitions(tree.body)
        if not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_nothing_is_ambient() -> None:
    """No ``global``: what a function needs, it is given."""
    wrong = [
        f"{name}:{node.lineno}" for name, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Global)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_error_is_swallowed() -> None:
    """No bare ``except:``, and no handler of everything that does nothing."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (ast.unparse(node.type) in ("Exception", "BaseException") and ast.unparse(node.body[0]) == "pass")
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints() -> None:
    """Everything else returns values, writes files or tells a Progress."""
    allowed = ("src/heed/cli/", "src/heed/runtime/progress.py")
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if not name.startswith(allowed)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong, "\n".join(wrong)


def test_records_and_settings_are_frozen() -> None:
    """Every dataclass of the nouns, the roles and the batches is frozen, with slots and keywords."""
    wanted = {"frozen", "slots", "kw_only"}
    wrong = []
    for name, tree in trees():
        if name not in ("src/heed/records.py", "src/heed/roles.py", "src/heed/data/batches.py"):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "dataclass":
                    given = {keyword.arg for keyword in decorator.keywords}
                    if not wanted <= given:
                        wrong.append(f"{name}:{node.lineno}: {node.name} lacks {', '.join(sorted(wanted - given))}")
    assert not wrong, "\n".join(wrong)


def test_no_work_is_left_as_a_comment() -> None:
    markers = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    wrong = [
        f"{path.relative_to(ROOT)}: {marker}"
        for path in sorted(SOURCE.rglob("*.py"))
        for marker in markers
        if marker in path.read_text(encoding="utf-8")
    ]
    assert not wrong, "\n".join(wrong)
