"""Accuracy against device-seconds: who dominates whom, the area of the frontier, and choosing on it. Pure.

Points are finite, with `device_seconds` > 0, and all have as many `further` costs: none in the plane, any
number beside it, where the area is a volume. The functions return indices into the points that they get, so
that a caller can look up what belongs to a point.
"""
