#!/bin/sh
# Three databases and who owns them. The image runs this once, as its superuser, while the data folder is new; a later
# change of these passwords in .env reaches nobody: see docs/operations.md.
set -eu

: "${POSTGRES_GREENROOM_PASSWORD:?is empty: make .env with scripts/compose_env.py}"
: "${POSTGRES_TEMPORAL_PASSWORD:?is empty: make .env with scripts/compose_env.py}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv greenroom POSTGRES_GREENROOM_PASSWORD
\getenv temporal POSTGRES_TEMPORAL_PASSWORD
CREATE ROLE greenroom LOGIN PASSWORD :'greenroom';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE greenroom OWNER greenroom;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE greenroom, temporal, temporal_visibility FROM PUBLIC;
SQL
