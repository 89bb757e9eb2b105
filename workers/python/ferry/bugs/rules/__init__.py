"""The rules of the table, one file per area."""
