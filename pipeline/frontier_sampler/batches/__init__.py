"""The candidates of one moment, and several suggestions from one fit of the surrogates."""
