"""The one bottleneck of a command line, and the loop that keeps what pays."""
