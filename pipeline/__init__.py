"""Fulcrum: finds the point where accuracy pays for its GPU-seconds."""

__version__ = "0.1.0"
