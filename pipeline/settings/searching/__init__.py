"""What a search is told beside its settings: the table of its objectives."""
