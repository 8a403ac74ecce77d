"""What the C library does with memory that a process frees, which every step of a training does."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""As ``malloc.h`` numbers them."""
MOST, MOST_MAPPED = 1 << 30, 1 << 25
"""Bytes; older versions of the library refuse a larger threshold of mapping."""
SHARE = 1 / 8
"""Of a limit on the memory of a process, for what it keeps counts towards that."""


def keep_freed_memory(limit: int | None = None) -> None:
    """Has this process keep blocks that it frees, for what it allocates next.

    The GNU C library gives large blocks back at once, and the machine clears each page before it
    hands it out again: a quarter of the time of a step of convolutions. Other libraries are left as
    they are.

    Args:
        limit: bytes that the process may take, if there is a limit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        kept = MOST if limit is None else min(MOST, int(SHARE * limit))
        mallopt(TRIM_THRESHOLD, kept)
        # Zero says that it was refused.
        mallopt(MMAP_THRESHOLD, kept) or mallopt(MMAP_THRESHOLD, min(kept, MOST_MAPPED))
