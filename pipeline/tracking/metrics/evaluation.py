"""The scores of an evaluation as metrics."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.tracking.metrics.names import make_metric_names

if TYPE_CHECKING:  # evaluating needs TensorFlow, the names of its scores do not
    from pipeline.evaluation.accuracy_under_attack import AttackScore
    from pipeline.evaluation.class_balance import ClassBalance
    from pipeline.evaluation.evaluate import AnyEvaluation, Evaluation
    from pipeline.evaluation.inspection import Inspection
    from pipeline.evaluation.membership import Attack
    from pipeline.evaluation.quantities import QuantityEvaluation

Values = dict[str, float | None]
MOST_NAMED = 20
"""Columns and groups that have a metric of their own; evaluation.json has all."""
SHIFT_STEPS = "evaluate/test_accuracy_under_shift_by_severity"


def list_evaluation_metrics(evaluation: "AnyEvaluation") -> Iterator[tuple[int, Values]]:
    """Yield a step and metrics of that step: 0 for all but the accuracy by severity of a shift."""
    from pipeline.evaluation.quantities import QuantityEvaluation

    if evaluation.inspection is not None:
        yield 0, _list_inspection(evaluation.inspection)
    if isinstance(evaluation, QuantityEvaluation):
        yield 0, _list_quantities(evaluation)
        return
    yield 0, _list_splits(evaluation) | _list_classes(evaluation) | _list_balance(evaluation.balance)
    yield 0, _list_calibration(evaluation)
    for attack in evaluation.membership:
        yield 0, _list_membership(attack)
    for shifted in evaluation.shifted:
        yield shifted.severity, {SHIFT_STEPS: shifted.test}
    if evaluation.accuracy_under_shift is not None and evaluation.test_accuracy_under_shift is not None:
        validation, test = evaluation.accuracy_under_shift, evaluation.test_accuracy_under_shift
        yield 0, {"accuracy_under_shift": validation, "evaluate/test_accuracy_under_shift": test}
    if evaluation.attacked is not None:
        yield 0, _list_attack(evaluation.attacked)


def _list_inspection(inspection: "Inspection") -> Values:
    importances, groups = inspection.importances[:MOST_NAMED], inspection.subgroups
    names = make_metric_names([column.name for column in importances])
    values: Values = {
        f"evaluate/importance/{name}": column.loss for name, column in zip(names, importances, strict=True)
    }
    if groups is not None:
        shown, figure = groups.groups[:MOST_NAMED], "error" if groups.is_error else "accuracy"
        names = make_metric_names([group.name for group in shown])
        values |= {
            f"evaluate/test_group_{figure}/{name}": group.score.value
            for name, group in zip(names, shown, strict=True)
        }
        values[f"evaluate/test_worst_group_{figure}"] = groups.worst.score.value
    if inspection.suspects is not None:
        values["evaluate/validation_label_suspects"] = inspection.suspects.count
    return values


def _list_quantities(evaluation: "QuantityEvaluation") -> Values:
    values: Values = {}
    for split in ("train", "validation", "test"):
        score = asdict(getattr(evaluation, split))
        del score["samples"]
        values |= {f"evaluate/{split}_{name}": value for name, value in score.items()}
    return values | {
        "evaluate/test_bias": evaluation.bias,
        "evaluate/gap_train_test": evaluation.train.r2 - evaluation.test.r2,
        "evaluate/gap_train_validation": evaluation.train.r2 - evaluation.validation.r2,
    }


def _list_splits(evaluation: "Evaluation") -> Values:
    splits = {"train": evaluation.train, "validation": evaluation.validation, "test": evaluation.test}
    values: Values = {f"evaluate/{name}_accuracy": score.accuracy for name, score in splits.items()}
    values |= {f"evaluate/{name}_loss": score.loss for name, score in splits.items()}
    if evaluation.file_accuracy is not None:
        values["evaluate/test_file_accuracy"] = evaluation.file_accuracy
    return values | {
        "evaluate/gap_train_test": evaluation.gap_train_test,
        "evaluate/gap_train_validation": evaluation.gap_train_validation,
    }


def _list_classes(evaluation: "Evaluation") -> Values:
    values: Values = {}
    names = make_metric_names([score.name for score in evaluation.classes])
    for name, score in zip(names, evaluation.classes, strict=True):
        values[f"evaluate/test_precision/{name}"] = score.precision
        values[f"evaluate/test_recall/{name}"] = score.recall
    return values


def _list_balance(balance: "ClassBalance") -> Values:
    values: Values = {"evaluate/test_balanced_accuracy": balance.accuracy, "evaluate/test_f1": balance.f1}
    name = "evaluate/test_auc"
    values[name] = balance.auc
    if balance.auc_interval is not None:
        values[f"{name}_low"], values[f"{name}_high"] = balance.auc_interval
    return values


def _list_calibration(evaluation: "Evaluation") -> Values:
    name = "evaluate/test_calibration_error"
    values: Values = {name: evaluation.calibration_error}
    if evaluation.calibration_interval is not None:
        values[f"{name}_low"], values[f"{name}_high"] = evaluation.calibration_interval
    return values


def _list_membership(attack: "Attack") -> Values:
    values: Values = {}
    for what, figure in {"auc": attack.auc, "tpr_at_1_fpr": attack.tpr}.items():
        name = f"evaluate/membership_{attack.name}_{what}"
        values |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return values


def _list_attack(attacked: "AttackScore") -> Values:
    test, name = attacked.test, "evaluate/test_accuracy_under_attack"
    return {
        "accuracy_under_attack": attacked.validation.value,
        name: test.value,
        f"{name}_low": test.low,
        f"{name}_high": test.high,
    }
