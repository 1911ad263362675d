"""The address of the system map: /console/system/."""

from django.urls import path

from apps.incidents.views import system

app_name = "system"

urlpatterns = [path("", system, name="map")]
