"""Tests of what stands around the rows of a table."""
