"""Errors a person can act on.

Every error says which name, which value, what was expected and what to do. All of them are :class:`HeedError`, so
the command line turns any of them into one clear sentence and exit status 2; each also inherits the standard
exception it specialises, so code that knows nothing of Heed can still catch it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeedError(Exception):
    """Base of all errors that are the user's to mend."""


class ConfigError(HeedError, ValueError):
    """A setting is unknown, has the wrong type or an impossible value."""


class DataError(HeedError, ValueError):
    """A data file cannot be read as what it should be: the message names file, line and field."""


class WorkspaceError(HeedError, RuntimeError):
    """A workspace is missing, locked by another run, or written by a newer version of Heed."""


class ModelError(HeedError, ValueError):
    """A model directory is incomplete, or a model cannot do what is asked of it."""


class TokenizerError(ModelError):
    """A tokenizer lacks something training needs, such as an end-of-sequence token."""


class ExactnessError(HeedError, RuntimeError):
    """A check that must hold before PPO's first update does not: the message names the check and the numbers."""


class NonFiniteError(HeedError, ArithmeticError):
    """A loss or gradient is NaN or infinite. Raised before the weights move."""


class EndpointError(HeedError, OSError):
    """A remote model endpoint did not answer as its protocol says."""


class LeaseError(HeedError, RuntimeError):
    """A task is not, or no longer, this labeler's to work on. The message says what became of it, and no more."""


class AccessError(HeedError, PermissionError):
    """Someone may not do this, now or at all."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion to end an error message with: ``" Did you mean 'kl_coef'?"``, or nothing if no name is near.

    >>> nearest("kl_cof", ["kl_coef", "seed"])
    " Did you mean 'kl_coef'?"
    """
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not found:  # the user may have left out the section: "kl_coef" for "ppo.kl_coef"
        found = [known_name for known_name in names if known_name.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]][:1]
    return f" Did you mean {found[0]!r}?" if found else ""
