"""What may be wrong with data although they can be read: near duplicates, drift, leaks, suspicious labels."""
