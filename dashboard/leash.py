"""A child process that cannot outlive its parent, however the parent dies.

Linux only (PR_SET_PDEATHSIG, prctl(2)): elsewhere a killed parent leaves its children behind.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends. Survives exec.

    Call it in the child, with the pid of the parent: a parent that died before the call is noticed too.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # leash.py PARENT PROGRAM ARGUMENT...: becomes the program, tied to the parent. It leaves no core file, which would
    # hold what it had in memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  (our own command: private_server.py)
