from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        """Hear of sign-ins."""
        from apps.accounts import sessions  # noqa: PLC0415  (it needs the models)

        sessions.listen()
