"""What manage.py does around Django: a database for the commands that need one, brought up to date, and quiet ends."""

import hashlib
import os
import sys

from portal.embedded import EmbeddedError, ensure, own_server
from portal.embedded.home import ROOT, locked
from portal.embedded.scratch import ON_SCRATCH, use_demo_home, use_scratch_home

#: Commands that never ask the database.
WITHOUT_DATABASE = {
    "help",
    "version",
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "djade",
    "findstatic",
    "makemessages",
    "startapp",
    "startproject",
}
#: Commands that want the database as it is.
AS_IT_IS = {"dbshell", "makemigrations", "migrate", "showmigrations", "sqlmigrate", "test"}


def main(argv: list[str]) -> int:
    """Run one command line and return its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    open_closed_streams()
    try:
        code = _run(argv)
        sys.stdout.flush()
    except EmbeddedError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to write the rest.
        _write_no_more()
        return 141
    except OSError as error:
        _write_no_more()
        return _refuse(
            f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}."
        )
    except UnicodeEncodeError:
        return _refuse("An argument or a setting is not text in UTF-8.")
    except Exception as error:
        if not _is_of_the_database(error):
            raise
        return _refuse(f"The database refused: {str(error).strip()}")
    return code


def open_closed_streams() -> None:
    """Open what the caller has closed: the next file opened must not become our standard output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _refuse(message: str) -> int:
    print(f"manage.py: {message}", file=sys.stderr)  # noqa: T201
    return 1


def _write_no_more() -> None:
    """Keep the interpreter from writing at its end what could not be written before."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_of_the_database(error: Exception) -> bool:
    """Tell whether the database is away or refused a value; a statement that is wrong is our fault."""
    if "django.db" not in sys.modules:
        return False
    from django.db import DataError, InterfaceError, OperationalError  # noqa: PLC0415

    return isinstance(error, DataError | InterfaceError | OperationalError)


def _run(argv: list[str]) -> int:
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "django":
            raise EmbeddedError(
                f"Django is not installed for {sys.executable}.\n"
                "Run `make demo` once, then use .venv/bin/python manage.py."
            ) from error
        raise
    if needs_database(argv):
        if argv[1] == "demo":
            use_demo_home()
        elif argv[1] in ON_SCRATCH and len(argv) > 2:
            use_scratch_home()
        ensure()
        if argv[1] not in AS_IT_IS:
            bring_up_to_date(argv[1])
    execute_from_command_line(argv)
    return 0


def needs_database(argv: list[str]) -> bool:
    """Tell whether the command line needs a database at all."""
    if len(argv) < 2 or {"--help", "-h", "--version"} & set(argv[1:]):
        return False
    if argv[1] == "check":
        return any(word.split("=")[0] == "--database" for word in argv[2:])
    return argv[1] not in WITHOUT_DATABASE


def bring_up_to_date(command: str) -> None:
    """Apply migrations to our own server's database when they are not those of the last time.

    Comparing costs some milliseconds and no Django. A database given by DATABASE_URL is its owner's business.
    """
    server = own_server()
    if server is None or server.home.remembers("migrated", mark := migrations_mark()):
        return
    import django  # noqa: PLC0415
    from django.core.management import call_command, get_commands  # noqa: PLC0415

    django.setup()
    if command not in get_commands():
        return
    with locked(server.home.run / "migrate.lock", seconds=600, what="apply migrations"):
        if not server.home.remembers("migrated", mark):
            call_command("migrate", interactive=False, verbosity=0)
            server.home.remember("migrated", mark)


def migrations_mark() -> str:
    """Return a hash over all migrations of the project and Django's version."""
    from django import VERSION  # noqa: PLC0415

    digest = hashlib.blake2b(repr(VERSION).encode(), digest_size=16)
    for path in sorted(ROOT.glob("apps/*/migrations/*.py")):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
