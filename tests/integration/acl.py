"""Every right that anybody has in a database of ours, as lines: what the catalogue says."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from meter.runtime.postgres import Executor

TABLE: Final = Path(__file__).with_name("acl.txt")
# What roles have on Citus besides: there a view is read with the rights of who reads.
BENEATH_VIEWS: Final = Path(__file__).with_name("acl_citus.txt")
OF_CITUS: Final = ("citus", "columnar", "public.citus_")
# Schemas of Postgres itself are as it made them, and left out. An owner's rights of its own things are no line.
RIGHTS: Final = """
WITH things AS (
    SELECT 'database' AS kind, 'this database' AS name, d.datdba AS owner,
           coalesce(d.datacl, acldefault('d', d.datdba)) AS acl
    FROM pg_database d WHERE d.datname = current_database()
    UNION ALL
    SELECT 'schema', n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
    FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname || '.' || c.relname, c.relowner,
           coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT 'column', n.nspname || '.' || c.relname || '.' || a.attname, c.relowner, a.attacl
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND a.attacl IS NOT NULL
    UNION ALL
    SELECT 'routine', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT t.kind, t.name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS role,
       string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', '
                  ORDER BY a.privilege_type) AS rights
FROM things t CROSS JOIN LATERAL aclexplode(t.acl) AS a
WHERE a.grantee <> t.owner
GROUP BY 1, 2, 3
UNION ALL
SELECT 'settings', 'this database', r.rolname, array_to_string(ARRAY(SELECT unnest(s.setconfig) ORDER BY 1), ', ')
FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase
WHERE d.datname = current_database()
UNION ALL
SELECT 'owner', n.nspname, pg_get_userbyid(n.nspowner), string_agg(DISTINCT pg_get_userbyid(c.relowner), ', ')
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
WHERE n.nspname IN ('meter', 'projections', 'notifier')
GROUP BY n.nspname, n.nspowner
ORDER BY 1, 2, 3
"""


class Right(NamedTuple):
    kind: str
    name: str
    role: str
    rights: frozenset[str]


async def read_acl(connection: Executor) -> list[str]:
    return [" | ".join(row) for row in await connection.fetch(RIGHTS)]


async def read_distributed_acl(connection: Executor) -> tuple[list[str], list[str]]:
    """Of a distributed database: what it has as others have, and what it has besides, a line for columns of a table."""
    usual = {(right.kind, right.name, right.role): right.rights for right in parse(wanted())}
    own, besides, columns = [], [], defaultdict(list)
    for kind, name, role, rights in parse(await read_acl(connection)):
        if name.startswith(OF_CITUS):
            continue
        rights = frozenset(right for right in rights if not right.startswith(OF_CITUS))
        more = rights - usual.get((kind, name, role), frozenset())
        if rights - more:
            own.append(say(kind, name, role, rights - more))
        if kind == "column" and more:
            columns[name.rpartition(".")[0], role, ", ".join(sorted(more))].append(name.rpartition(".")[2])
        elif more:
            besides.append(say(kind, name, role, more))
    besides += [" | ".join(("columns", *key, ", ".join(sorted(names)))) for key, names in columns.items()]
    return own, sorted(besides)


def say(kind: str, name: str, role: str, rights: Iterable[str]) -> str:
    return " | ".join((kind, name, role, ", ".join(sorted(rights))))


def parse(lines: Iterable[str]) -> list[Right]:
    parts = [line.split(" | ") for line in lines]
    return [Right(kind, name, role, frozenset(rights.split(", "))) for kind, name, role, rights in parts]


def wanted(table: Path = TABLE) -> list[str]:
    return [line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
