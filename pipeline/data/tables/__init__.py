"""Tables: their files, the cells as text, what each column is taken for, and the numbers in it."""
