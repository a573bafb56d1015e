"""How a store of MLflow comes into being."""
