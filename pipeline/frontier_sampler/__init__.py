"""An Optuna sampler for accuracy against device-seconds; knows nothing of the rest of this package."""
