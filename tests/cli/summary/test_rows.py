"""What a user's data are called stays text in the table of a run's page, in one line."""

from rich.markup import escape

from pipeline.cli.summary.rows import write_table


def test_names_of_a_users_data_are_no_markdown_and_no_html() -> None:
    name = escape("by <b>[x](y)|`z`</b>")
    lines = write_table([(name, "[bold]1.00%[/] of *a*\nb")], ["walk"]).splitlines()
    assert lines[2] == r"| by &lt;b&gt;\[x\](y)\|\`z\`&lt;/b&gt; | 1.00% of \*a\*\\nb |"
    assert lines[-1] == "![walk](pictures/walk.png)"
