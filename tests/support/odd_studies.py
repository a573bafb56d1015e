"""Studies at the edge of what can be drawn or written, for the tests of reports."""

from pipeline.search.results import Results
from tests.support.studies import tried

EMPTY = Results(study="nothing yet", data="digits", trials=())
ONE = Results(study="one", data="digits", trials=(tried(0, (0.9, 0.01)),))
PERFECT = Results(
    study="all right", data="digits", trials=(tried(0, (0.9, 1.0), (1.0, 2.0)), tried(1, (1.0, 1e-7)))
)
FAILED = Results(
    study="all failed", data="digits", trials=(tried(0, state="failed"), tried(1, (0.5, 1.0), state="failed"))
)
NARROW = Results(
    study="narrow", data="digits", trials=(tried(0, (0.98, 100.0), (0.9801, 101.0), (0.9802, 102.0)),)
)
WEIRD = Results(
    study="$x$ | <b>", data="d|d", trials=(tried(0, (0.5, 1.0), params={"a": "$y|z$<i>", "b": None}),)
)
ODD = [EMPTY, ONE, PERFECT, FAILED, NARROW, WEIRD]


def name_study(results: Results) -> str:
    """Return the id of a parametrised test."""
    return results.study
