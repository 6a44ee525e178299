-- What one event says costs the fold of usage no more than its length. Until now, where any number of a piece was one that Postgres has
-- no type for, and of items always, each field of each event was read in a subtransaction of its own and added to those before it:
-- 6,500 small fields that nobody knows took five seconds, and the statement ran into its time limit at every try.
-- The version before may go on beside this one, and come back: functions are replaced, and what they are asked stays the same.

-- JSON may hold numbers that no numeric holds. Where it has one, the fields are looked at one by one that statements ask for, and those
-- that cannot be read are left out. tests/integration/test_projections_hard_data.py holds that these are all of them. Not in parallel: a
-- worker of Postgres 15 and 16 may begin no subtransaction.
CREATE OR REPLACE FUNCTION projections.read_object(data json) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $$
DECLARE
    field record;
    fields jsonb := '{}';
BEGIN
    BEGIN
        RETURN coalesce(data::jsonb, fields);
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        NULL;
    END;
    FOR field IN
        SELECT key, value FROM json_each(data)
        WHERE key IN ('category', 'cpus', 'deployed_at', 'deployment', 'hardware', 'input_tokens', 'language', 'memory_gb', 'name',
                      'output_tokens', 'owner', 'reason', 'replicas', 'seconds', 'status', 'type', 'version')
    LOOP
        BEGIN
            fields := fields || jsonb_build_object(field.key, field.value::jsonb);
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            NULL;
        END;
    END LOOP;
    RETURN fields;
END
$$;

-- What is blank is so by the rule of schemas/fields.py in every database. `\S` knows of other blanks with each locale: without one of
-- none beyond ASCII, with one of the C library not of those that do not break. Blanks among the control characters need no place here.
CREATE OR REPLACE FUNCTION projections.read_text(value jsonb, most_chars int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'string'
            THEN CASE WHEN length(value #>> '{}') <= most_chars
                           AND value #>> '{}' ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
                           AND value #>> '{}' !~ '[\u0001-\u001f\u007f-\u009f]'
                      THEN value #>> '{}' END END;

-- Moments by the rule of schemas/times.py. Postgres itself takes no offset beyond 15:59, rounds where the rule cuts, and goes beyond the
-- year 9999, which no reader of ours has a type for.
CREATE OR REPLACE FUNCTION projections.read_moment(value jsonb) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    part text[] := regexp_match(
        CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END,
        '^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:[.]([0-9]{1,6})[0-9]{0,12})?'
        '(?:[Zz]|([+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))$');
    moment timestamp;
BEGIN
    moment := (part[1] || ' ' || part[2] || '.' || coalesce(part[3], '0'))::timestamp - coalesce(part[4], '0:0')::interval;
    RETURN CASE WHEN moment >= '0001-01-01' AND moment < '10000-01-01' THEN moment AT TIME ZONE 'UTC' END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
