"""Adversarial examples: samples moved a little, in the way that hurts a network most."""
