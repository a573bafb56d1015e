"""The commands as functions, for programs and notebooks: what `import fulcrum_ml` offers."""
