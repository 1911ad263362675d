"""Every address, every role, GET and POST: what stands here, and nothing else.

Bob is a customer of Acme and Charlie of Globex; Amy looks after Acme and Max after Globex; Vic views, Ben is a
liaison, Alice leads, Ada is an admin. `in` = asked to sign in. Whatever can belong to a customer belongs to Acme.
"""

import re

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from tests.access.world import PEOPLE, World, contents, make_access_world, routes

pytestmark = pytest.mark.django_db

#: address, then the answers to nobody · Bob · Charlie · Amy · Max · Vic · Ben · Alice · Ada
TABLE = """
GET  /healthz                                                    200  200  200  200  200  200  200  200  200
GET  /accent.css                                                 200  200  200  200  200  200  200  200  200
GET  /sign-in/                                                   200  302  302  302  302  302  302  302  302
GET  /sign-in/closed/                                             200  200  200  200  200  200  200  200  200
GET  /sign-in/code/                                               200  302  302  302  302  302  302  302  302
GET  /sign-in/code/confirm/                                       302  302  302  302  302  302  302  302  302
GET  /sign-in/second-factor/                                      302  302  302  302  302  302  302  302  302
GET  /sign-in/passkey/                                            302  302  302  302  302  302  302  302  302
GET  /sign-in/oidc/company/                                       404  404  404  404  404  404  404  404  404
GET  /sign-in/oidc/company/callback/                              404  404  404  404  404  404  404  404  404
GET  /sign-out/                                                   in  405  405  405  405  405  405  405  405
GET  /first/{token}/                                              410  410  410  410  410  410  410  410  410
GET  /invitation/{token}/                                         200  200  200  200  200  200  200  200  200
GET  /api/v1/events                                              405  405  405  405  405  405  405  405  405
GET  /v1/traces                                                  405  405  405  405  405  405  405  405  405
GET  /v1/logs                                                    405  405  405  405  405  405  405  405  405
GET  /metrics                                                    401  401  401  401  401  401  401  401  401
GET  /api/v1/customers                                           401  401  401  401  401  401  401  401  401
GET  /api/v1/customers/import                                    405  405  405  405  405  405  405  405  405
GET  /api/v1/customers/a-1                                       401  401  401  401  401  401  401  401  401
GET  /errors/                                                    400  400  400  400  400  400  400  400  400
GET  /errors/502                                                 200  200  200  200  200  200  200  200  200
GET  /                                                           200  200  200  200  200  200  200  200  200
GET  /i/{reference}                                              404  404  404  404  404  404  404  404  404
GET  /for/                                                        in  200  200  200  200  200  200  200  200
GET  /for/{acme}/                                                 in  303  404  303  404  303  303  303  303
GET  /leave/                                                      in  405  405  405  405  405  405  405  405
GET  /reports/                                                    in  200  200  403  403  403  403  403  403
GET  /reports/thanks/                                             in  200  200  200  200  200  200  200  200
GET  /console/reports/                                            in  403  403  200  200  200  200  200  200
GET  /console/                                                    in  302  302  200  200  200  200  200  200
GET  /console/style/                                              in  403  403  200  200  200  200  200  200
GET  /console/settings/                                           in  403  403  200  200  200  200  200  200
GET  /console/charts/{chart}/                                     in  403  403  404  404  404  404  404  404
GET  /console/search/                                             in  403  403  200  200  200  200  200  200
GET  /console/incidents/                                          in  403  403  200  200  200  200  200  200
GET  /console/incidents/declare/                                  in  403  403  403  403  403  200  200  200
GET  /console/incidents/{incident}/                               in  403  403  200  200  200  200  200  200
GET  /console/incidents/{incident}/customers/                     in  403  403  200  200  200  200  200  200
GET  /console/incidents/{incident}/attempts/                      in  403  403  200  200  200  200  200  200
GET  /console/incidents/{incident}/compare/                       in  403  403  200  200  200  200  200  200
GET  /console/incidents/{incident}/timeline/                      in  403  403  200  200  200  200  200  200
GET  /console/incidents/{incident}/edit/                          in  403  403  403  403  403  200  200  200
GET  /console/incidents/{incident}/state/                         in  403  403  403  403  403  200  200  200
GET  /console/incidents/{incident}/severity/business/             in  403  403  403  403  403  200  200  200
GET  /console/incidents/{incident}/impact/                        in  403  403  403  403  403  405  405  405
GET  /console/incidents/{incident}/update/                        in  403  403  403  403  403  200  200  200
GET  /console/incidents/{incident}/publish/                       in  403  403  403  403  403  403  200  200
GET  /console/incidents/{incident}/discard/                       in  403  403  403  403  403  405  405  405
GET  /console/incidents/{incident}/resolve/                       in  403  403  403  403  403  403  200  200
GET  /console/system/                                             in  403  403  200  200  200  200  200  200
GET  /console/system/telemetry/                                   in  403  403  403  403  200  200  200  200
GET  /console/system/telemetry/{sender}/                          in  403  403  403  403  200  200  200  200
GET  /console/system/telemetry/{sender}/retire/                   in  403  403  403  403  403  405  405  405
GET  /console/customers/                                          in  403  403  200  200  200  200  200  200
GET  /console/customers/{slug}/                                   in  403  403  200  404  200  200  200  200
GET  /console/customers/new/                                      in  403  403  403  403  403  200  200  200
GET  /console/customers/import/                                   in  403  403  403  403  403  200  200  200
GET  /console/customers/import/{import}/                          in  403  403  403  403  403  200  200  200
GET  /console/customers/import/{import}/bad-lines.csv             in  403  403  403  403  403  200  200  200
GET  /console/customers/import/{import}/apply/                    in  403  403  403  403  403  405  405  405
GET  /console/customers/import/{import}/discard/                  in  403  403  403  403  403  405  405  405
GET  /console/customers/export.csv                                in  403  403  403  403  403  200  200  200
GET  /console/customers/{slug}/edit/                              in  403  403  200  404  403  200  200  200
GET  /console/customers/{slug}/archive/                           in  403  403  403  403  403  405  405  405
GET  /console/customers/{slug}/contacts/new/                      in  403  403  200  404  403  200  200  200
GET  /console/customers/{slug}/contacts/{contact}/                in  403  403  200  404  403  200  200  200
GET  /console/customers/{slug}/contacts/{contact}/remove/         in  403  403  405  405  403  405  405  405
GET  /console/tenets/                                             in  403  403  200  200  200  200  200  200
GET  /console/tenets/new/                                         in  403  403  403  403  403  200  200  200
GET  /console/tenets/guide/                                       in  403  403  403  403  403  200  200  200
GET  /console/tenets/import/                                      in  403  403  403  403  403  200  200  200
GET  /console/tenets/{tenet}/                                     in  403  403  200  200  200  200  200  200
GET  /console/tenets/{tenet}/write/                               in  403  403  403  403  403  200  200  200
GET  /console/tenets/{tenet}/1/                                   in  403  403  405  405  405  405  405  405
GET  /console/tenets/{tenet}/1/openslo.yaml                       in  403  403  200  200  200  200  200  200
GET  /console/outreach/                                           in  403  403  200  200  200  200  200  200
GET  /console/outreach/{outreach}/                                in  403  403  200  404  200  200  200  200
GET  /console/outreach/{outreach}/preview/                        in  403  403  200  404  200  200  200  200
GET  /console/outreach/{outreach}/edit/                           in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/write-anew/                     in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/submit/                         in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/approve/                        in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/send-back/                      in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/pause/                          in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/resume/                         in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/withdraw/                       in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/close/                          in  405  405  405  405  405  405  405  405
GET  /console/outreach/{outreach}/deliveries/{delivery}/settle/   in  405  405  405  405  405  405  405  405
GET  /console/guidance/                                           in  403  403  200  200  200  200  200  200
GET  /console/guidance/new/                                       in  403  403  403  403  403  200  200  200
GET  /console/guidance/502/anyone/                                in  403  403  200  200  200  200  200  200
GET  /console/windows/                                            in  403  403  200  200  200  200  200  200
GET  /console/windows/new/                                        in  403  403  403  403  403  200  200  200
GET  /console/windows/{window}/                                   in  403  403  200  200  200  200  200  200
GET  /console/windows/{window}/attempts/                         in  403  403  200  200  200  200  200  200
GET  /console/windows/{window}/compare/                          in  403  403  200  200  200  200  200  200
GET  /console/windows/{window}/customers/                        in  403  403  200  200  200  200  200  200
GET  /console/windows/{window}/cancel/                            in  403  403  403  403  403  405  405  405
GET  /console/windows/{window}/again/                             in  403  403  403  403  403  405  405  405
GET  /console/gaps/                                               in  403  403  200  200  200  200  200  200
GET  /console/gaps/coverage/                                      in  403  403  200  200  200  200  200  200
GET  /console/gaps/{gap}/                                         in  403  403  200  200  200  200  200  200
GET  /console/gaps/{gap}/accept/                                  in  403  403  403  403  403  405  405  405
GET  /console/gaps/{gap}/reopen/                                  in  403  403  403  403  403  405  405  405
GET  /console/gaps/{gap}/assign/                                  in  403  403  403  403  403  405  405  405
GET  /console/identification/                                     in  403  403  403  403  200  200  200  200
GET  /console/services/                                           in  403  403  200  200  200  200  200  200
GET  /console/services/new/                                       in  403  403  403  403  403  200  200  200
GET  /console/services/{service}/                                 in  403  403  200  200  200  200  200  200
GET  /console/services/{service}/edit/                            in  403  403  403  403  403  200  200  200
GET  /console/services/{service}/confirm/                         in  403  403  403  403  403  405  405  405
GET  /console/services/{service}/propose/                         in  403  403  403  403  403  405  405  405
GET  /console/services/{service}/journeys/new/                    in  403  403  403  403  403  200  200  200
GET  /console/services/{service}/dependencies/                    in  403  403  403  403  403  405  405  405
GET  /console/services/{service}/patterns/                        in  403  403  200  200  200  200  200  200
GET  /console/services/{service}/patterns/new/                    in  403  403  403  403  403  200  200  200
GET  /console/services/{service}/patterns/refuse/                 in  403  403  403  403  403  405  405  405
GET  /console/patterns/{refused}/reconsider/                      in  403  403  403  403  403  405  405  405
GET  /console/dependencies/{dependency}/remove/                   in  403  403  403  403  403  405  405  405
GET  /console/journeys/{journey}/                                 in  403  403  200  200  200  200  200  200
GET  /console/journeys/{journey}/delete/                          in  403  403  403  403  403  405  405  405
GET  /console/operations/{operation}/                             in  403  403  200  200  200  200  200  200
GET  /console/operations/{route}/drop/                            in  403  403  403  403  403  405  405  405
GET  /console/operations/{operation}/part/                        in  403  403  403  403  403  405  405  405
GET  /console/operations/{operation}/ignore/                      in  403  403  403  403  403  405  405  405
GET  /console/rules/                                              in  403  403  403  403  200  200  200  200
GET  /console/rules/new/                                          in  403  403  403  403  403  200  200  200
GET  /console/rules/test/                                         in  403  403  403  403  200  200  200  200
GET  /console/rules/{rule}/edit/                                  in  403  403  403  403  403  200  200  200
GET  /console/rules/{rule}/move/                                  in  403  403  403  403  403  405  405  405
GET  /console/rules/{rule}/switch/                                in  403  403  403  403  403  405  405  405
GET  /console/rules/{rule}/delete/                                in  403  403  403  403  403  405  405  405
GET  /console/people/                                              in  403  403  403  403  403  403  403  200
GET  /console/people/roles/                                        in  403  403  200  200  200  200  200  200
GET  /console/people/invite/                                       in  403  403  403  403  403  403  403  200
GET  /console/people/{person}/                                     in  403  403  403  403  403  403  403  200
GET  /console/people/{person}/invite-again/                        in  403  403  403  403  403  403  403  405
GET  /console/people/{person}/role/                                in  403  403  403  403  403  403  403  405
GET  /console/people/{person}/deactivate/                          in  403  403  403  403  403  403  403  405
GET  /console/people/{person}/reactivate/                          in  403  403  403  403  403  403  403  405
GET  /console/keys/                                                in  403  403  403  403  403  403  403  200
GET  /console/keys/issue/                                          in  403  403  403  403  403  403  403  200
GET  /console/keys/{key}/rotate/                                   in  403  403  403  403  403  403  403  200
GET  /console/keys/{key}/revoke/                                   in  403  403  403  403  403  403  403  405
GET  /console/audit/                                               in  403  403  403  403  403  403  403  200
GET  /console/audit/check/                                         in  403  403  403  403  403  403  403  405
GET  /console/audit/export.csv                                     in  403  403  403  403  403  403  403  200
GET  /console/audit/export.ndjson                                  in  403  403  403  403  403  403  403  200
GET  /console/account/                                             in  403  403  200  200  200  200  200  200
GET  /console/account/password/                                    in  403  403  200  200  200  200  200  200
GET  /console/account/sessions/end/                                in  403  403  405  405  405  405  405  405
GET  /console/account/confirm/                                     in  403  403  200  200  200  200  200  200
GET  /console/account/confirm/code/                                in  403  403  302  302  302  302  302  302
GET  /console/account/confirm/passkey/                             in  403  403  302  302  302  302  302  302
GET  /console/account/second-factor/                               in  403  403  200  200  200  200  200  200
GET  /console/account/second-factor/app/add/                       in  403  403  302  302  302  302  302  302
GET  /console/account/second-factor/app/remove/                    in  403  403  404  404  404  404  404  404
GET  /console/account/second-factor/codes/                         in  403  403  404  404  404  404  404  404
GET  /console/account/second-factor/codes/renew/                   in  403  403  302  302  302  302  302  302
GET  /console/account/second-factor/passkeys/add/                  in  403  403  302  302  302  302  302  302
GET  /console/account/second-factor/passkeys/{passkey}/remove/     in  403  403  302  302  302  302  302  302
POST /healthz                                                    200  200  200  200  200  200  200  200  200
POST /accent.css                                                 405  405  405  405  405  405  405  405  405
POST /sign-in/                                                   200  302  302  302  302  302  302  302  302
POST /sign-in/closed/                                             405  405  405  405  405  405  405  405  405
POST /sign-in/code/                                               200  302  302  302  302  302  302  302  302
POST /sign-in/code/confirm/                                       302  302  302  302  302  302  302  302  302
POST /sign-in/second-factor/                                      302  302  302  302  302  302  302  302  302
POST /sign-in/passkey/                                            302  302  302  302  302  302  302  302  302
POST /sign-in/oidc/company/                                       405  405  405  405  405  405  405  405  405
POST /sign-in/oidc/company/callback/                              405  405  405  405  405  405  405  405  405
POST /sign-out/                                                   in  302  302  302  302  302  302  302  302
POST /first/{token}/                                              410  410  410  410  410  410  410  410  410
POST /invitation/{token}/                                         422  422  422  422  422  422  422  422  422
POST /api/v1/events                                              415  415  415  415  415  415  415  415  415
POST /v1/traces                                                  415  415  415  415  415  415  415  415  415
POST /v1/logs                                                    415  415  415  415  415  415  415  415  415
POST /metrics                                                    405  405  405  405  405  405  405  405  405
POST /api/v1/customers                                           401  401  401  401  401  401  401  401  401
POST /api/v1/customers/import                                    401  401  401  401  401  401  401  401  401
POST /api/v1/customers/a-1                                       405  405  405  405  405  405  405  405  405
POST /errors/                                                    405  405  405  405  405  405  405  405  405
POST /errors/502                                                 405  405  405  405  405  405  405  405  405
POST /                                                           405  405  405  405  405  405  405  405  405
POST /i/{reference}                                              405  405  405  405  405  405  405  405  405
POST /for/                                                        in  405  405  405  405  405  405  405  405
POST /for/{acme}/                                                 in  405  405  405  405  405  405  405  405
POST /leave/                                                      in  303  303  303  303  303  303  303  303
POST /reports/                                                    in  422  422  403  403  403  403  403  403
POST /reports/thanks/                                             in  405  405  405  405  405  405  405  405
POST /console/reports/                                            in  403  403  404  404  404  404  404  404
POST /console/                                                    in  405  405  405  405  405  405  405  405
POST /console/style/                                              in  403  403  405  405  405  405  405  405
POST /console/settings/                                           in  403  403  405  405  405  405  405  405
POST /console/charts/{chart}/                                     in  403  403  405  405  405  405  405  405
POST /console/search/                                             in  403  403  405  405  405  405  405  405
POST /console/incidents/                                          in  403  403  405  405  405  405  405  405
POST /console/incidents/declare/                                  in  403  403  403  403  403  200  200  200
POST /console/incidents/{incident}/                               in  403  403  405  405  405  405  405  405
POST /console/incidents/{incident}/customers/                     in  403  403  405  405  405  405  405  405
POST /console/incidents/{incident}/attempts/                      in  403  403  405  405  405  405  405  405
POST /console/incidents/{incident}/compare/                       in  403  403  405  405  405  405  405  405
POST /console/incidents/{incident}/timeline/                      in  403  403  405  405  405  405  405  405
POST /console/incidents/{incident}/edit/                          in  403  403  403  403  403  200  200  200
POST /console/incidents/{incident}/state/                         in  403  403  403  403  403  200  200  200
POST /console/incidents/{incident}/severity/business/             in  403  403  403  403  403  200  200  200
POST /console/incidents/{incident}/impact/                        in  403  403  403  403  403  303  303  303
POST /console/incidents/{incident}/update/                        in  403  403  403  403  403  422  422  422
POST /console/incidents/{incident}/publish/                       in  403  403  403  403  403  403  409  409
POST /console/incidents/{incident}/discard/                       in  403  403  403  403  403  303  303  303
POST /console/incidents/{incident}/resolve/                       in  403  403  403  403  403  403  422  422
POST /console/system/                                             in  403  403  405  405  405  405  405  405
POST /console/system/telemetry/                                   in  403  403  403  403  405  405  405  405
POST /console/system/telemetry/{sender}/                          in  403  403  403  403  405  405  405  405
POST /console/system/telemetry/{sender}/retire/                   in  403  403  403  403  403  303  303  303
POST /console/customers/                                          in  405  405  405  405  405  405  405  405
POST /console/customers/{slug}/                                   in  405  405  405  405  405  405  405  405
POST /console/customers/new/                                      in  403  403  403  403  403  422  422  422
POST /console/customers/import/                                   in  403  403  403  403  403  422  422  422
POST /console/customers/import/{import}/                          in  403  403  403  403  403  405  405  405
POST /console/customers/import/{import}/bad-lines.csv             in  403  403  403  403  403  405  405  405
POST /console/customers/import/{import}/apply/                    in  403  403  403  403  403  303  303  303
POST /console/customers/import/{import}/discard/                  in  403  403  403  403  403  303  303  303
POST /console/customers/export.csv                                in  403  403  403  403  403  405  405  405
POST /console/customers/{slug}/edit/                              in  403  403  422  404  403  422  422  422
POST /console/customers/{slug}/archive/                           in  403  403  403  403  403  303  303  303
POST /console/customers/{slug}/contacts/new/                      in  403  403  422  404  403  422  422  422
POST /console/customers/{slug}/contacts/{contact}/                in  403  403  422  404  403  422  422  422
POST /console/customers/{slug}/contacts/{contact}/remove/         in  403  403  303  404  403  303  303  303
POST /console/tenets/                                             in  403  403  405  405  405  405  405  405
POST /console/tenets/new/                                         in  403  403  403  403  403  200  200  200
POST /console/tenets/guide/                                       in  403  403  403  403  403  200  200  200
POST /console/tenets/import/                                      in  403  403  403  403  403  422  422  422
POST /console/tenets/{tenet}/                                     in  403  403  405  405  405  405  405  405
POST /console/tenets/{tenet}/write/                               in  403  403  403  403  403  422  422  422
POST /console/tenets/{tenet}/1/                                   in  403  403  303  303  303  303  303  303
POST /console/tenets/{tenet}/1/openslo.yaml                       in  403  403  405  405  405  405  405  405
POST /console/outreach/                                           in  405  405  405  405  405  405  405  405
POST /console/outreach/{outreach}/                                in  405  405  405  405  405  405  405  405
POST /console/outreach/{outreach}/preview/                        in  405  405  405  405  405  405  405  405
POST /console/outreach/{outreach}/edit/                           in  403  403  422  404  403  422  403  422
POST /console/outreach/{outreach}/write-anew/                     in  403  403  303  404  403  303  403  303
POST /console/outreach/{outreach}/submit/                         in  403  403  422  404  403  422  403  422
POST /console/outreach/{outreach}/approve/                        in  403  403  422  404  403  422  422  422
POST /console/outreach/{outreach}/send-back/                      in  403  403  422  404  403  422  422  422
POST /console/outreach/{outreach}/pause/                          in  403  403  303  404  403  303  403  303
POST /console/outreach/{outreach}/resume/                         in  403  403  422  404  403  422  403  422
POST /console/outreach/{outreach}/withdraw/                       in  403  403  303  404  403  303  403  303
POST /console/outreach/{outreach}/close/                          in  403  403  422  404  403  422  403  422
POST /console/outreach/{outreach}/deliveries/{delivery}/settle/   in  403  403  422  404  403  422  403  422
POST /console/guidance/                                           in  403  403  405  405  405  405  405  405
POST /console/guidance/new/                                       in  403  403  403  403  403  200  200  200
POST /console/guidance/502/anyone/                                in  403  403  403  403  403  200  200  200
POST /console/windows/                                            in  403  403  405  405  405  405  405  405
POST /console/windows/new/                                        in  403  403  403  403  403  422  422  422
POST /console/windows/{window}/                                   in  403  403  405  405  405  405  405  405
POST /console/windows/{window}/attempts/                         in  403  403  405  405  405  405  405  405
POST /console/windows/{window}/compare/                          in  403  403  405  405  405  405  405  405
POST /console/windows/{window}/customers/                        in  403  403  405  405  405  405  405  405
POST /console/windows/{window}/cancel/                            in  403  403  403  403  403  303  303  303
POST /console/windows/{window}/again/                             in  403  403  403  403  403  303  303  303
POST /console/gaps/                                               in  403  403  405  405  405  405  405  405
POST /console/gaps/coverage/                                      in  403  403  405  405  405  405  405  405
POST /console/gaps/{gap}/                                         in  403  403  405  405  405  405  405  405
POST /console/gaps/{gap}/accept/                                  in  403  403  403  403  403  422  422  422
POST /console/gaps/{gap}/reopen/                                  in  403  403  403  403  403  303  303  303
POST /console/gaps/{gap}/assign/                                  in  403  403  403  403  403  303  303  303
POST /console/identification/                                     in  403  403  403  403  405  405  405  405
POST /console/services/                                           in  403  403  405  405  405  405  405  405
POST /console/services/new/                                       in  403  403  403  403  403  422  422  422
POST /console/services/{service}/                                 in  403  403  405  405  405  405  405  405
POST /console/services/{service}/edit/                            in  403  403  403  403  403  422  422  422
POST /console/services/{service}/confirm/                         in  403  403  403  403  403  303  303  303
POST /console/services/{service}/propose/                         in  403  403  403  403  403  303  303  303
POST /console/services/{service}/journeys/new/                    in  403  403  403  403  403  422  422  422
POST /console/services/{service}/dependencies/                    in  403  403  403  403  403  422  422  422
POST /console/services/{service}/patterns/                        in  403  403  405  405  405  405  405  405
POST /console/services/{service}/patterns/new/                    in  403  403  403  403  403  422  422  422
POST /console/services/{service}/patterns/refuse/                 in  403  403  403  403  403  303  303  303
POST /console/patterns/{refused}/reconsider/                      in  403  403  403  403  403  303  303  303
POST /console/dependencies/{dependency}/remove/                   in  403  403  403  403  403  303  303  303
POST /console/journeys/{journey}/                                 in  403  403  403  403  403  422  422  422
POST /console/journeys/{journey}/delete/                          in  403  403  403  403  403  303  303  303
POST /console/operations/{operation}/                             in  403  403  403  403  403  303  303  303
POST /console/operations/{route}/drop/                            in  403  403  403  403  403  303  303  303
POST /console/operations/{operation}/part/                        in  403  403  403  403  403  303  303  303
POST /console/operations/{operation}/ignore/                      in  403  403  403  403  403  303  303  303
POST /console/rules/                                              in  403  403  403  403  405  405  405  405
POST /console/rules/new/                                          in  403  403  403  403  403  422  422  422
POST /console/rules/test/                                         in  403  403  403  403  422  422  422  422
POST /console/rules/{rule}/edit/                                  in  403  403  403  403  403  422  422  422
POST /console/rules/{rule}/move/                                  in  403  403  403  403  403  303  303  303
POST /console/rules/{rule}/switch/                                in  403  403  403  403  403  303  303  303
POST /console/rules/{rule}/delete/                                in  403  403  403  403  403  303  303  303
POST /console/people/                                              in  403  403  403  403  403  403  403  405
POST /console/people/roles/                                        in  403  403  405  405  405  405  405  405
POST /console/people/invite/                                       in  403  403  403  403  403  403  403  422
POST /console/people/{person}/                                     in  403  403  403  403  403  403  403  405
POST /console/people/{person}/invite-again/                        in  403  403  403  403  403  403  403  200
POST /console/people/{person}/role/                                in  403  403  403  403  403  403  403  303
POST /console/people/{person}/deactivate/                          in  403  403  403  403  403  403  403  303
POST /console/people/{person}/reactivate/                          in  403  403  403  403  403  403  403  303
POST /console/keys/                                                in  403  403  403  403  403  403  403  405
POST /console/keys/issue/                                          in  403  403  403  403  403  403  403  422
POST /console/keys/{key}/rotate/                                   in  403  403  403  403  403  403  403  422
POST /console/keys/{key}/revoke/                                   in  403  403  403  403  403  403  403  303
POST /console/audit/                                               in  403  403  403  403  403  403  403  405
POST /console/audit/check/                                         in  403  403  403  403  403  403  403  303
POST /console/audit/export.csv                                     in  403  403  403  403  403  403  403  405
POST /console/audit/export.ndjson                                  in  403  403  403  403  403  403  403  405
POST /console/account/                                             in  403  403  422  422  422  422  422  422
POST /console/account/password/                                    in  403  403  422  422  422  422  422  422
POST /console/account/sessions/end/                                in  403  403  303  303  303  303  303  303
POST /console/account/confirm/                                     in  403  403  200  200  200  200  200  200
POST /console/account/confirm/code/                                in  403  403  302  302  302  302  302  302
POST /console/account/confirm/passkey/                             in  403  403  302  302  302  302  302  302
POST /console/account/second-factor/                               in  403  403  405  405  405  405  405  405
POST /console/account/second-factor/app/add/                       in  403  403  302  302  302  302  302  302
POST /console/account/second-factor/app/remove/                    in  403  403  404  404  404  404  404  404
POST /console/account/second-factor/codes/                         in  403  403  405  405  405  405  405  405
POST /console/account/second-factor/codes/renew/                   in  403  403  302  302  302  302  302  302
POST /console/account/second-factor/passkeys/add/                  in  403  403  302  302  302  302  302  302
POST /console/account/second-factor/passkeys/{passkey}/remove/     in  403  403  302  302  302  302  302  302
"""

ROWS = [line.split() for line in TABLE.strip().splitlines() if not line.startswith("#")]
#: The only addresses that answer somebody who has not signed in.
PUBLIC = {
    "api/v1/customers", "api/v1/customers/import", "api/v1/customers/<path:external_id>",
    "", "accent.css", "healthz", "sign-in/", "api/v1/events", "v1/traces", "v1/logs", "metrics",
    "errors/", "errors/<str:code>", "i/<str:reference>",
    "first/<str:token>/",
    "invitation/<str:token>/",
    "sign-in/closed/", "sign-in/code/", "sign-in/code/confirm/", "sign-in/second-factor/", "sign-in/passkey/",
    "sign-in/oidc/company/", "sign-in/oidc/company/callback/",
}  # fmt: skip

#: What a browser may keep: it is the same for everybody.
KEPT = {"/accent.css"}


@pytest.fixture
def world():
    return make_access_world()


def ask(world: World, who: str, method: str, path: str):
    """Ask as somebody who has just signed in, whatever was asked before."""
    client = Client()
    sign_in(client, world, who)
    return getattr(client, method.lower())(path, headers={"Sec-Fetch-Site": "same-origin"})


def sign_in(client: Client, world: World, who: str) -> None:
    """Sign in once; from then on the session is put back as it was then, which is a fifth of the work."""
    if not (user := world.people[who]):
        return
    if who in world.sessions:
        key, data = world.sessions[who]
        if Session.objects.filter(pk=key).update(session_data=data):
            client.cookies[settings.SESSION_COOKIE_NAME] = key
            return
    client.force_login(user)
    session = Session.objects.get(pk=client.session.session_key)
    world.sessions[who] = session.pk, session.session_data


def said(answer) -> str:
    if answer.status_code == 302 and answer["Location"].startswith(reverse("login") + "?"):
        return "in"
    return str(answer.status_code)


def rows_of(method: str):
    return [(path, cells) for verb, path, *cells in ROWS if verb == method]


def test_every_address_is_in_the_table_twice(world):
    for method in ("GET", "POST"):
        listed = {resolve(path.format(**world.names)).route for path, _ in rows_of(method)}
        assert listed == routes()


def test_only_listed_addresses_are_public(world):
    for method in ("GET", "POST"):
        opened = {
            resolve(path.format(**world.names)).route
            for path, cells in rows_of(method)
            if cells[0] != "in"
        }
        assert opened == PUBLIC


@pytest.mark.parametrize("who", PEOPLE)
def test_get_answers_as_the_table_says_and_changes_nothing(world, who):
    place = PEOPLE.index(who)
    before = contents()

    answers = {
        path: ask(world, who, "GET", path.format(**world.names)) for path, _ in rows_of("GET")
    }

    found = {path: said(answer) for path, answer in answers.items()}
    kept = {path for path, one in answers.items() if "no-store" not in one["Cache-Control"]}
    assert kept <= KEPT
    assert found == {path: cells[place] for path, cells in rows_of("GET")}
    after = contents()
    assert {t for t in after if after[t] != before[t]} <= {"accounts_user"}  # when they signed in


@pytest.mark.parametrize("who", PEOPLE)
def test_post_answers_as_the_table_says(world, who):
    place = PEOPLE.index(who)
    found = {}
    sign_in(Client(), world, who)  # out here, where it is not taken back
    for path, _ in rows_of("POST"):
        with transaction.atomic():
            found[path] = said(ask(world, who, "POST", path.format(**world.names)))
            transaction.set_rollback(True)

    assert found == {path: cells[place] for path, cells in rows_of("POST")}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("who", ["Charlie", "Max"])
def test_what_is_somebody_elses_looks_like_what_is_not_there(world, who, method):
    """The same answer, to the letter, for Acme's things and for things that do not exist."""
    sign_in(Client(), world, who)  # out here, where it is not counted
    missing = world.names | {"acme": 999_999, "slug": "nobody", "outreach": 999_999}
    for path, _ in rows_of(method):
        if path.format(**world.names) == path.format(**missing):
            continue
        with CaptureQueriesContext(connection) as asked_theirs:
            theirs = ask(world, who, method, path.format(**world.names))
        with CaptureQueriesContext(connection) as asked_nothing:
            nothing = ask(world, who, method, path.format(**missing))
        assert said(theirs) == said(nothing), path
        assert bare(theirs.text) == bare(nothing.text), path
        assert heads(theirs) == heads(nothing), path
        assert len(asked_theirs) == len(asked_nothing), path  # nor does the time it takes tell


def heads(answer) -> dict[str, str]:
    """Return the headers and which cookies are set."""
    return dict(answer.headers) | dict.fromkeys(answer.cookies, "")


def bare(text: str) -> str:
    return re.sub(r'value="[A-Za-z0-9]{64}"', "", text)


@pytest.mark.parametrize("who", ["nobody", "Charlie", "Max"])
def test_nobody_elses_customer_is_named(world, who):
    specimens = "/console/style/"  # made-up pages of made-up customers
    for path in sorted({path for path, _ in rows_of("GET")} - {specimens}):
        page = ask(world, who, "GET", path.format(**world.names)).text
        assert "Acme" not in page, path
        assert world.told.bob.email not in page, path
        assert "It fails for us too." not in page, path
