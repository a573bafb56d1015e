"""What a search is told beside its settings: the tables of its objectives and of measures of good answers."""
