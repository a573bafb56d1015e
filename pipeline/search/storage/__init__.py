"""Reading and keeping the rows of studies."""
