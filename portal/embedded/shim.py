"""Stand between a supervisor and one of its programs, so that nothing of the program outlives either.

Run as a file, `python -I -S shim.py LIFELINE PROGRAM ARGUMENT…`. LIFELINE is the descriptor of a pipe whose other
end only the supervisor holds: when it closes, the supervisor is gone, and everything below us is killed. It also
carries orders: `t` passes SIGTERM to the program, `k` kills all.

We are the subreaper: whatever the program's children leave behind becomes our child, whatever process group or
session it put itself into. When the program ends we kill what is left and end with its exit code.
"""

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(lifeline: int, argv: list[str]) -> int:
    """Run the program; return its exit code, 128 + n when signal n ended it, as a shell does."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_inheritable(lifeline, False)  # noqa: FBT003
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for sign in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, lambda *_: None)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    program = _start(argv)
    while (code := _reap(program)) is None:
        readable = select.select([lifeline, woken], [], [])[0]
        orders = os.read(lifeline, 64) if lifeline in readable else b""
        if b"k" in orders or (lifeline in readable and not orders):
            break
        signals = os.read(woken, 64) if woken in readable else b""
        if b"t" in orders or signal.SIGTERM in signals or signal.SIGINT in signals:
            os.kill(program, signal.SIGTERM)
    _kill_all()
    return 128 + signal.SIGKILL if code is None else code


def _start(argv: list[str]) -> int:
    """Start the program as a child and return its number."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    shim = os.getpid()
    if pid := os.fork():
        return pid
    try:
        # Should somebody kill the shim alone, the program must not go on without one.
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        for sign in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, programs should not
            signal.signal(sign, signal.SIG_DFL)
        if os.getppid() == shim:
            os.execvp(argv[0], argv)  # noqa: S606  (no shell, as intended)
    except OSError as error:
        print(f"cannot run {argv[0]}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
    finally:
        os._exit(127)


def _reap(program: int) -> int | None:
    """Collect every child that ended, orphans too; return the program's exit code when it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 127
        if pid == 0:
            return None
        if pid == program:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _kill_all() -> None:
    """Kill every descendant; those whose parents die become our children and are met in the next round."""
    for _ in range(1000):
        pids = _children()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                pass
        if not pids:
            return
        time.sleep(0.005)


def _children() -> list[int]:
    """Return our children, living or ended, from /proc."""
    me = os.getpid()
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208  (no pathlib: it would be half of our memory)
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # "1234 (a name) S 1 …": the name may hold anything, so count from its end.
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == me:
            found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
