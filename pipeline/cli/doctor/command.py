"""`doctor`: a line for each part of the machine, and an exit code that a script can read."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.doctor.checks import CheckResult, examine
from pipeline.errors import FulcrumError

JSON = "--json"
MARKS = {"ok": "ok  ", "note": "note", "fails": "FAIL"}


class Unfit(FulcrumError):
    """A part of this machine does not work."""


def run(words: Sequence[str]) -> None:
    """Examine this machine and print what was found; `--json`: for programs.

    Raises:
        Unfit: something does not work.
        BadInput: the words are wrong.
    """
    settings = compose(arguments.normalise_words(word for word in words if word != JSON)).settings
    findings: list[CheckResult] = []
    for finding in examine(settings):
        findings.append(finding)
        if JSON not in words:
            print(format_finding(finding), flush=True)
    if JSON in words:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    failed = [finding.component for finding in findings if finding.state == "fails"]
    if failed:
        raise Unfit(
            f"{len(failed)} of {len(findings)} parts of this machine do not work: {', '.join(failed)}"
        )


def format_finding(finding: CheckResult) -> str:
    """Return the line of a finding, with its remedy."""
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{MARKS[finding.state]}  {finding.component:<11}{finding.text}{remedy}"
