"""The commands of one trial and of its stages, each a module, and what they have in common."""
