"""Tests of pipeline/cli/library."""
