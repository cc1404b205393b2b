#!/bin/sh
# Makes or upgrades the tables of Temporal's two databases; safe to repeat. Runs before the server, with its version.
# The connection is in SQL_PLUGIN, SQL_HOST, SQL_PORT and SQL_USER; the password is a file in the folder SECRETS.
set -eu

SQL_PASSWORD=$(cat "$SECRETS/postgres_temporal_password")
export SQL_PASSWORD

make_tables() {
    # The schema comes with the tool: $2 is a name in it, not a path.
    temporal-sql-tool --database "$1" setup-schema --version 0.0
    temporal-sql-tool --database "$1" update-schema --schema-name "postgresql/v12/$2"
}

make_tables temporal temporal
make_tables temporal_visibility visibility
