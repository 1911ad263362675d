from django.db import migrations

from apps.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial")]

    operations = [
        append_only("incidents_timelineevent"),
        append_only("incidents_update", unless="OLD.published_at IS NULL"),
    ]
