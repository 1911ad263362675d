"""The keeper: `python -m portal.embedded.keeper HOME` owns the PostgreSQL of one PORTAL_HOME.

It lives in a session of its own and ends when no process holds a lock on `run/postgres.users` any more. If the
server is killed while somebody uses it, it starts it again; if the keeper is killed, the server stops by itself.
It says one line of JSON on standard output: {"ready": true}, {"busy": true} or {"error": "…"}.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from portal.embedded.errors import EmbeddedError
from portal.embedded.home import Home, open_lock, try_lock
from portal.embedded.postgres import Postgres

#: Seconds between two looks at whether anybody still uses the server.
LOOK = 0.1
#: Seconds after which a server that will not come back is given up.
GIVE_UP = 120.0
WAKE = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
LOG_LIMIT = 5 * 2**20


def main(path: str) -> int:
    """Keep the server of this home until nobody uses it."""
    home = Home(Path(path))
    # Taken in turn by sigtimedwait below: no handler ever runs between two lines.
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKE)
    try:
        lock = open_lock(home.run / "postgres.lock")
        users = open_lock(home.run / "postgres.users")
        if not _take(lock):
            _say(busy=True)
            return 0
        home.state.unlink(missing_ok=True)
        _shorten(home.log)
        server = Postgres(home)
        server.start()
    except (EmbeddedError, OSError) as error:
        _say(error=str(error))
        return 1
    os.chdir("/")
    _announce(home, server)
    _say(ready=True)
    _let_go_of_output()
    try:
        _keep(home, server, users)
    finally:
        home.state.unlink(missing_ok=True)
        server.stop()
        server.tidy()
    del lock  # held until here, and by the system until the process is gone
    return 0


def _take(lock: int) -> bool:
    """Take the keeper's lock; others look at it in passing, so one refusal means nothing."""
    for _ in range(20):
        if try_lock(lock):
            return True
        time.sleep(0.01)
    return False


def _keep(home: Home, server: Postgres, users: int) -> None:
    """Watch the server until the last user has gone or we are told to end."""
    while True:
        woken = signal.sigtimedwait(WAKE, LOOK)
        if woken is not None and woken.si_signo != signal.SIGCHLD:
            return
        if server.process is not None and server.process.poll() is not None:
            home.state.unlink(missing_ok=True)
            _restart(home, server, users)
        if try_lock(users):
            return


def _restart(home: Home, server: Postgres, users: int) -> None:
    """Start a server that died; again and again for two minutes while somebody wants it."""
    end = time.monotonic() + GIVE_UP
    pause = 0.1
    while True:
        try:
            server.start()
        except EmbeddedError as error:
            print(f"keeper: {error}", file=sys.stderr, flush=True)  # noqa: T201  (its log)
            if time.monotonic() > end or try_lock(users):
                raise
            time.sleep(pause)
            pause = min(pause * 2, 5)
        else:
            _announce(home, server)
            return


def _announce(home: Home, server: Postgres) -> None:
    assert server.process is not None  # noqa: S101
    draft = home.state.with_suffix(f".{os.getpid()}")
    state = {"sockets": str(server.sockets), "keeper": os.getpid(), "server": server.process.pid}
    draft.write_text(json.dumps(state))
    draft.replace(home.state)


def _say(**word: object) -> None:
    with suppress(OSError):  # killed meanwhile
        print(json.dumps(word), flush=True)  # noqa: T201  (the answer to whoever started us)


def _let_go_of_output() -> None:
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 1)


def _shorten(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
