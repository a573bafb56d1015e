"""The command `diagnose`: it makes a command line cheaper, and records and prints the evidence."""
