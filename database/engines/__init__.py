"""How each kind of database is opened, and what its absence looks like. Used by `database.engine` alone."""
