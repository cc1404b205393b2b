#!/bin/sh
# Three databases and who owns them. The image runs this once, as its superuser, while the data folder is new; a later
# change of these passwords reaches nobody: see docs/compose.md. The passwords are files in the folder SECRETS.
set -eu

password() {
    if [ ! -s "$SECRETS/$1" ]; then
        echo "$SECRETS/$1 is empty: make it with scripts/compose_env.py" >&2
        return 1
    fi
    cat "$SECRETS/$1"
}

greenroom_password=$(password postgres_greenroom_password)
temporal_password=$(password postgres_temporal_password)
export greenroom_password temporal_password

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv greenroom greenroom_password
\getenv temporal temporal_password
CREATE ROLE greenroom LOGIN PASSWORD :'greenroom';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE greenroom OWNER greenroom;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE greenroom, temporal, temporal_visibility FROM PUBLIC;
SQL
