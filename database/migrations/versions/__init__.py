"""One module a migration, in the order of their revisions. They never import the tables: those move on."""
