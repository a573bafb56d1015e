"""Who trains the trials of a search: jobs, the processes that do them, and what keeps those busy."""
