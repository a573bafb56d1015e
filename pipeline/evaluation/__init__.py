"""What a trained model gets right and wrong."""
