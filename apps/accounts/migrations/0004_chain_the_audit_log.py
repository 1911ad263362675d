import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from apps.core.db import append_only

# A field as "<bytes>:<text>", so that no two rows read the same; "-:" where nothing is.
# chain.py writes the same in Python and compares.
CHAIN = """
CREATE FUNCTION accounts_audit_field(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NULL THEN '-:' ELSE octet_length(convert_to(value, 'UTF8')) || ':' || value END
$$;

CREATE FUNCTION accounts_audit_digest(before_it text, place bigint, e accounts_auditevent)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(
        accounts_audit_field(before_it)
        || accounts_audit_field(place::text)
        || accounts_audit_field(e.id::text)
        || accounts_audit_field(to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        || accounts_audit_field(e.user_id::text)
        || accounts_audit_field(e.action)
        || accounts_audit_field(e.target)
        || accounts_audit_field(e.before::text)
        || accounts_audit_field(e.after::text)
        || accounts_audit_field(host(e.address))
        || accounts_audit_field(e.agent),
    'UTF8')), 'hex')
$$;

-- Nobody brings a place or a digest along.
CREATE FUNCTION accounts_auditevent_unchained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.position := NULL;
    NEW.digest := '';
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_auditevent_unchained BEFORE INSERT ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_auditevent_unchained();

-- As the transaction commits, so that who writes the log waits for others only then, holding all its
-- other locks already: the row of accounts_audithead puts all writers into one line.
CREATE FUNCTION accounts_auditevent_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head accounts_audithead;
    mine text;
BEGIN
    INSERT INTO accounts_audithead (id, position, digest) VALUES (1, 0, repeat('0', 64))
        ON CONFLICT (id) DO NOTHING;
    SELECT * INTO head FROM accounts_audithead WHERE id = 1 FOR UPDATE;
    mine := accounts_audit_digest(head.digest, head.position + 1, NEW);
    UPDATE accounts_auditevent SET position = head.position + 1, digest = mine WHERE id = NEW.id;
    IF FOUND THEN
        UPDATE accounts_audithead SET position = head.position + 1, digest = mine WHERE id = 1;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER accounts_auditevent_chain AFTER INSERT ON accounts_auditevent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION accounts_auditevent_chain();

CREATE OR REPLACE FUNCTION accounts_auditevent_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Only the trigger above, only once, and only the link itself.
    IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1 AND OLD.digest = '' AND NEW.digest <> ''
        AND to_jsonb(NEW) - 'position' - 'digest' = to_jsonb(OLD) - 'position' - 'digest' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'accounts_auditevent is append-only: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""

UNCHAIN = """
CREATE OR REPLACE FUNCTION accounts_auditevent_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'accounts_auditevent is append-only: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
DROP TRIGGER accounts_auditevent_chain ON accounts_auditevent;
DROP FUNCTION accounts_auditevent_chain();
DROP TRIGGER accounts_auditevent_unchained ON accounts_auditevent;
DROP FUNCTION accounts_auditevent_unchained();
DROP FUNCTION accounts_audit_digest(text, bigint, accounts_auditevent);
DROP FUNCTION accounts_audit_field(text);
"""

# What was written before there was a chain: in the order of its numbers.
BACKFILL = """
ALTER TABLE accounts_auditevent DISABLE TRIGGER accounts_auditevent_is_append_only;
DO $$
DECLARE
    e accounts_auditevent;
    place bigint := 0;
    link text := repeat('0', 64);
BEGIN
    FOR e IN SELECT * FROM accounts_auditevent ORDER BY id LOOP
        place := place + 1;
        link := accounts_audit_digest(link, place, e);
        UPDATE accounts_auditevent SET position = place, digest = link WHERE id = e.id;
    END LOOP;
    INSERT INTO accounts_audithead (id, position, digest) VALUES (1, place, link);
END $$;
ALTER TABLE accounts_auditevent ENABLE TRIGGER accounts_auditevent_is_append_only;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_invitations_sessions_and_ends_of_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_index=True)),
                ('how', models.CharField(choices=[('daily', 'by itself, once a day'), ('page', 'from this page'), ('command', 'by manage.py audit verify')], max_length=10)),
                ('ok', models.BooleanField()),
                ('rows', models.BigIntegerField()),
                ('position', models.BigIntegerField()),
                ('digest', models.CharField(max_length=64)),
                ('said', models.CharField(max_length=500)),
            ],
        ),
        migrations.CreateModel(
            name='AuditHead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.BigIntegerField()),
                ('digest', models.CharField(max_length=64)),
            ],
        ),
        migrations.AddField(
            model_name='auditevent',
            name='digest',
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='position',
            field=models.BigIntegerField(editable=False, null=True, unique=True),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['target', 'at'], name='audit_by_target'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['action', 'at'], name='audit_by_action'),
        ),
        migrations.AddField(
            model_name='auditcheck',
            name='by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        append_only("accounts_auditcheck"),
        migrations.RunSQL(sql=CHAIN, reverse_sql=UNCHAIN),
        migrations.RunSQL(sql=BACKFILL, reverse_sql=migrations.RunSQL.noop),
    ]
