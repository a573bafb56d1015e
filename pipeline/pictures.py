"""Which pictures a run gets, by the kind of its samples; `plots` and its kin draw them."""

from pipeline import plots, plots_text, plots_tiles
from pipeline.prepared import Prepared
from pipeline.raw import Texts
from pipeline.stages.evaluate import Evaluation


def of_samples(prepared: Prepared) -> bytes:
    """Training samples of each class."""
    texts = isinstance(prepared.train.samples, Texts)
    return plots_text.samples(prepared) if texts else plots_tiles.samples(prepared)


def of_evaluation(evaluation: Evaluation, prepared: Prepared) -> dict[str, bytes]:
    """All that `evaluate` has to show, by file name; no picture of mistakes where there are none to show."""
    found = {
        "pictures/confusion_matrix.png": plots.confusion_matrix(evaluation, prepared.classes),
        "pictures/calibration.png": plots.calibration(evaluation),
    }
    texts = isinstance(prepared.test.samples, Texts)
    if evaluation.worst:
        draw = plots_text.worst_mistakes if texts else plots_tiles.worst_mistakes
        found["pictures/worst_mistakes.png"] = draw(evaluation, prepared)
    if texts and (ngrams := plots_text.error_ngrams(evaluation, prepared)):
        found["pictures/error_ngrams.png"] = ngrams
    return found
