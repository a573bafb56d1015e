"""What stands around the rows of a table: titles, names, units, notes at the end; and between its cells."""
