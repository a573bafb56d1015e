"""Completion of the command line in a shell: commands, groups, options, settings and flags."""
