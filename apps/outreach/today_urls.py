"""The address of Today."""

from django.urls import path

from apps.outreach import customer_views

urlpatterns = [path("", customer_views.front_door, name="today")]
