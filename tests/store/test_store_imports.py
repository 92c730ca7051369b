"""The store and the feedback package are light to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import heed.feedback
import heed.store


def loaded_after(code: str) -> set[str]:
    """Top-level packages that are loaded after ``code`` has run in a new interpreter."""
    probe = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout.split())


def modules(package: object) -> list[str]:
    root = Path(package.__path__[0])  # type: ignore[attr-defined]
    skipped = ("migrations",)
    return [
        f"{package.__name__}.{path.stem}"  # type: ignore[attr-defined]
        for path in sorted(root.glob("*.py"))
        if path.stem not in ("__init__", *skipped)
    ]


def test_no_module_imports_torch() -> None:
    names = [*modules(heed.store), *modules(heed.feedback)]
    loaded = loaded_after(f"import {', '.join(names)}")
    assert not loaded & {"torch", "transformers", "tokenizers", "matplotlib"}


@pytest.mark.parametrize("code", ["import heed.store", "from heed.store import Workspace"])
def test_the_store_is_imported_only_when_one_is_opened(code: str) -> None:
    assert not loaded_after(code) & {"sqlalchemy", "alembic"}


def test_alembic_is_imported_only_to_migrate(tmp_path: Path) -> None:
    open_store = f"from heed.store import Store; Store.open({str(tmp_path / 'heed.db')!r})"
    assert "alembic" in loaded_after(open_store)
    assert "alembic" not in loaded_after(open_store)


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Stroe'"):
        heed.store.Stroe  # type: ignore[attr-defined]  # noqa: B018
