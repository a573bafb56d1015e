"""Tests of pipeline/cli/completion."""
