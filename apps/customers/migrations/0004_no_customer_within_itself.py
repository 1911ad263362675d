from django.db import migrations

# Deferred, so that one transaction may turn parents round. The lock makes those who change parents wait for each
# other: of two that are each fine by themselves, the second sees what the first has done.
SQL = """
CREATE FUNCTION customers_customer_not_within_itself() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('customers.parents'));
    IF EXISTS (
        WITH RECURSIVE above(id) AS (
            SELECT parent_id FROM customers_customer WHERE id = NEW.id
            UNION
            SELECT c.parent_id FROM customers_customer c JOIN above a ON c.id = a.id
            WHERE c.parent_id IS NOT NULL
        )
        SELECT FROM above WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'customer % would be part of itself', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER customers_customer_not_within_itself
    AFTER INSERT OR UPDATE OF parent_id ON customers_customer DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION customers_customer_not_within_itself();
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0003_files_of_customers")]

    operations = [
        migrations.RunSQL(
            SQL,
            "DROP TRIGGER customers_customer_not_within_itself ON customers_customer;"
            "DROP FUNCTION customers_customer_not_within_itself();",
        )
    ]
