from django.db import migrations


class Migration(migrations.Migration):
    """What limits the rate of sign-ins is counted here, so that every process counts the same."""

    dependencies = [("accounts", "0004_chain_the_audit_log")]

    operations = [
        migrations.RunSQL(
            sql="""
            CREATE TABLE portal_cache (
                cache_key varchar(255) PRIMARY KEY,
                value text NOT NULL,
                expires timestamp with time zone NOT NULL
            );
            CREATE INDEX portal_cache_expires ON portal_cache (expires);
            """,
            reverse_sql="DROP TABLE portal_cache",
        )
    ]
