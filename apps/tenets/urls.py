"""Addresses of tenets."""

from django.urls import path

from apps.tenets import views

app_name = "tenets"

urlpatterns = [
    path("", views.listing, name="list"),
    path("new/", views.new, name="new"),
    path("guide/", views.guide, name="guide"),
    path("import/", views.import_, name="import"),
    path("<slug:slug>/", views.detail, name="detail"),
    path("<slug:slug>/write/", views.write, name="write"),
    path("<slug:slug>/<int:number>/", views.decide, name="decide"),
    path("<slug:slug>/<int:number>/openslo.yaml", views.openslo, name="openslo"),
]
