from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("outreach", "0004_what_the_approver_knew")]

    operations = [
        # What the mail server took stays taken: called withdrawn, it would make room for a second mail.
        migrations.RunSQL(
            sql="""
            CREATE FUNCTION outreach_delivery_taken_stays() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                may CONSTANT text[] := ARRAY['state', 'reply', 'contact_id', 'claim_token', 'lease_until', 'tries'];
            BEGIN
                IF NEW.state NOT IN ('accepted', 'delivered', 'bounced', 'replied')
                    OR to_jsonb(NEW) - may <> to_jsonb(OLD) - may
                THEN
                    RAISE EXCEPTION 'outreach_delivery is append-only: % of what was accepted refused', TG_OP
                        USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER outreach_delivery_taken_stays BEFORE UPDATE ON outreach_delivery
                FOR EACH ROW WHEN (OLD.state IN ('accepted', 'delivered', 'bounced', 'replied'))
                EXECUTE FUNCTION outreach_delivery_taken_stays();
            """,
            reverse_sql="""
            DROP TRIGGER outreach_delivery_taken_stays ON outreach_delivery;
            DROP FUNCTION outreach_delivery_taken_stays();
            """,
        ),
    ]
