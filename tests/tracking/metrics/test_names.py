"""Metrics have names that MLflow takes, each thing one of its own."""

from pipeline.tracking.metrics.names import make_metric_names


def test_each_class_has_a_metric_of_its_own() -> None:
    classes = ["a?", "a!", "..", ".", "", "x" * 300, "x" * 301, "Yes", "yes", "plain", "a/b", "a|b"]
    parts = make_metric_names(classes)
    assert len({part.casefold() for part in parts}) == len(classes)
    assert parts[9] == "plain"
    assert all(0 < len(part) < 130 and "/" not in part and part.strip(".") for part in parts)
