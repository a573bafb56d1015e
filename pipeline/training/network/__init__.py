"""The loop of any Keras network: an epoch is one compiled call, its gradients come from a tape."""
