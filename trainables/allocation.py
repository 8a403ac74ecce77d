"""What the C library does with memory that a process frees, which every step of a training does."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""As ``malloc.h`` numbers them."""
KEPT = 1 << 30
MOST_OF_OLDER = 1 << 25
"""Bytes; older versions of the library refuse a larger threshold of mapping."""


def keep_freed_memory() -> None:
    """Has this process keep up to a GiB of what it frees, for what it allocates next.

    The GNU C library gives large blocks back at once, and the machine clears each page before it
    hands it out again: a quarter of the time of a step of convolutions. Other libraries are left as
    they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, KEPT)
        # Zero says that it was refused.
        mallopt(MMAP_THRESHOLD, KEPT) or mallopt(MMAP_THRESHOLD, MOST_OF_OLDER)
