"""Two settings of the process that make training on a CPU faster; a command makes them, a library must not."""

import ctypes
import os

# From malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def tune_process() -> None:
    """Set how threads wait and how memory is kept; must come before torch is imported.

    Both leave alone what the environment says otherwise.
    """
    # torch's OpenMP threads wait for each other by spinning, 300,000 turns before they sleep. Where another process is
    # busy that takes most of the speed; sleeping at once takes a third of it where none is. 5,000 turns keep nearly
    # all of both.
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "5000"
    # glibc gives large blocks back to the system as soon as they are free, so that every batch is paid for with fresh,
    # zeroed pages. Kept, they are used again: the process holds its peak memory, and no more than that.
    if not {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & os.environ.keys():
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, 2**30)
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
