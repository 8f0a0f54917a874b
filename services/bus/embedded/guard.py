"""The broker's guard: a tiny process between Pumasi and the JVM, so that no JVM is ever left behind.

    pumasi ──pipe──► guard ──child──► JVM
      its end closes: a stop was asked for, or pumasi died, kill -9 included; the guard ends the JVM: SIGTERM, then SIGKILL
                     guard dies: the kernel kills the JVM (Linux: PR_SET_PDEATHSIG)
                                     JVM ends: the guard ends with its status

Why not PR_SET_PDEATHSIG on the JVM alone: it fires when the *thread* that started the child ends, and a thread pool's does;
and it gives the JVM no chance to stop cleanly. The guard has one thread, and the pipe works on every POSIX system.

Standard library only, and little of it, since there is one for each process that is kept: `subprocess` alone would take half as much
again. Run as `python -I -S guard.py LIFELINE_FD GRACE_S COMMAND…`; prints the JVM's process id, and its output ends when the JVM has.
"""

import _signal as signal  # type: ignore[import-not-found]  # without the enumerations of `signal`, which take a third of all that is here
import os
import select
import sys
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOT_STARTED = 127  # as shells say it


def main(lifeline: int, grace_s: float, command: list[str]) -> int:
    """Keep the command until it ends; its exit status, or minus the signal that ended it."""
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked: list[int] = []
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # none is lost: the child must not take one for the guard
    jvm = start(command)
    for number in STOPS:
        signal.signal(number, lambda received, _frame: asked.append(received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.write(1, b"%d\n" % jvm)
    kill_at: float | None = None
    while True:
        ended, status = os.waitpid(jvm, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        watched = [wake_r] if kill_at else [lifeline, wake_r]  # a pipe that is closed is ready for ever
        ready, _, _ = select.select(watched, [], [], kill_at and max(0.0, kill_at - time.monotonic()))
        if wake_r in ready:
            os.read(wake_r, 512)
        if kill_at is None and (lifeline in ready or asked):
            os.kill(jvm, signal.SIGTERM)
            kill_at = time.monotonic() + grace_s
        elif kill_at and time.monotonic() >= kill_at:
            os.kill(jvm, signal.SIGKILL)
            kill_at += grace_s


def start(command: list[str]) -> int:
    """Start the command, which dies with this process; its process id."""
    guard = os.getpid()
    if child := os.fork():
        return child
    try:
        die_with(guard)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and so would the command
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        os.execvp(command[0], command)  # noqa: S606  # it is ours
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def die_with(guard: int) -> None:
    """Have the kernel kill this process when its parent dies. On systems without prctl nothing is done: the pipe still covers them."""
    if sys.platform != "linux":
        return
    try:
        import ctypes  # here, in the child, which becomes something else: the guard needn't hold it

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, ImportError):
        return
    if os.getppid() != guard:  # died before the line above
        os._exit(1)


if __name__ == "__main__":
    status = main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    os._exit(status if status >= 0 else 128 - status)
