"""Settings of the portal: one file, read from the environment; `manage.py check` reports what is wrong with it.

Everything that an installation keeps lives in PORTAL_HOME. Without any variable set, the portal runs on this
machine with its own PostgreSQL.
"""

import sys
from pathlib import Path

from portal import env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

# What an installation keeps
PORTAL_HOME = Path(env.text("PORTAL_HOME") or BASE_DIR / ".portal").absolute()
EVENTS_DIR = PORTAL_HOME / "events"
STATUS_DIR = PORTAL_HOME / "status"
CHARTS_DIR = PORTAL_HOME / "charts"

# Where and how it runs
PORTAL_PRODUCTION = env.flag("PORTAL_PRODUCTION")
PORTAL_URL = env.text("PORTAL_URL", "http://127.0.0.1:8000").rstrip("/")
PORTAL_NAME = env.text("PORTAL_NAME", "Status")
PORTAL_ACCENT = env.text("PORTAL_ACCENT")
PORTAL_PROCESS = env.text("PORTAL_PROCESS", "command")  # web, worker, beat or command
SECRET_KEY = env.kept_secret("PORTAL_SECRET_KEY", PORTAL_HOME / "secret")
# The key under which people become pseudonyms. Apart from SECRET_KEY: rotating one must not change the other.
PORTAL_ACTOR_KEY = env.kept_secret("PORTAL_ACTOR_KEY", PORTAL_HOME / "actor-key").encode()
# It, and those before it (`manage.py events rotate`): events hashed under them can still be found and erased.
PORTAL_ACTOR_KEYS = [
    PORTAL_ACTOR_KEY,
    *env.kept_secrets("PORTAL_ACTOR_KEYS_OLD", PORTAL_HOME / "actor-keys-old"),
]

DEBUG = False
ALLOWED_HOSTS = env.words("PORTAL_ALLOWED_HOSTS") or [
    env.address("PORTAL_URL", PORTAL_URL).hostname or "localhost",
    *([] if PORTAL_PRODUCTION else ["localhost", "127.0.0.1", "[::1]"]),
]
CSRF_TRUSTED_ORIGINS = [PORTAL_URL] if PORTAL_URL.startswith("https://") else []

# How many proxies of ours stand in front: the client's address is what the outermost of them wrote.
PORTAL_TRUSTED_PROXIES = env.integer("PORTAL_TRUSTED_PROXIES", 0)

# What attempts are broken down by, where requests carry it.
PORTAL_RULES = env.text("PORTAL_RULES")  # a rules file: apps/telemetry/rules.py
PORTAL_TRAITS = env.names("PORTAL_TRAITS", "region,country,app_version,platform", most=8)

# Limits and intervals
PORTAL_LEASE_SECONDS = env.integer("PORTAL_LEASE_SECONDS", 120, least=1)
PORTAL_SWEEP_SECONDS = env.integer("PORTAL_SWEEP_SECONDS", 15, least=1)
PORTAL_MAX_BODY = env.integer("PORTAL_MAX_BODY", 16 * 2**20, least=1024)
PORTAL_MAX_BODY_DECODED = env.integer("PORTAL_MAX_BODY_DECODED", 64 * 2**20, least=1024)
PORTAL_COMPUTE_MEMORY_MB = env.integer("PORTAL_COMPUTE_MEMORY_MB", 600, least=100)

# Events: how long and how much of them (0 = as many as there are), the room on the disk that they leave, and how many
# deliveries one web process works on, and lets wait, before it sends the next one away with 503.
EVENTS_KEEP_DAYS = env.integer("EVENTS_KEEP_DAYS", 400)
EVENTS_KEEP_BYTES = env.integer("EVENTS_KEEP_BYTES", 0)
EVENTS_LEAST_FREE = env.integer("EVENTS_LEAST_FREE", 2 * 10**9)
EVENTS_AT_ONCE = env.integer("EVENTS_AT_ONCE", 3, least=1)
EVENTS_WAITING = env.integer("EVENTS_WAITING", 4)

INSTALLED_APPS = [
    "portal",
    "apps.statuspage",
    "apps.outreach",
    "apps.guidance",
    "apps.incidents",
    "apps.impact",
    "apps.telemetry",
    "apps.tenets",
    "apps.catalog",
    "apps.customers",
    "apps.accounts",
    "apps.core",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "csp",
    "template_partials",
    "allauth",
    "allauth.account",
    "allauth.mfa",
]

MIDDLEWARE = [
    "apps.core.middleware.NotKept",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.middleware.Here",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.accounts.second_factor.SecondFactor",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.statuspage.middleware.StatusCookie",
    "apps.core.middleware.InputErrors",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.core.context.portal",
            ],
        },
    },
]

FORM_RENDERER = "apps.core.rendering.FormRenderer"

# PostgreSQL. manage.py sets DATABASE_URL to the embedded server's when it is unset.
DATABASES = {"default": env.database(env.text("DATABASE_URL"))}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if PORTAL_PROCESS == "web":
    DATABASES["default"].setdefault("OPTIONS", {})
    # A dead database must cost a page two seconds, not ten.
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 4, "timeout": 2}  # type: ignore[index]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# People
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "today"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Signing in. Sessions, second factors, codes and the limits on tries are allauth's (apps/accounts/adapters.py).
PORTAL_REQUIRE_MFA = env.flag("PORTAL_REQUIRE_MFA")
ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 10 * 60
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_FORMS = {
    "login": "apps.accounts.sign_in.PasswordSignIn",
    "request_login_code": "apps.statuspage.forms.CodeRequest",
}
ALLAUTH_TRUSTED_PROXY_COUNT = PORTAL_TRUSTED_PROXIES
MFA_ADAPTER = "apps.accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = PORTAL_URL.startswith("http://") and not PORTAL_PRODUCTION
PORTAL_OIDC = env.oidc(production=PORTAL_PRODUCTION)
# Counted in the database, so that every process counts the same.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "portal_cache",
    }
}

# Background work. The truth is a row; a message is a wake-up (see the README's "Runtime").
CELERY_BROKER_URL = (
    env.text("PORTAL_BROKER_URL") or "pgmq://localhost"
)  # the address itself is in conn_string
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = (
    {
        "conn_string": env.broker_dsn(env.text("DATABASE_URL")),
        "init_extension": False,
        "use_notify": True,
        # The server wakes us; waiting in each queue's turn would keep the others' messages lying.
        "wait_time_seconds": 0,
        # A dead database must cost a publisher two seconds, not thirty.
        "pool_timeout": 2,
        "pool_size": 4,
        "visibility_timeout": 300,
    }
    if CELERY_BROKER_URL.startswith("pgmq")
    else {"visibility_timeout": 300}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 900
CELERY_TASK_SOFT_TIME_LIMIT = 870
CELERY_TASK_DEFAULT_QUEUE = "default"
# A message is a wake-up and costs nothing to hold. With 1 the worker, once both its processes have work, asks the queue
# only every second for two more: two messages a second, fewer than the sweeps of one demo.
CELERY_WORKER_PREFETCH_MULTIPLIER = 16
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_DB_REUSE_MAX = 100
PORTAL_NUDGES = env.flag("PORTAL_NUDGES", default=True)

# Mail
_mail = env.address("EMAIL_URL", env.text("EMAIL_URL", "smtp://127.0.0.1:1025"))
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = _mail.hostname or "127.0.0.1"
EMAIL_PORT = _mail.port or 25
EMAIL_HOST_USER = _mail.username or ""
EMAIL_HOST_PASSWORD = _mail.password or ""
EMAIL_USE_SSL = _mail.scheme == "smtps"
EMAIL_USE_TLS = _mail.scheme == "smtp+tls"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.text("PORTAL_MAIL_FROM") or "portal@example.com"
# Outside production only these domains can receive: a test system must never mail real customers.
PORTAL_MAIL_DOMAINS = env.words(
    "PORTAL_MAIL_DOMAINS",
    "" if PORTAL_PRODUCTION else "example.com,example.org,example.net,*.example,localhost",
)

# Words and time
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

# Files
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = PORTAL_HOME / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
        if PORTAL_PROCESS in {"web", "worker"}
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}

# Security
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_HTTPONLY = True
if PORTAL_URL.startswith("https://"):
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = PORTAL_MAX_BODY
SILENCED_SYSTEM_CHECKS: list[str] = []

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": sys.stderr}
    },
    "root": {"handlers": ["stderr"], "level": env.level("PORTAL_LOG_LEVEL", "WARNING")},
    "loggers": {"apps": {"level": env.level("PORTAL_LOG_LEVEL", "INFO")}},
}
