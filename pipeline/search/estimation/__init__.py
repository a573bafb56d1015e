"""What the seeds of points tell: means with intervals, chances on the frontier, what may be luck. Pure."""
