"""The broker's guard: a tiny process between Pumasi and the JVM, so that no JVM is ever left behind.

    pumasi ──pipe──► guard ──child──► JVM
      its end closes: a stop was asked for, or pumasi died, kill -9 included; the guard ends the JVM: SIGTERM, then SIGKILL
                     guard dies: the kernel kills the JVM (Linux: PR_SET_PDEATHSIG)
                                     JVM ends: the guard ends with its status

Why not PR_SET_PDEATHSIG on the JVM alone: it fires when the *thread* that started the child ends, and a thread pool's does;
and it gives the JVM no chance to stop cleanly. The guard has one thread, and the pipe works on every POSIX system.

Standard library only, run as `python -I -S guard.py LIFELINE_FD GRACE_S COMMAND…`; prints the JVM's process id.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(lifeline: int, grace_s: float, command: list[str]) -> int:
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    jvm = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=2, close_fds=False, preexec_fn=die_with_guard(os.getpid())
    )
    print(jvm.pid, flush=True)
    os.close(1)  # the reader sees the end of this message
    while jvm.poll() is None:
        ready, _, _ = select.select([lifeline, wake_r], [], [])
        if lifeline in ready or asked:
            end(jvm, grace_s)
        if wake_r in ready:
            os.read(wake_r, 512)
    return jvm.returncode


def end(jvm: "subprocess.Popen[bytes]", grace_s: float) -> None:
    jvm.terminate()
    try:
        jvm.wait(grace_s)
    except subprocess.TimeoutExpired:
        jvm.kill()
        jvm.wait()


def die_with_guard(guard: int) -> Callable[[], None]:
    """What the child does before it becomes Java. On systems without prctl it does nothing: the pipe still covers them."""
    libc = None
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ImportError):
            import ctypes

            libc = ctypes.CDLL(None)

    def before_exec() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != guard:  # died before the line above
                os._exit(1)

    return before_exec


if __name__ == "__main__":
    status = main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    os._exit(status if status >= 0 else 128 - status)
