"""`diagnose`: a command line in, a cheaper one out, with the evidence."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.cli import save_experiment
from pipeline.cli.compose import compose
from pipeline.cli.ui import base_address
from pipeline.errors import BadSetting
from pipeline.settings.command_line import CommandLine
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from pipeline.data.prepared import Prepared
    from pipeline.diagnosis.bottleneck import Case, Verdict, Words
    from pipeline.diagnosis.improve import Closed, Event
    from pipeline.diagnosis.paired_attempt import Attempt, Measured
    from pipeline.diagnosis.runner import Bench
    from pipeline.profiling.breakdown import Breakdown
    from pipeline.tracking.diagnosis_recorder import Journal

APART = {"diagnose", "tracking", "ui", "trained", "record"}
"""Heads of overrides that say how to diagnose, not what to train."""


def run(words: Sequence[str]) -> None:
    """Walk to a cheaper command line, record and print it, save it if asked to."""
    told, start = _told(words)
    settings = told.settings
    began = time.perf_counter()
    from pipeline.hardware import device

    held, imported = device.claim_and_pin_device(settings.device), time.perf_counter() - began
    from pipeline.cli.diagnosis_summary import Teller
    from pipeline.diagnosis.improve import walk
    from pipeline.diagnosis.remedies import REMEDIES
    from pipeline.diagnosis.runner import Bench
    from pipeline.models import litert
    from pipeline.tracking.diagnosis_recorder import Journal
    from pipeline.tracking.run_recorder import recording
    from pipeline.training.train import check

    bench = Bench(_settings, settings.diagnose.aim, held)
    prepared = bench.prepared(settings)
    check(prepared, settings)
    litert.check(settings.profile.runtime, prepared)
    _check_memory(prepared, settings)
    with recording(told, "diagnose", held) as record:
        record.prepared(prepared)
        diary = _Diary(Journal(record, settings.diagnose.aim, compose, held.name), imported)
        teller = Teller(settings.diagnose, diary.journal.cost_name, record)
        teller.begin(start, held.name)
        for event in walk(start, settings.train.seed, bench.run, bench.look, settings.diagnose, REMEDIES):
            diary.write(event)
            teller.tell(event)
        final = compose(diary.result.words)
        _finish(diary, bench, final, settings)
        record.note(teller.note(final))
        link = diary.journal.plant(diary.attempts, base_address())
    teller.end(final, link)
    if name := settings.diagnose.save:
        first, last = diary.baseline.point, diary.result.point
        times = first.device_seconds / last.device_seconds
        path = save_experiment.save(name, final, f"Found by diagnose: {times:.3g}x cheaper than it began")
        teller.saved(path, name)


# ---- what is diagnosed ------------------------------------------------------------------------------


def _told(words: Sequence[str]) -> "tuple[CommandLine, Words]":
    """Settings of the whole command, and the words of the trial to begin with.

    Raises:
        BadSetting: also for weights that are not fresh, and a name to save that is taken.
    """
    told = compose(words)
    if told.settings.trained is not None:
        from pipeline.tracking import model_references

        told = compose([*model_references.find(told.settings.trained).overrides, *words])
    if told.settings.diagnose.save:
        save_experiment.check(told.settings.diagnose.save)
    if told.settings.train.start_from is not None:
        raise BadSetting("diagnose needs train.from=null: it trains afresh, got a run; leave it out")
    if getattr(told.settings.model, "pretrained", None):
        raise BadSetting("diagnose needs fresh weights, got model.init=pretrained; leave it out")
    return told, tuple(word for word in told.overrides if word.partition("=")[0].split(".")[0] not in APART)


def _check_memory(prepared: "Prepared", settings: Settings) -> None:
    """Keras alone streams, and a loop that waits for the disk is not what is taken apart here."""
    from pipeline.training import device_data

    if device_data.streams(settings, prepared):
        raise BadSetting(
            f"diagnose needs training samples of at most data.in_memory_limit={settings.data.in_memory_limit}"
            f" bytes, got {prepared.train.features.nbytes}; raise it, or set data.fraction for a part of them"
        )


def _settings(words: "Words") -> Settings:
    return compose(words).settings


# ---- what is written down ---------------------------------------------------------------------------


@dataclass
class _Diary:
    """Every event, in MLflow and at hand; `imported`: seconds that importing TensorFlow took."""

    journal: "Journal"
    imported: float
    tracked: float = 0.0
    cases: "list[Case]" = field(default_factory=list)
    verdicts: "list[Verdict]" = field(default_factory=list)
    attempts: "list[Attempt]" = field(default_factory=list)
    opened: "Measured | None" = None
    closed: "Closed | None" = None

    def write(self, event: "Event") -> None:
        from pipeline.diagnosis import improve, paired_attempt

        match event:
            case improve.Opened(baseline):
                self.opened = baseline
                self.tracked = _seconds(lambda: self.journal.baseline(baseline))
            case improve.Named(case, verdict):
                self._named(case, verdict)
            case paired_attempt.Attempt():
                self.attempts.append(event)
                self.journal.attempt(event, self.verdicts[-1])
            case improve.Closed():
                self.closed = event
                self.journal.closed(self.baseline, event, self.attempts)

    def _named(self, case: "Case", verdict: "Verdict") -> None:
        from pipeline.profiling.breakdown import span

        beside = {
            **case.breakdown.beside,
            "import": span([self.imported], "TensorFlow, once a process"),
            "tracking": span([self.tracked], "the record of the baseline in MLflow, once"),
        }
        self.cases.append(replace(case, breakdown=replace(case.breakdown, beside=beside)))
        self.verdicts.append(verdict)
        self.journal.named(verdict, self.cases[-1].breakdown, len(self.attempts))

    @property
    def baseline(self) -> "Measured":
        assert self.opened is not None
        return self.opened

    @property
    def end(self) -> "Closed":
        assert self.closed is not None
        return self.closed

    @property
    def result(self) -> "Measured":
        return self.end.result

    def ends(self) -> "list[tuple[str, Case]]":
        """The first case and the last one, which may be the same."""
        named = [("baseline", self.cases[0])]
        changed = self.cases[-1].breakdown.whole != self.cases[0].breakdown.whole
        return [*named, ("last", self.cases[-1])] if changed else named


def _finish(diary: _Diary, bench: "Bench", final: CommandLine, settings: Settings) -> None:
    """Pictures, all values, and with `aim=latency` the model as it is served."""
    from pipeline.reports import diagnosis_plots

    journal, ends = diary.journal, diary.ends()
    wanted = sum(diary.baseline.accuracies) / len(diary.baseline.accuracies) - settings.diagnose.tolerance
    breakdowns: list[tuple[str, Breakdown]] = [(_name(name, case), case.breakdown) for name, case in ends]
    journal.pictures(
        breakdowns,
        [(name, case.roofline) for name, case in ends if case.roofline],
        diagnosis_plots.walk(
            diary.baseline, diary.attempts, diary.end, wanted, journal.cost_name, breakdowns[0][1].device
        ),
    )
    journal.values(
        {
            "walk": [asdict(each) for each in diary.attempts],
            "breakdown": {name: asdict(found) for name, found in breakdowns},
            "roofline": {name: asdict(case.roofline) for name, case in ends if case.roofline},
        }
    )
    if settings.diagnose.aim is Aim.latency:
        _serve(diary, bench, final)


def _name(name: str, case: "Case") -> str:
    told = case.settings
    hidden = getattr(told.model, "hidden", "")
    return (
        f"{name}: batch {told.train.batch_size}, {hidden} hidden, {told.precision.policy}, "
        f"{case.breakdown.loop}, {case.breakdown.steps:,} steps"
    )


def _serve(diary: _Diary, bench: "Bench", final: CommandLine) -> None:
    """The Keras model of the last command line, and the file it is served from where there is one."""
    from pipeline.models import litert

    model, prepared = bench.trained(final.settings), bench.prepared(final.settings)
    found = litert.served(model, final.settings.profile.runtime, prepared.validation)
    diary.journal.served(model, prepared, found)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
