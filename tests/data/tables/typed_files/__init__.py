"""Tests of tables in files of a form of their own."""
