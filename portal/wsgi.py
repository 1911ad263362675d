"""The WSGI application: rendered pages first, Django behind them."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

django_application = get_wsgi_application()

from apps.statuspage.front import serve_rendered_first  # noqa: E402  (needs the settings of the line above)

application = serve_rendered_first(django_application)
