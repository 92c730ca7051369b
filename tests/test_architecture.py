"""The floors of ``docs/architecture.md``: imports go down only, and some things are done in one place only.

Read from the syntax tree, so that imports inside functions count too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "heed"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("records",),
    ("roles", "config", "files", "stats", "forms"),
    ("form_library",),
    ("ops", "sandbox"),
    ("runtime", "store"),
    ("data",),
    ("models",),
    ("generation", "feedback"),
    ("training", "evaluation", "web"),
    ("reports",),
    ("pipeline",),
    ("stages",),
    ("recipes",),
    ("planning",),
    ("cli",),
    ("__main__",),
    ("__main__",),
)
"""From the ground up. Packages side by side do not know each other."""

ONLY_IN = {
    "torch": ("ops", "runtime", "data", "models", "generation", "training", "evaluation", "stages", "planning"),
    "torch.distributed": ("runtime", "models"),
    "transformers": ("data", "models", "generation"),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "sqlite3": ("store",),
    "typer": ("cli",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "nh3": ("web",),
    "argon2": ("web",),
    "httpx": ("feedback", "generation"),
}
"""Libraries, and the packages that may import them."""

TORCH_FREE = (
    "records",
    "roles",
    "errors",
    "config",
    "files",
    "stats",
    "forms",
    "form_library",
    "sandbox",
    "store",
    "feedback",
    "web",
    "reports",
    "cli",
)


def part_of(path: Path) -> str:
    """``src/heed/ops/kl.py`` is part of ``ops``, ``src/heed/records.py`` of ``records``."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module a file imports, wherever in the file, with its line. Relative imports are not used in Heed."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def floor_of(part: str) -> int:
    return next(height for height, parts in enumerate(FLOORS) if part in parts)


def test_every_package_has_a_floor() -> None:
    assert {part_of(path) for path in sources()} <= {part for parts in FLOORS for part in parts}


def test_imports_go_down() -> None:
    wrong = []
    for path in sources():
        here = part_of(path)
        for line, module in imports(path):
            if not module.startswith("heed."):
                continue
            there = module.split(".")[1]
            if there not in (here, "__version__") and floor_of(there) >= floor_of(here):
                wrong.append(f"{path.relative_to(SOURCE)}:{line}: {here} imports {there}, which is not below it")
    assert not wrong, "\n".join(wrong)


def test_training_does_not_know_who_judges_it() -> None:
    """An evaluator arrives as a callable."""
    unwanted = {"feedback", "web", "evaluation", "reports"}
    wrong = [
        f"{path.name}:{line}: {module}"
        for path in sorted((SOURCE / "training").rglob("*.py"))
        for line, module in imports(path)
        if module.startswith("heed.") and module.split(".")[1] in unwanted
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}: {module}"
        for path in sources()
        for line, module in imports(path)
        if (module + ".").startswith(library + ".") and part_of(path) not in ONLY_IN[library]
    ]
    assert not wrong, "\n".join(wrong)


def test_only_one_file_moves_weights() -> None:
    """``optimizer.step()`` stands in ``training/step.py`` and nowhere else."""
    wrong = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in sources()
        if path != SOURCE / "training" / "step.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "step"
        and "optim" in ast.unparse(node.func.value).lower()
    ]
    assert not wrong, "\n".join(wrong)


def test_only_start_up_reads_the_environment() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in sources()
        if part_of(path) not in ("runtime", "cli")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv")
    ]
    assert not wrong, "\n".join(wrong)


def test_what_handles_peoples_work_runs_without_torch() -> None:
    """Importing every module of the torch-free packages loads neither torch nor transformers."""
    modules = [
        "heed." + ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for path in sources()
        if part_of(path) in TORCH_FREE and "migrations" not in path.parts
    ]
    program = [
        "import importlib, sys",
        f"sys.path.insert(0, {str(SOURCE.parent)!r})",
        f"for name in {modules!r}: importlib.import_module(name)",
        "sys.exit(', '.join(sorted({'torch', 'transformers'} & set(sys.modules))) or None)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"loaded by the torch-free packages: {done.stderr}"


def test_the_check_sees_a_wrong_import(tmp_path: Path) -> None:
    """The reader of imports finds the ones inside functions too."""
    path = tmp_path / "wrong.py"
    path.write_text("import os\ndef f():\n    from heed.training import ppo\n    import torch.distributed as dist\n")
    assert list(imports(path)) == [(1, "os"), (3, "heed.training.ppo"), (4, "torch.distributed")]
