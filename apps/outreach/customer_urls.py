"""Addresses of customers."""

from django.urls import path

from apps.customers import views
from apps.outreach import customer_views

app_name = "customers"

urlpatterns = [
    path("", customer_views.customers, name="list"),
    path("new/", views.new, name="new"),
    path("import/", views.imports, name="import"),
    path("import/<int:pk>/", views.import_report, name="import_report"),
    path("import/<int:pk>/bad-lines.csv", views.bad_lines, name="import_bad_lines"),
    path("import/<int:pk>/apply/", views.apply_import, name="import_apply"),
    path("import/<int:pk>/discard/", views.discard_import, name="import_discard"),
    path("export.csv", views.export, name="export"),
    path("<slug:slug>/", customer_views.profile, name="profile"),
    path("<slug:slug>/edit/", views.edit, name="edit"),
    path("<slug:slug>/archive/", views.archive, name="archive"),
    path("<slug:slug>/contacts/new/", views.contact, name="contact_new"),
    path("<slug:slug>/contacts/<int:pk>/", views.contact, name="contact"),
    path("<slug:slug>/contacts/<int:pk>/remove/", views.remove_contact, name="contact_remove"),
]
