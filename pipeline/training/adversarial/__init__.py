"""Training on adversarial examples of the network as it is."""
