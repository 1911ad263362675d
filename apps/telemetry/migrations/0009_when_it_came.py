from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('telemetry', '0008_erasure'),
    ]

    operations = [
        migrations.AddField(
            model_name='segment',
            name='came_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(
            "UPDATE telemetry_segment s SET came_at = coalesce("
            "(SELECT created_at FROM telemetry_batch b WHERE b.id = s.batch_id), now())",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name='segment',
            name='came_at',
            field=models.DateTimeField(),
        ),
    ]
