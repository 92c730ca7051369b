"""What the C library does with memory that was freed: keep it for the next step, or give it back."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
_KEPT = 2**30
"""Bytes that may lie idle at the end of the heap, and the size of the smallest tensor that does not go there."""
_OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, since a training step frees what the next one needs.

    By default glibc gives it back to the system as soon as there is more of it than of the largest tensor so far; the
    system then has to clear each page and map it again at the next step. Where models are small, as in the sandbox,
    that was a sixth of the time. :func:`give_back_freed_memory` empties the store. Somebody's own settings in the
    environment (``MALLOC_TRIM_THRESHOLD_`` and so on) stay; other C libraries are left alone.
    """
    if any(name in os.environ for name in _OWN_CHOICE):
        return
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  (AttributeError where it is another library)
        library.mallopt(_MMAP_THRESHOLD, _KEPT)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)


def give_back_freed_memory() -> None:
    """Give free memory back to the system, as far as it can be."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
