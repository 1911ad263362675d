from django.apps import AppConfig


class StatuspageConfig(AppConfig):
    name = "apps.statuspage"
