"""Addresses of outreach."""

from django.urls import include, path

from apps.outreach import views

app_name = "outreach"

# /console/outreach/<pk>/
message_urls = [
    path("", views.outreach_detail, name="detail"),
    path("preview/", views.preview, name="preview"),
    path("edit/", views.edit, name="edit"),
    path("write-anew/", views.write_anew, name="write_anew"),
    path("submit/", views.submit, name="submit"),
    path("approve/", views.approve, name="approve"),
    path("send-back/", views.send_back, name="send_back"),
    path("pause/", views.pause, name="pause"),
    path("resume/", views.resume, name="resume"),
    path("withdraw/", views.withdraw, name="withdraw"),
    path("close/", views.close, name="close"),
    path("deliveries/<int:delivery>/settle/", views.settle, name="settle"),
]

urlpatterns = [
    path("", views.outreach_list, name="list"),
    path("<int:pk>/", include(message_urls)),
]
