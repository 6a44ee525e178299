"""The rows of plain tables as HTML. Pure. In Python, because a template takes four times as long: the table of a year's
chart has a thousand cells and more."""

from markupsafe import Markup, escape

from projections.console.tables import Column, Row, Table, show


def table_rows(table: Table) -> Markup:
    """A row of the table's body for each of its rows; the first cell is the row's head."""
    starts = [cell_start(column, head=n == 0) for n, column in enumerate(table.columns)]
    ends = ["</bdi></th>", *["</bdi></td>"] * (len(starts) - 1)]
    forms = [column.form for column in table.columns]
    return Markup("\n".join(table_row(row, starts, forms, ends) for row in table.rows))  # noqa: S704  # escaped cell by cell


def cell_start(column: Column, *, head: bool) -> str:
    if head:
        return '<th scope="row"><bdi>'
    number = ' class="number"' if column.numeric else ""
    return f'<td data-title="{escape(column.title)}"{number}><bdi>'


def table_row(row: Row, starts: list[str], forms: list[str], ends: list[str]) -> str:
    cells = zip(starts, row.values, forms, ends, strict=True)
    return f"<tr>{''.join(f'{start}{escape(show(value, form))}{end}' for start, value, form, end in cells)}</tr>"
