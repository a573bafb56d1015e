"""`preprocess`: prepare the data and record what they are."""

from collections.abc import Sequence

from pipeline.cli.compose import compose
from pipeline.cli.stages.preparation import prepare
from pipeline.cli.stages.recording import open_record
from pipeline.measures import Seconds


def run(words: Sequence[str]) -> None:
    """Prepare the data of the words and record them."""
    preparation = prepare(compose(words))
    from pipeline.cli.summary import results

    with open_record(preparation, "preprocess") as record:
        record.record_seconds(Seconds(prepare=preparation.prepare_seconds))
    results.show_preprocess(preparation.prepared, preparation.prepare_seconds, record)
