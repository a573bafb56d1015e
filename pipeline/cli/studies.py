"""The command `studies`: what was searched so far, the newest first."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from pipeline.cli.compose import compose
from pipeline.cli.console import Console
from pipeline.errors import BadInput
from pipeline.formatting import format_duration
from pipeline.settings import addresses

if TYPE_CHECKING:
    from pipeline.search.results import Results

SHOWN = 20
"""Studies that the table has; `--json` has all."""


def run(words: Sequence[str]) -> None:
    """List the studies of the storage: trials, points, the best measure, the knee and what was spent.

    Raises:
        BadInput: the storage does not answer.
    """
    as_json = "--json" in words
    settings = compose([word for word in words if word != "--json"]).settings
    from pipeline.search import optuna_storage

    address = settings.search.storage or addresses.make_study_address()
    names = optuna_storage.list_studies(address)[::-1]
    rows = [_describe(name, address) for name in (names if as_json else names[:SHOWN])]
    if as_json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print("no study yet; begin one with: python -m pipeline sweep")
    else:
        _print_table(rows, len(names))


def _describe(name: str, address: str) -> dict[str, Any]:
    """Return what the study has come to as plain values; one that cannot be read says why."""
    from pipeline.search import study_store, trial_rows

    try:
        results = trial_rows.read_results(study_store.StudyStore.open_for_reading(address, name), name)
        return {"study": name, **_summarise(results)}
    except BadInput as error:
        return {"study": name, "problem": str(error)}


def _summarise(results: "Results") -> dict[str, Any]:
    best, knee = results.best, results.knee
    return {
        "trials": len(results.trials),
        "points": len(results.frontier),
        "measure": results.measure.label,
        "best": best.estimate.accuracy if best else None,
        "knee": knee.estimate.accuracy if knee else None,
        "paid_device_seconds": results.paid_seconds,
        "confirming_device_seconds": results.confirming_seconds,
        "device": results.device if results.frontier else "",
        "confirmed": results.is_confirmed,
        "shown": {
            "best": results.measure.format(best.estimate.accuracy) if best else "-",
            "knee": f"{results.measure.format(knee.estimate.accuracy)} at "
            f"{format_duration(knee.estimate.device_seconds)}"
            if knee
            else "-",
        },
    }


def _print_table(rows: Sequence[dict[str, Any]], total: int) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("study", overflow="fold")  # a long name may not push the figures out
    for heading in ("trials", "points", "best", "knee", "spent"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        if "problem" in row:
            table.add_row(escape(row["study"]), "", "", "", "", "", escape(row["problem"]))
            continue
        counts = (str(row["trials"]), str(row["points"]), row["shown"]["best"], row["shown"]["knee"])
        about = row["device"] if row["confirmed"] or not row["device"] else f"{row['device']}, not confirmed"
        seconds = row["paid_device_seconds"] + row["confirming_device_seconds"]
        table.add_row(escape(row["study"]), *counts, format_duration(seconds), escape(about))
    console = Console()
    console.print_table(table)
    if len(rows) < total:
        console.print(f"[dim]{len(rows)} of {total} studies; all of them: studies --json[/]")
    console.print("[dim]one of them: python -m pipeline frontier --study NAME[/]")
