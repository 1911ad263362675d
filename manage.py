#!/usr/bin/env python
"""Run a command of the portal. This file has to parse on any Python, so that an unfit one can be told so."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (for whoever has no fit one)
    sys.stderr.write(
        "The portal needs Python 3.11 or newer; this is %d.%d (%s).\n"  # noqa: UP031
        "Use `make`, which looks for a fit one, or .venv/bin/python manage.py.\n"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
    sys.exit(1)

from portal.embedded.commandline import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
