"""What was given for review stands still, and what was promised cannot be changed, at any time in between.

The exclusion needs no extension: a range of one number is equal to itself in GiST as shipped.
"""

from django.db import migrations
from django.db.migrations.operations import RunSQL

FIRST_TRIGGER = """
CREATE OR REPLACE FUNCTION tenets_clause_of_draft() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""


def versions(reviewed: str) -> str:
    """Return the trigger function of versions; of one in review, `reviewed` says which columns may change."""
    return f"""
    CREATE OR REPLACE FUNCTION tenets_tenetversion_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.state = 'draft'
            OR (
                TG_OP = 'UPDATE' AND OLD.state = 'in_review'
                AND NEW.state IN ('draft', 'active', 'withdrawn')
                AND to_jsonb(NEW) - ({reviewed}) = to_jsonb(OLD) - ({reviewed})
            )
            OR (
                TG_OP = 'UPDATE' AND OLD.state = 'active'
                AND NEW.state IN ('superseded', 'withdrawn')
                AND to_jsonb(NEW) - ARRAY['state', 'valid_to'] = to_jsonb(OLD) - ARRAY['state', 'valid_to']
            )
        THEN RETURN COALESCE(NEW, OLD); END IF;
        RAISE EXCEPTION 'tenets_tenetversion is append-only: % refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END $$;
    """


MOVES = "ARRAY['state', 'valid_from', 'approver_id']"
#: What was in review before there was a seal gets one when it becomes active.
SEALS = (
    "CASE WHEN OLD.content_sha256 = '' THEN"
    " ARRAY['state', 'valid_from', 'approver_id', 'content_sha256'] ELSE"
    " ARRAY['state', 'valid_from', 'approver_id'] END"
)


def parts(name: str, column: str, words: str) -> str:
    """Return a trigger function that lets only parts of a draft change, and waits for who is changing its state."""
    return f"""
    CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE found_state text;
    BEGIN
        -- The lock waits for a transaction that submits or activates the version, and makes it wait for us.
        FOR found_state IN
            SELECT state FROM tenets_tenetversion
            WHERE id IN (OLD.{column}, NEW.{column}) ORDER BY id FOR SHARE
        LOOP
            IF found_state <> 'draft' THEN
                RAISE EXCEPTION 'only a draft''s {words} can change: % refused', TG_OP
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
        END LOOP;
        RETURN COALESCE(NEW, OLD);
    END $$;
    """


def truncation(table: str) -> RunSQL:
    """Return a step after which `table` cannot be emptied while it holds anything that was promised."""
    return RunSQL(
        sql=f"""
        CREATE TRIGGER {table}_is_kept BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION tenets_are_kept();
        """,
        reverse_sql=f"DROP TRIGGER {table}_is_kept ON {table};",
    )


class Migration(migrations.Migration):
    dependencies = [("tenets", "0004_clauses_of_five_kinds")]

    operations = [
        RunSQL(sql=versions(SEALS), reverse_sql=versions(MOVES)),
        RunSQL(
            sql="""
            ALTER TABLE tenets_tenetversion ADD CONSTRAINT tenet_versions_do_not_overlap
                EXCLUDE USING gist (
                    int8range(tenet_id, tenet_id, '[]') WITH =,
                    tstzrange(valid_from, valid_to) WITH &&
                ) WHERE (valid_from IS NOT NULL);
            """,
            reverse_sql="ALTER TABLE tenets_tenetversion DROP CONSTRAINT tenet_versions_do_not_overlap;",
        ),
        RunSQL(
            sql=parts("tenets_clause_of_draft", "version_id", "clauses"), reverse_sql=FIRST_TRIGGER
        ),
        RunSQL(
            sql=parts("tenets_customer_of_draft", "tenetversion_id", "named customers")
            + """
            CREATE TRIGGER tenets_customer_of_draft
                BEFORE INSERT OR UPDATE OR DELETE ON tenets_tenetversion_customers
                FOR EACH ROW EXECUTE FUNCTION tenets_customer_of_draft();
            """,
            reverse_sql="""
            DROP TRIGGER tenets_customer_of_draft ON tenets_tenetversion_customers;
            DROP FUNCTION tenets_customer_of_draft();
            """,
        ),
        # To whom, and about what: that is part of what was promised.
        RunSQL(
            sql="""
            CREATE FUNCTION tenets_tenet_stands() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF (NEW.id, NEW.service_id, NEW.kind, NEW.slug)
                    IS DISTINCT FROM (OLD.id, OLD.service_id, OLD.kind, OLD.slug)
                    AND EXISTS (
                        SELECT FROM tenets_tenetversion WHERE tenet_id = OLD.id AND state <> 'draft'
                    )
                THEN
                    RAISE EXCEPTION 'only a draft''s tenet can change: % refused', TG_OP
                        USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER tenets_tenet_stands BEFORE UPDATE ON tenets_tenet
                FOR EACH ROW EXECUTE FUNCTION tenets_tenet_stands();
            """,
            reverse_sql="""
            DROP TRIGGER tenets_tenet_stands ON tenets_tenet;
            DROP FUNCTION tenets_tenet_stands();
            """,
        ),
        RunSQL(
            sql="""
            CREATE FUNCTION tenets_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT FROM tenets_tenetversion WHERE state <> 'draft') THEN
                    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
                        USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NULL;
            END $$;
            """,
            reverse_sql="DROP FUNCTION tenets_are_kept();",
        ),
        truncation("tenets_tenetversion"),
        truncation("tenets_tenetversion_customers"),
        truncation("tenets_clause"),
    ]
