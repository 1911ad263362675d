"""Addresses of people, keys, and one's own account, under /console/."""

from django.urls import path

from apps.accounts.views import account, audit, keys, people

app_name = "accounts"
urlpatterns = [
    path("people/", people.people, name="people"),
    path("people/roles/", people.roles, name="roles"),
    path("people/invite/", people.invite, name="invite"),
    path("people/<int:pk>/", people.person, name="person"),
    path("people/<int:pk>/invite-again/", people.invite_again, name="invite_again"),
    path("people/<int:pk>/role/", people.change_role, name="role"),
    path("people/<int:pk>/deactivate/", people.deactivate, name="deactivate"),
    path("people/<int:pk>/reactivate/", people.reactivate, name="reactivate"),
    path("keys/", keys.keys, name="keys"),
    path("keys/issue/", keys.issue, name="issue_key"),
    path("keys/<int:pk>/rotate/", keys.rotate, name="rotate_key"),
    path("keys/<int:pk>/revoke/", keys.revoke, name="revoke_key"),
    path("audit/", audit.log, name="audit"),
    path("audit/check/", audit.check, name="check_audit"),
    path("audit/export.csv", audit.export_csv, name="audit_csv"),
    path("audit/export.ndjson", audit.export_ndjson, name="audit_ndjson"),
    path("account/", account.account, name="account"),
    path("account/password/", account.password, name="password"),
    path("account/sessions/end/", account.end_sessions, name="end_sessions"),
]
