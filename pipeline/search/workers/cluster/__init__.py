"""Workers on the nodes of a Ray cluster: slots that train, and the pool that keeps them busy."""
