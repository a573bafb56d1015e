"""MLflow's registry of models: what a name stands for there, and the models of a study."""
