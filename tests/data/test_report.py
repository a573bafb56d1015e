"""The report on a user's data: what is counted, what is printed, and that earlier ones are read."""

from dataclasses import asdict

from pipeline.data.report import CleaningReport, Finding, Findings, decode_report, describe_report

WITHOUT = {
    "rows_read": 3,
    "rows_kept": {"train": 1, "validation": 1, "test": 1},
    "dropped": {"NaN or infinite feature": 1, "label out of range": 0},
    "constant_features": 0,
    "smallest": 0.0,
    "largest": 1.0,
    "histogram": {},
    "unreadable": [],
}


def test_findings_of_one_kind_are_counted_together() -> None:
    findings = Findings()
    findings.add("file", "left out: hidden", "a/.x.png")
    findings.add("column", "left out: constant", "c", count=0)
    findings.add("file", "left out: hidden", "a/.y.png", count=1999)
    assert findings.to_tuple() == (Finding("file", "left out: hidden", 2000, "a/.x.png"),)
    assert str(findings.to_tuple()[0]) == "2,000 files left out: hidden (a/.x.png)"


def test_a_name_with_a_line_end_stays_in_its_line() -> None:
    assert str(Finding("file", "left out", 1, "a\nb\x1b[2J")) == r"1 file left out (a\nb\x1b[2J)"


def test_a_report_is_read_again_also_one_of_an_earlier_release() -> None:
    earlier = decode_report(dict(WITHOUT))
    assert (earlier.findings, earlier.unreadable) == ((), ())
    finding = Finding("file", "left out: hidden", 2, "a/.x.png")
    report = CleaningReport(**{**WITHOUT, "unreadable": (), "findings": (finding,)})  # type: ignore[arg-type]
    assert decode_report(asdict(report)) == report
    assert list(describe_report(report)) == ["1 row left out: NaN or infinite feature", str(finding)]
