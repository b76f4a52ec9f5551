-- The log, the tombstones and the statements of consent only grow, whoever is connected.
CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME; END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER tombstones_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON tombstones
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER consents_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON consents
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();

-- A rebuilding reads the entries before their pages; it asks for the references at its commit.
ALTER TABLE key_entries ALTER CONSTRAINT key_entries_page_id_fkey DEFERRABLE;

-- SQLite's json_each takes text; with this one the same query text does on PostgreSQL.
CREATE FUNCTION json_each(document text) RETURNS TABLE (key text, value json)
  LANGUAGE sql IMMUTABLE STRICT
  AS $$ SELECT e.key, e.value FROM pg_catalog.json_each(document::json) AS e $$;
