"""Several suggestions from one fit of the surrogates."""
