"""The loop of a perceptron: an epoch is one compiled call, its gradients are written by hand."""
