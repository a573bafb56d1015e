"""Commands on a training loop of the user's own: `trial=function` and `trial=command`."""
