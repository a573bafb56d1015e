"""What stands around the rows of a table: titles and names above, units below them, notes at the end."""
