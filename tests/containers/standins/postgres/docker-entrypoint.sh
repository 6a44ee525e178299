#!/bin/sh
# Makes the cluster at the first start, by POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_HOST_AUTH_METHOD and their _FILE forms,
# then becomes the user postgres and the server.
set -eu

given() { # the value of a variable, or what the file holds that its _FILE form names
    eval "value=\${$1:-}; file=\${$1_FILE:-}"
    if [ -n "$file" ]; then cat "$file"; else printf %s "$value"; fi
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        password="$(given POSTGRES_PASSWORD)"
        method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
        if [ -z "$password" ] && [ "$method" != trust ]; then
            echo "set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
            exit 1
        fi
        (umask 077 && printf '%s\n' "${password:-unused}" >/tmp/password && chown postgres /tmp/password)
        as_postgres initdb --username=postgres --pwfile=/tmp/password --auth-local=trust --auth-host="$method" \
            --encoding=UTF8 --locale=C.UTF-8 --pgdata="$PGDATA"
        rm /tmp/password
        echo "host all all all $method" >>"$PGDATA/pg_hba.conf"
        echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
        as_postgres pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses=''" start
        database="$(given POSTGRES_DB)"
        if [ "${database:-postgres}" != postgres ]; then
            as_postgres psql --username=postgres --quiet --command="CREATE DATABASE \"$database\""
        fi
        as_postgres pg_ctl --pgdata="$PGDATA" --wait --mode=fast stop
    fi
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"
fi
exec "$@"
