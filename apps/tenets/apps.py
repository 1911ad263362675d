from django.apps import AppConfig


class TenetsConfig(AppConfig):
    name = "apps.tenets"
