from django.db import migrations
from django.db.migrations.operations import RunSQL

from apps.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("tenets", "0001_initial")]

    operations = [
        append_only(
            "tenets_tenetversion",
            unless="""
                OLD.state = 'draft'
                OR (
                    TG_OP = 'UPDATE' AND OLD.state = 'in_review'
                    AND NEW.state IN ('draft', 'active', 'withdrawn')
                    AND to_jsonb(NEW) - ARRAY['state', 'valid_from', 'approver_id']
                        = to_jsonb(OLD) - ARRAY['state', 'valid_from', 'approver_id']
                )
                OR (
                    TG_OP = 'UPDATE' AND OLD.state = 'active'
                    AND NEW.state IN ('superseded', 'withdrawn')
                    AND to_jsonb(NEW) - ARRAY['state', 'valid_to'] = to_jsonb(OLD) - ARRAY['state', 'valid_to']
                )
            """,
        ),
        RunSQL(
            sql="""
            CREATE FUNCTION tenets_clause_of_draft() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (
                    SELECT FROM tenets_tenetversion
                    WHERE id IN (OLD.version_id, NEW.version_id) AND state <> 'draft'
                ) THEN
                    RAISE EXCEPTION 'only a draft''s clauses can change: % refused', TG_OP
                        USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN COALESCE(NEW, OLD);
            END $$;
            CREATE TRIGGER tenets_clause_of_draft BEFORE INSERT OR UPDATE OR DELETE ON tenets_clause
                FOR EACH ROW EXECUTE FUNCTION tenets_clause_of_draft();
            """,
            reverse_sql="""
            DROP TRIGGER tenets_clause_of_draft ON tenets_clause;
            DROP FUNCTION tenets_clause_of_draft();
            """,
        ),
    ]
