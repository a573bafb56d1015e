"""What a trained model costs, and where the seconds of an epoch go."""
