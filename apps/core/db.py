"""What must be impossible is made so in the database."""

from django.db.migrations.operations import RunSQL


def append_only(table: str, *, unless: str = "") -> RunSQL:
    """Return a migration step after which rows of `table` can be neither changed nor deleted.

    `unless` is an SQL condition over OLD (and NEW, for an update) under which the change is allowed,
    for example `OLD.state = 'draft'`.
    """
    allowed = f"IF {unless} THEN RETURN COALESCE(NEW, OLD); END IF;" if unless else ""
    return RunSQL(
        sql=f"""
        CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {allowed}
            RAISE EXCEPTION '{table} is append-only: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
        END $$;
        CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_is_append_only();
        """,
        reverse_sql=f"""
        DROP TRIGGER {table}_is_append_only ON {table};
        DROP FUNCTION {table}_is_append_only();
        """,
    )
