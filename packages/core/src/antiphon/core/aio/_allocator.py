"""What receiving costs in memory management.

A selector loop asks the socket for up to 256 KiB at a time and gives back what did not
come. The GNU C library serves so large a block by a mapping of its own as long as no such
block was ever freed whole: each read is then three system calls (``mmap``, ``mremap``,
``munmap``) and a page fault besides the one that reads. It learns from the first large
block that is freed (``mallopt(3)``, "dynamic mmap threshold") and keeps such blocks in the
heap from then on.
"""

import functools
from typing import Final

__all__ = ("learn_block_size",)

_LARGER_THAN_A_READ: Final = 1024 * 1024


@functools.cache
def learn_block_size() -> None:
    """Let the allocator see a block larger than those that are read into: once in a process.

    Costs nothing that lasts; of no use, and no harm, with other allocators.
    """
    bytes(_LARGER_THAN_A_READ)
