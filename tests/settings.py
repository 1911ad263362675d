"""The settings of the suite: the portal's own, on a private PostgreSQL that our launcher starts for this run.

Wake-ups are off (PORTAL_NUDGES=0) except in tests that start a real worker of their own.
"""

import os
import tempfile
from pathlib import Path

_HOME = tempfile.TemporaryDirectory(prefix="portal-tests-")
# The server may run as another user, who must be able to pass through.
Path(_HOME.name).chmod(0o711)
for _name in [name for name in os.environ if name.startswith(("PORTAL_", "EMAIL_"))]:
    if not _name.startswith("PORTAL_TEST_"):
        del os.environ[_name]
os.environ.update(
    PORTAL_HOME=_HOME.name, PORTAL_PG_FAST="1", PORTAL_NUDGES="0", PORTAL_LOG_LEVEL="ERROR"
)
os.environ.pop("DATABASE_URL", None)
if _own := os.environ.get("PORTAL_TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = _own
else:
    from portal.embedded import ensure

    os.environ["DATABASE_URL"] = ensure(Path(_HOME.name))

from portal.settings import *  # noqa: E402, F403

DATABASES["default"]["TEST"] = {"NAME": f"test_portal_{os.getpid()}"}  # type: ignore[index]  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
