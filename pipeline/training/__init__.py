"""One trial's training, an epoch a step."""
