"""The page of a study: choose a point, see its settings and its command, look at the study from other sides.

One file that opens without a network. What moves is in `assets/`; the study lies in the page as JSON.
"""

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from pipeline.formatting import format_number
from pipeline.frontier import compute_error_floor
from pipeline.reports import study_charts
from pipeline.reports.study_markdown import describe_point, format_accuracies, format_further, format_seconds
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint, StudyTrial

ASSETS = Path(__file__).with_name("assets")
CHARTS = {
    "history": "History: hypervolume against what was spent",
    "slices": "Slices: one setting against the measure",
    "parallel": "Parallel coordinates: all settings at once",
}
"""Charts that are drawn when a person opens them, and their headings."""


def render_frontier(results: Results, runs: str = "") -> str:
    """Render the page (5 MB of it are plotly.js). `runs`: the address before a run's id; empty: no links."""
    figure = study_charts.draw_frontier(results)
    data = json.dumps(make_page_data(results, runs)).replace("<", "\\u003c")  # no text ends the script
    name = escape(results.study)
    device = f" of {escape(results.device)}" if results.frontier else ""
    spent = f"{len(results.trials)} trials, {format_number(results.paid_seconds)} device-seconds{device}"
    charts = "".join(
        f'<details data-chart="{key}"><summary>{heading}</summary>'
        f'<div id="{key}" class="chart"></div></details>'
        for key, heading in CHARTS.items()
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name}: {escape(results.measure.label)} for device-seconds</title>",
            f"<style>{(ASSETS / 'frontier_page.css').read_text()}</style></head><body>",
            f'<header><h1>{name}</h1><span class="dim">{spent}</span>',
            '<button id="theme" type="button">Dark</button></header>',
            f"<main>{_render_choice(results)}",
            f'<section aria-label="Chart: {escape(results.measure.label)} against device-seconds; '
            f'the table below has its points">{study_charts.render_chart(figure)}</section>',
            f"{study_charts.render_pairs(results)}{_render_table(results)}{charts}</main>",
            f'<script type="application/json" id="study">{data}</script>',
            f"<script>{(ASSETS / 'frontier_page.js').read_text()}</script></body></html>",
        ]
    )


def make_page_data(results: Results, runs: str = "") -> dict[str, Any]:
    """Return what the page's script reads: the points, the trials, the settings, the steps of the sliders."""
    floor, knee = compute_error_floor(results.points), results.knee
    points = [_make_point(member, floor, member is knee) for member in results.frontier]
    measure = results.measure
    values = sorted({point["value"] for point in points})
    costs = sorted({point["cost"] for point in points})
    return {
        "measure": measure.label,
        "runs": runs,
        "config": study_charts.CONFIG,
        "points": points,
        "sliders": {
            "at-least": [{"value": value, "shown": measure.format(value)} for value in values],
            "within": [{"value": cost, "shown": f"{format_number(cost)} device-seconds"} for cost in costs],
        },
        "keys": list(dict.fromkeys(key for trial in results.trials for key in trial.params)),
        "trials": [_make_trial(trial) for trial in results.trials],
        "progress": [list(step) for step in results.compute_progress()],
    }


def _make_point(member: FrontierPoint, floor: float, is_knee: bool) -> dict[str, Any]:
    estimate = member.estimate
    return {
        "key": study_charts.format_key(member),
        "x": member.point.device_seconds,
        "y": max(1 - member.point.accuracy, floor),
        "value": estimate.accuracy,
        "cost": estimate.device_seconds,
        "shown": member.measure.format(estimate.accuracy),
        "seconds": format_number(estimate.device_seconds),
        "text": f"trial {member.trial.number} at epoch {member.epoch}: {describe_point(member)}",
        "params": _make_plain(member.trial),
        "command": member.command,
        "run": member.trial.run_id,
        "knee": is_knee,
    }


def _make_trial(trial: StudyTrial) -> dict[str, Any]:
    last = trial.points[-1] if trial.points else None
    is_shown = last is not None and math.isfinite(last.accuracy) and last.device_seconds > 0
    return {
        "number": trial.number,
        "params": _make_plain(trial),
        "value": last.accuracy if last and is_shown else None,
        "cost": last.device_seconds if last and is_shown else None,
    }


def _make_plain(trial: StudyTrial) -> dict[str, Any]:
    """Return the params as JSON has them: no infinity, and true and false as words."""
    return {key: value if _is_number(value) else str(value) for key, value in trial.params.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _render_choice(results: Results) -> str:
    """Render the two sliders and the place of the chosen point; a sentence where there is no point."""
    if not results.frontier:
        return '<p id="chosen">No trial has come to a point yet.</p>'
    sliders = "".join(
        f'<label for="{key}">{text} <output id="{key}-shown" for="{key}"></output>'
        f'<input id="{key}" type="range" min="0" step="1" value="0"></label>'
        for key, text in (
            ("at-least", f"the cheapest with a {escape(results.measure.label)} of at least"),
            ("within", "the best within"),
        )
    )
    return f'<div class="choose">{sliders}</div><section id="chosen" aria-live="polite"></section>'


def _render_table(results: Results) -> str:
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
        f'<tr tabindex="0" data-index="{index}">{_render_cells(_list_cells(member, results, confirmed))}</tr>'
        for index, member in enumerate(results.frontier)
    )
    return (
        '<h2>The frontier</h2><p class="dim">Choose a row by click, or by Enter and the arrow keys.</p>'
        f'<div class="wide"><table id="points"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _list_cells(member: FrontierPoint, results: Results, confirmed: bool) -> list[str]:
    reached = format_accuracies(member) if confirmed else [results.measure.format(member.point.accuracy)]
    return [*reached, format_seconds(member), *format_further(member, with_unit=False), member.command]


def _render_cells(cells: Sequence[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in cells)
