"""What a person reads of the scores at the end of a command."""

from pipeline.cli.summary.scores import list_balance
from pipeline.evaluation.class_balance import ClassBalance


def test_what_accuracy_hides_of_a_rare_class_is_said() -> None:
    assert list_balance(ClassBalance(0.97, 0.96, None), 0.98) == []
    ((name, text),) = list_balance(ClassBalance(0.5, 0.49, None, ("a", "[b]", "c", "d")), 0.98)
    assert name == "balanced"
    assert "50.00%[/] test" in text
    assert r"never recognised: a, \[b], c and 1 more" in text


def test_an_area_without_an_interval_has_none() -> None:
    assert list_balance(ClassBalance(1.0, 1.0, 1.0), 1.0) == [("AUC", "100.00% test")]
    rows = list_balance(ClassBalance(1.0, 1.0, 0.9, (), (0.6, 0.95)), 1.0)
    assert rows == [("AUC", "90.00% (60.00% to 95.00%) test")]
