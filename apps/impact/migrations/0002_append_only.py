from django.db import migrations

from apps.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("impact", "0001_initial")]

    operations = [append_only("impact_impactsnapshot"), append_only("impact_customerimpact")]
