"""`serve-bench`: serve a trained model, load it at rising rates, and say how many requests it stands."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipeline.cli import arguments
from pipeline.cli.console import Console
from pipeline.cli.loops.words import require_network
from pipeline.cli.serve_bench.result import LoadRequest, LoadResult, show_result, to_json
from pipeline.cli.stages.trained_model import compose_with_model, get_target_run
from pipeline.errors import BadInput, BadRequest, BadSetting, ServerFailed
from pipeline.files import expand_home
from pipeline.formatting import format_number
from pipeline.profiling.load.first_answers import FirstAnswers, ask_in_turn
from pipeline.profiling.load.open_loop import LoadLevel, offer, raise_load
from pipeline.profiling.load.requests import HttpRequest, repeat_rows
from pipeline.settings.searching.quantities import read_seconds

if TYPE_CHECKING:
    from pipeline.tracking.model_references import ModelReference
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.tracking.serving.server_process import ScoringServer

STAGE = "serve-bench"
EXAMPLE = "serving_input_example.json"
START_SHARE = 1 / 8
"""Of the rate that one caller after the other reaches: where the load begins."""
PATIENCE_SECONDS = 30.0
"""A server that answered nothing at a rate may have a queue to work off."""
MOST_ROWS, MOST_WORKERS, MOST_SECONDS = 100_000, 256, 3600.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadSetting(f"{STAGE}: {message}; see python -m pipeline {STAGE} --help")


def parse(words: Sequence[str]) -> tuple[LoadRequest, list[str]]:
    """Return what the options ask for, and the other words.

    Raises:
        BadSetting: an option is unknown, or its value breaks its rule.
    """
    parser = _Parser(f"python -m pipeline {STAGE}", add_help=False, allow_abbrev=False)
    parser.add_argument("--p99", default="100ms", metavar="TIME")
    parser.add_argument("--seconds", default="5", metavar="TIME")
    parser.add_argument("--rows", default="1")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--request", metavar="FILE")
    parser.add_argument("--json", action="store_true")
    arguments.check_units(words)
    options, rest = parser.parse_known_args(list(words))
    unknown = next((word for word in rest if word.startswith("--")), None)
    if unknown is not None:
        parser.error(f"unknown option {unknown}")
    bound, seconds = read_seconds(options.p99), read_seconds(options.seconds)
    if bound is None:
        raise BadSetting(f"--p99 must be a time > 0, such as 50ms, got {options.p99}; write --p99 50ms")
    if seconds is None or seconds > MOST_SECONDS:
        raise BadSetting(f"--seconds must be > 0 and <= {MOST_SECONDS:g}, got {options.seconds}; write 5")
    asked = LoadRequest(
        bound_ms=1000 * bound,
        seconds=seconds,
        rows=_read_count("--rows", options.rows, MOST_ROWS),
        workers=_read_count("--workers", options.workers, MOST_WORKERS),
        file=expand_home(options.request) if options.request else None,
        as_json=options.json,
    )
    return asked, rest


def _read_count(name: str, text: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BadSetting(f"{name} must be a whole number >= 1 and <= {most}, got {text}; write {name} 1")
    return int(text)


def run(words: Sequence[str]) -> None:
    """Measure a served model under load; record it as a run, and print it.

    Raises:
        BadInput: the words, the model or the request are at fault; nothing is recorded.
        ServerFailed: the server ended, or refused what it had answered before; what was measured is recorded.
    """
    asked, rest = parse(words)
    require_network(STAGE, rest)
    environment = dict(os.environ)  # before this process takes a core for itself: a server may use all
    from pipeline.hardware.device import claim_plain_device
    from pipeline.tracking import model_references
    from pipeline.tracking.record_run import record_run
    from pipeline.tracking.serving.server_process import serve

    command_line, reference = compose_with_model(arguments.normalise_words(rest))
    folder = model_references.find_folder(reference)
    body = make_body(folder, asked)
    device = claim_plain_device(command_line.settings.device)
    with serve(folder, asked.workers, environment) as server:
        request = HttpRequest(server.host, server.port, body)
        first = _ask_first(server, request)
        with record_run(command_line, STAGE, device, get_target_run(command_line, reference)) as record:
            levels, end = _offer_rates(server, request, asked, first)
            result = LoadResult(
                asked=asked, load_seconds=server.load_seconds, first=first, levels=levels, end=end
            )
            _record(record, result, reference)
    if asked.as_json:
        print(json.dumps({**to_json(result), "run_id": record.run_id}, indent=1))
    else:
        show_result(result, reference.text, record.run_id)
    if result.failure:
        raise ServerFailed(result.failure)


def make_body(folder: Path, asked: LoadRequest) -> bytes:
    """Return the body of each request: that of the user's file, or the model's example, with so many rows.

    Raises:
        BadInput: there is none, or none that can be read.
    """
    path = asked.file or folder / EXAMPLE
    try:
        sent = json.loads(path.read_text())
        body = repeat_rows(sent, asked.rows) if isinstance(sent, dict) else None
    except FileNotFoundError:
        whose = "a file that is there" if asked.file else "named, since the model has no example of one"
        raise BadInput(
            f'--request must be {whose}, got {path.name}; write a file such as {{"inputs": [[0.5, 1]]}}'
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"--request must be a file of JSON, got {path} ({error})") from None
    if body is None:
        raise BadInput(
            f"--request must have samples under inputs, instances, dataframe_records or dataframe_split, "
            f"got {path}; see docs/how-to/use-a-model.md"
        )
    return json.dumps(body).encode()


def _ask_first(server: "ScoringServer", request: HttpRequest) -> FirstAnswers:
    """Return the first answers; a request that the model does not answer is refused, if the server lives."""
    try:
        return ask_in_turn(request)
    except BadRequest:
        if end := _explain_end(server, patience=0):
            raise ServerFailed(
                f"the served model must answer until the end, at its first requests: {end}"
            ) from None
        raise


def _offer_rates(
    server: "ScoringServer", request: HttpRequest, asked: LoadRequest, first: FirstAnswers
) -> tuple[tuple[LoadLevel, ...], str]:
    """Return what became of each rate, and why the server answered no more: "" where it did."""
    console, levels = Console(stderr=True), list[LoadLevel]()

    def offer_rate(rate: float) -> LoadLevel:
        with console.status(f"{format_number(rate)} requests a second ..."):
            levels.append(offer(request, rate, asked.seconds, len(levels) + 1, asked.bound_ms))
        patience = PATIENCE_SECONDS if levels[-1].answered == 0 else None
        if end := _explain_end(server, patience):
            raise ServerFailed(end)
        return levels[-1]

    try:
        return raise_load(offer_rate, START_SHARE * 1000 / first.warm.p50_ms, asked.bound_ms), ""
    except ServerFailed as failed:
        return tuple(levels), str(failed)


def _explain_end(server: "ScoringServer", patience: float | None) -> str:
    """Explain why the server has ended; or, where `patience` is given, that it answers no more within it."""
    from pipeline.search.workers.exit_reason import explain_exit

    if server.process.poll() is None and (patience is None or server.answers(patience)):
        return ""
    code = server.process.poll()
    return "it is there, but gives no sign of life" if code is None else explain_exit(code, None, "")


def _record(record: "RunRecorder", result: LoadResult, reference: "ModelReference") -> None:
    asked, first, best = result.asked, result.first, result.best
    record.set_tags(
        {
            "serve.model": reference.text,
            "serve.p99_bound_ms": f"{asked.bound_ms:g}",
            "serve.rows": str(asked.rows),
            "serve.workers": str(asked.workers),
        }
    )
    record.add_metrics(
        {
            "serve/requests_per_second": 0.0 if best is None else best.answered,
            "serve/load_seconds": result.load_seconds,
            "serve/cold_ms": first.cold_ms,
            "serve/warm_p50_ms": first.warm.p50_ms,
            "serve/warm_p99_ms": first.warm.p99_ms,
        }
    )
    for level in sorted(result.levels, key=lambda level: level.offered):
        metrics = {
            "serve/answered_per_second": level.answered,
            "serve/p50_ms": level.p50_ms,
            "serve/p90_ms": level.p90_ms,
            "serve/p99_ms": level.p99_ms,
            "serve/errors": float(sum(level.errors.values())),
        }
        record.add_metrics(metrics, step=round(level.offered))  # which is the x axis of its charts
    record.log_files({"serve_bench.json": json.dumps(to_json(result), indent=1).encode()})
