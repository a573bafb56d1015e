"""The page of a study: choose a point, see its settings and its command, look at the study from other sides.

One file that opens without a network. What moves is in `assets/`; the study lies in the page as JSON. Beside
a page that is written while a search goes on lies a feed, the same JSON as a script: an open page loads it
again and again, from a folder as from a server, and keeps what its reader has chosen.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.offline  # type: ignore[import-untyped]

from pipeline.formatting import format_count, format_device_seconds, format_number, format_setting
from pipeline.frontier.hypervolume import compute_error_floor
from pipeline.reports import study_charts, study_pair_charts
from pipeline.reports.study_markdown import describe_point, format_accuracies, format_further, format_seconds
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint, StudyTrial
from pipeline.settings.addresses import AS_EXPERIMENT, FEED

ASSETS = Path(__file__).with_name("assets")
CHARTS = {
    "history": "History: hypervolume (the area that the frontier dominates) against what was spent",
    "slices": "Slices: one setting against the measure",
    "parallel": "Parallel coordinates: all settings at once",
}
"""Charts that are drawn when a person opens them, and their headings."""
TERMS = (
    "The blue line is the <b>frontier</b>: for each cost the best {measure} that was found for it. The ring "
    "is its <b>knee</b>: behind it, more {measure} costs much more. Grey dots are where the other trials "
    "ended; choose any of them by a click."
)


def render_frontier(
    results: Results, runs: str = "", overlay: Results | None = None, is_live: bool = False
) -> str:
    """Render the page (5 MB of it are plotly.js).

    `runs`: the address before a run's id; empty: no links; `overlay`: a study whose frontier is drawn, too;
    `is_live`: it looks for news in its feed.
    """
    data = make_page_data(results, runs, overlay, is_live)
    name, measure = escape(results.study), escape(results.measure.label)
    charts = "".join(
        f'<details data-chart="{key}"><summary>{heading}</summary>'
        f'<div id="{key}" class="chart"></div></details>'
        for key, heading in CHARTS.items()
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<link rel="icon" href="data:,"><title>{name}: {measure} for device-seconds</title>',
            f"<style>{(ASSETS / 'frontier_page.css').read_text()}</style>",
            f"<script>{plotly.offline.get_plotlyjs()}</script></head><body>",
            '<a class="skip" href="#table">Skip to the table of points</a>',
            f'<header><h1>{name}</h1><span class="dim" id="spent"></span>',
            '<span id="live"></span><button id="theme" type="button">Dark</button></header>',
            f'<main><p class="dim">{TERMS.format(measure=measure)}</p>',
            f'<p id="none" hidden>No trial has come to a point yet.</p>{_render_remarks(results)}',
            "<noscript><p>The charts and the choice of a point need JavaScript, which is switched off here; "
            "the table has all points of the frontier.</p></noscript>",
            _render_choice(results),
            '<section aria-label="Charts"><div id="frontier" class="chart large" role="figure" '
            f'aria-label="Chart: {measure} against device-seconds; the table below has its points"></div>',
            '<div id="pairs"></div></section>',
            f'<section id="table" aria-label="The points as a table">{render_table(results)}</section>',
            f'<section aria-label="More charts">{charts}</section></main>',
            f'<script type="application/json" id="study">{_escape_script(data)}</script>',
            f"<script>{(ASSETS / 'frontier_charts.js').read_text()}</script>",
            f"<script>{(ASSETS / 'frontier_page.js').read_text()}</script></body></html>",
        ]
    )


def render_feed(results: Results, runs: str = "", is_live: bool = True) -> str:
    """Render the feed of a page; `is_live`: more will come."""
    data = {**make_page_data(results, runs, None, is_live), "table": render_table(results)}
    return f"receiveStudy({_escape_script(data)});\n"


def _escape_script(data: dict[str, Any]) -> str:
    """Return JSON in which no text of a study ends a script."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def make_page_data(
    results: Results, runs: str = "", overlay: Results | None = None, is_live: bool = False
) -> dict[str, Any]:
    """Return what the page's script reads: the charts, the points, the trials, the steps of the sliders."""
    measure = results.measure
    points = _make_points(results)
    values = sorted({point["value"] for point in points if point["candidate"]})
    costs = sorted({point["cost"] for point in points if point["candidate"]})
    return {
        "measure": measure.label,
        "spent": _describe_spent(results, overlay),
        "runs": runs,
        "suffix": AS_EXPERIMENT,
        "feed": FEED if is_live else "",
        "written": time.strftime("%H:%M:%S"),
        "config": study_charts.CONFIG,
        "figure": study_charts.draw_frontier(results, overlay).to_dict(),
        "pairs": [figure.to_dict() for figure in study_pair_charts.draw_pairs(results)],
        "points": points,
        "sliders": {
            "at-least": [{"value": value, "shown": measure.format(value)} for value in values],
            "within": [{"value": cost, "shown": format_device_seconds(cost)} for cost in costs],
        },
        "keys": list(dict.fromkeys(key for trial in results.trials for key in trial.params)),
        "trials": [_make_trial(trial, results) for trial in results.trials],
        "progress": [list(step) for step in results.compute_progress()],
        "overlay": _make_overlay(overlay, results) if overlay else None,
    }


def _make_overlay(overlay: Results, results: Results) -> dict[str, Any]:
    """Return what the script reads of a second study; its hypervolume is of the first one's window."""
    window = study_charts.enclose(results, overlay)
    return {
        "study": overlay.study,
        "points": _make_points(overlay, f"{overlay.study} "),
        "progress": [list(step) for step in overlay.compute_progress(window)],
        "own_progress": [list(step) for step in results.compute_progress(window)],
    }


def _describe_spent(results: Results, overlay: Results | None) -> str:
    device = f" of {results.device}" if results.frontier else ""
    spent = (
        f"{format_count(len(results.trials), 'trial')}, {format_device_seconds(results.paid_seconds)}{device}"
        f"{results.describe_confirming()}"
    )
    if overlay is None:
        return spent
    other = f"{spent}; with the frontier of {overlay.study}"
    is_other_device = results.frontier and overlay.frontier and overlay.device != results.device
    return f"{other}, which is of another device ({overlay.device})" if is_other_device else other


def _make_points(results: Results, prefix: str = "") -> list[dict[str, Any]]:
    floor, knee, candidates = compute_error_floor(results.points), results.knee, results.candidates
    return [
        {
            **_make_point(member, floor, prefix),
            "knee": member is knee,
            "candidate": member in candidates,
        }
        for member in results.frontier
    ]


def _make_point(member: FrontierPoint, floor: float, prefix: str) -> dict[str, Any]:
    estimate = member.estimate
    return {
        "key": prefix + member.name,
        "trial": member.trial.number,
        "x": member.point.device_seconds,
        "y": max(1 - member.point.accuracy, floor),
        "value": estimate.accuracy,
        "cost": estimate.device_seconds,
        "shown": member.measure.format(estimate.accuracy),
        "seconds": format_number(estimate.device_seconds),
        "text": f"{prefix}trial {member.trial.number} at epoch {member.epoch}: {describe_point(member)}",
        "params": _make_plain(member.params),
        "command": member.command,
        "run": member.trial.run_id,
    }


def _make_trial(trial: StudyTrial, results: Results) -> dict[str, Any]:
    about = {"number": trial.number, "state": trial.state, "params": _make_plain(trial.params)}
    if not study_charts.is_drawn(trial):
        return {**about, "value": None, "cost": None}
    last = trial.points[-1]
    return {
        **about,
        "value": last.accuracy,
        "cost": last.device_seconds,
        "shown": results.measure.format(last.accuracy),
        "seconds": format_number(last.device_seconds),
        "epochs": len(trial.curve),
        "command": trial.command,
        "run": trial.run_id,
    }


def _make_plain(params: Mapping[str, object]) -> dict[str, Any]:
    """Return params as JSON has them: no infinity, and true, false and null as words."""
    return {key: value if _is_number(value) else format_setting(value) for key, value in params.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _render_choice(results: Results) -> str:
    """Render the two sliders and the place of the chosen point."""
    sliders = "".join(
        f'<label for="{key}">{text} <output id="{key}-shown" for="{key}"></output>'
        f'<input id="{key}" type="range" min="0" step="1" value="0"></label>'
        for key, text in (
            ("at-least", f"the cheapest with {escape(results.measure.label)} of at least"),
            ("within", "the best within"),
        )
    )
    return (
        f'<div class="choose" hidden>{sliders}</div><section id="chosen" aria-live="polite" hidden></section>'
    )


def _render_remarks(results: Results) -> str:
    """Render what was found in the data before the search; nothing where nothing was."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in results.remarks)
    heading = "Data: what to look at before you trust the scores"
    return f"<details open><summary>{heading}</summary><ul>{lines}</ul></details>" if lines else ""


def render_table(results: Results) -> str:
    """Render the points of the frontier: what each group of seeds reached, the cost, the command."""
    if not results.frontier:
        return ""
    confirmed = any(member.confirmation for member in results.frontier)
    reached = (
        ["all seeds (95 % interval)", "search", "new seeds", "test"] if confirmed else [results.measure.label]
    )
    headings = [*reached, "device-seconds", *(kind.heading for kind in results.further), "command"]
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(
        f'<tr tabindex="0" data-key="{member.name}">'
        f"{_render_cells(_list_cells(member, results, confirmed))}</tr>"
        for member in results.frontier
    )
    return (
        '<h2>The frontier</h2><p class="dim">Choose a row by click, or by Enter and the arrow keys.</p>'
        '<div class="wide" tabindex="0" role="region" aria-label="Table of points, to be scrolled">'
        '<table id="points" role="grid" aria-label="The points of the frontier, by cost">'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _list_cells(member: FrontierPoint, results: Results, confirmed: bool) -> list[str]:
    reached = format_accuracies(member) if confirmed else [results.measure.format(member.point.accuracy)]
    return [*reached, format_seconds(member), *format_further(member, with_unit=False), member.command]


def _render_cells(cells: Sequence[str]) -> str:
    first, *others = map(escape, cells)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others)
