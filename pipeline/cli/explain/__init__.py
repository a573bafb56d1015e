"""One line for each mistake in the words of a command line or in a file of conf/."""
