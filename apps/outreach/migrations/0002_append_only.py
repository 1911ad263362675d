from django.db import migrations

from apps.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("outreach", "0001_initial")]

    operations = [
        append_only("outreach_approval"),
        # A delivery goes forward only: nobody is mailed again because a row was set back.
        # `unknown` alone may be queued again, by a person.
        append_only(
            "outreach_delivery",
            unless="""
                TG_OP = 'UPDATE'
                AND NEW.outreach_id = OLD.outreach_id
                AND NEW.email = OLD.email
                AND NEW.message_id = OLD.message_id
                AND NOT (
                    OLD.state IN ('accepted', 'delivered', 'bounced', 'replied', 'failed', 'suppressed', 'withdrawn')
                    AND NEW.state IN ('queued', 'claimed', 'submitting')
                )
            """,
        ),
    ]
