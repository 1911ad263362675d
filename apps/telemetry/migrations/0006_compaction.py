from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('telemetry', '0005_traits'),
    ]

    operations = [
        migrations.AddField(
            model_name='segment',
            name='content',
            field=models.BigIntegerField(null=True),
        ),
        # The first fifteen digits of the digest, as for files written from now on.
        migrations.RunSQL(
            "UPDATE telemetry_segment SET content = ('x' || substr(sha256, 1, 15))::bit(60)::bigint",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name='segment',
            name='content',
            field=models.BigIntegerField(),
        ),
        migrations.AddField(
            model_name='segment',
            name='damaged_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='segment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['deleted_at'], name='segment_replaced'),
        ),
    ]
