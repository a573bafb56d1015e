"""Side-by-side measurements: `python -m benchmarks.engine`, `python -m benchmarks.clock`."""
