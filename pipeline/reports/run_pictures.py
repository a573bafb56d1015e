"""Which pictures a run gets, by the kind of its samples; `plots` and its kin draw them."""

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Texts
from pipeline.evaluation.evaluate import Evaluation
from pipeline.reports import image_samples, text_samples, trial_plots


def of_samples(prepared: Prepared) -> bytes:
    """Training samples of each class."""
    texts = isinstance(prepared.train.samples, Texts)
    return text_samples.samples(prepared) if texts else image_samples.samples(prepared)


def of_evaluation(evaluation: Evaluation, prepared: Prepared) -> dict[str, bytes]:
    """All that `evaluate` has to show, by file name; no picture of mistakes where there are none to show."""
    found = {
        "pictures/confusion_matrix.png": trial_plots.confusion_matrix(evaluation, prepared.classes),
        "pictures/calibration.png": trial_plots.calibration(evaluation),
    }
    texts = isinstance(prepared.test.samples, Texts)
    if evaluation.worst:
        draw = text_samples.worst_mistakes if texts else image_samples.worst_mistakes
        found["pictures/worst_mistakes.png"] = draw(evaluation, prepared)
    if texts and (ngrams := text_samples.error_ngrams(evaluation, prepared)):
        found["pictures/error_ngrams.png"] = ngrams
    return found
