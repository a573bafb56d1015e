"""The command `predict`: a trained model's answers for new data, in a file."""
