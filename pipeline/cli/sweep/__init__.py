"""A sweep as a person sees it: what it will take, what it shows, how it ended and what more would add."""
