"""One file a table, named by what it shows."""
