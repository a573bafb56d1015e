"""Tables whose cells have types: workbooks, Parquet, Arrow, JSON; their cells become text."""
