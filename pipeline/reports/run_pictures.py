"""The pictures of a run, by the kind of its samples; the modules beside this one draw them."""

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Texts
from pipeline.evaluation.evaluate import AnyEvaluation
from pipeline.evaluation.quantities import QuantityEvaluation
from pipeline.reports import image_samples, inspection_plots, quantity_plots, text_samples, trial_plots


def draw_samples(prepared: Prepared) -> bytes:
    """Draw training samples of each class, or each fifth of a quantity."""
    texts = isinstance(prepared.train.samples, Texts)
    return text_samples.draw_samples(prepared) if texts else image_samples.draw_samples(prepared)


def draw_evaluation(evaluation: AnyEvaluation, prepared: Prepared) -> dict[str, bytes]:
    """Draw an evaluation: PNG, of words HTML, by file name; no picture of mistakes where there are none."""
    if isinstance(evaluation, QuantityEvaluation):
        return {
            "pictures/residuals.png": quantity_plots.draw_residuals(evaluation),
            **_draw_inspection(evaluation, "R2"),
        }
    pictures = {
        "pictures/confusion_matrix.png": trial_plots.draw_confusion_matrix(evaluation, prepared.classes),
        "pictures/calibration.png": trial_plots.draw_calibration(evaluation),
    }
    texts = isinstance(prepared.test.samples, Texts)
    if evaluation.worst:
        draw = text_samples.draw_worst_mistakes if texts else image_samples.draw_worst_mistakes
        pictures["pictures/worst_mistakes.png"] = draw(evaluation, prepared)
    if texts and (ngrams := text_samples.draw_error_ngrams(evaluation, prepared)):
        pictures["pictures/error_ngrams.png"] = ngrams
    if evaluation.saliency and texts:
        pictures["saliency.html"] = text_samples.write_saliency(evaluation)
    elif evaluation.saliency:
        pictures["pictures/saliency.png"] = image_samples.draw_saliency(evaluation, prepared)
    return pictures | _draw_inspection(evaluation, "accuracy")


def _draw_inspection(evaluation: AnyEvaluation, measure: str) -> dict[str, bytes]:
    inspection = evaluation.inspection
    return {} if inspection is None else inspection_plots.draw_inspection(inspection, measure)
