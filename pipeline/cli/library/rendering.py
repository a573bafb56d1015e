"""HTML of the values, for notebooks: self-contained, and every text in it escaped."""

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from pipeline.formatting import format_count, format_device_seconds, format_params
from pipeline.reports.study_markdown import format_accuracies, format_further, format_seconds

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.study_trial import FrontierPoint

WIDTH, PAGE_HEIGHT = 720, 900
"""Of the picture and of the page, in pixels."""


def render_table(rows: Iterable[Iterable[str]], headings: Iterable[str] = ()) -> str:
    """Render rows of text as a table, right-aligned as numbers are."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def render_study(results: "Results") -> str:
    """Render a study: one line, the picture of the frontier, and its points as a table."""
    summary = f"{format_count(len(results.trials), 'trial')}, {format_device_seconds(results.paid_seconds)}"
    head = f"<p><b>{escape(results.study)}</b>: {summary}</p>"
    if not results.frontier:
        return f"{head}<p>no trial has reached a point yet</p>"
    from pipeline.reports.study_plots import draw_frontier

    picture = b64encode(draw_frontier(results)).decode()
    image = f'<img width="{WIDTH}" alt="the frontier" src="data:image/png;base64,{picture}">'
    return f"{head}{image}{_render_points(results)}"


def render_page(results: "Results") -> str:
    """Render the page of a study in a frame of its own, so that it and the notebook stay apart."""
    from pipeline.reports.study_html import render_frontier

    page = escape(render_frontier(results))
    style = f'title="the page of the study" width="100%" height="{PAGE_HEIGHT}"'
    # IPython warns of a frame that stands alone
    return f'<div><iframe srcdoc="{page}" {style}></iframe></div>'


def _render_points(results: "Results") -> str:
    columns = (
        ["all seeds", "search", "new seeds", "test"] if results.is_confirmed else [results.accuracy_name]
    )
    further = [kind.heading for kind in results.further]
    rows = [
        [
            *(
                format_accuracies(member)
                if results.is_confirmed
                else [member.measure.format(member.point.accuracy)]
            ),
            format_seconds(member),
            *format_further(member, with_unit=False),
            str(member.trial.number),
            str(member.epoch),
            f"{_name_settings(member)}{' (knee)' if member is results.knee else ''}",
        ]
        for member in results.select_shown(results.frontier)
    ]
    return render_table(rows, [*columns, "device-seconds", *further, "trial", "epoch", "settings"])


def _name_settings(member: "FrontierPoint") -> str:
    return format_params(member.settings)
