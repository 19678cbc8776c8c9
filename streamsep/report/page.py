"""The report as one page that needs nothing else, and the same as Markdown with its pictures beside it."""

from collections.abc import Mapping, Sequence
from html import escape

from streamsep.report.headline import Headline
from streamsep.report.study import Cell, Picture, Section, Table

STYLE = """
:root { --paper: #fff; --ink: #1a1a1a; --faint: #e3e3e3; --dim: #666 }
body { background: var(--paper); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; max-width: 1320px;
  margin: 1em auto; padding: 0 1em }
h1 { font-size: 1.5em; margin: 0 } h2 { font-size: 1.25em; margin: 2em 0 0.3em }
.dim { color: var(--dim) }
.first { display: flex; gap: 2em; align-items: flex-start; font-size: 13px; line-height: 1.35 }
.first > div { flex: 0 1 auto } .first > div:last-child { flex: 1 1 20em }
.first ul { margin: 0.3em 0; padding-left: 1.2em } .first p { margin: 0.2em 0; max-width: 62em }
@media (max-width: 1000px) { .first { flex-wrap: wrap } }
p { max-width: 75em; margin: 0.5em 0 } svg { max-width: 100%; height: auto; background: #fff }
figure { margin: 1em 0 } .wide { overflow-x: auto }
table { border-collapse: collapse; margin: 0.4em 0 }
caption { text-align: left; font-weight: 600; padding: 0.6em 0 0.2em; white-space: nowrap }
th, td { padding: 0.1em 0.6em; text-align: right; border-bottom: 1px solid var(--faint); white-space: nowrap }
th { white-space: normal; vertical-align: bottom }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
.paper { color: var(--dim) } .missed { color: #b00020; font-weight: 600 }
"""
PICTURES = "pictures"  # the folder beside report.md
PAPER = "paper"  # a column that begins so holds what others found


def page(title: str, tested: Sequence[str], first: Headline | None, sections: Mapping[str, Section]) -> str:
    """HTML. first: fills the first screen; without the study that it is of there is none."""
    body = [f"<h1>{escape(first.title if first else title)}</h1>"]
    body += [f'<div class="dim">{escape(line)}</div>' for line in tested]
    if first:
        differs = "".join(f"<li>{escape(line)}</li>" for line in first.differs)
        body += [
            '<div class="first"><div>',
            *map(table, first.tables),
            "</div><div>",
            f"<p><b>{escape(first.verdict)}</b></p>",
            f"<b>What differs</b><ul>{differs}</ul>",
            "</div></div>",
        ]
    links = " · ".join(f'<a href="#{name}">{escape(section.title)}</a>' for name, section in sections.items())
    body.append(f"<p>{links}</p>")
    for name, section in sections.items():
        body += [
            f'<h2 id="{name}">{escape(section.title)}</h2>',
            *(f"<p>{escape(each)}</p>" for each in section.text),
        ]
        body += [figure(each) for each in section.pictures]
        body += [table(each) for each in section.tables]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def table(found: Table) -> str:
    """As HTML."""
    theirs = [column.startswith(PAPER) for column in found.columns]

    def cell(kind: str, at: int, value: Cell) -> str:
        marks = "paper" if theirs[at] else "missed" if value == "missed" else ""
        return f"<{kind}{f' class={marks}' if marks else ''}>{escape(text(value))}</{kind}>"

    head = "".join(cell("th", at, column) for at, column in enumerate(found.columns))
    rows = "\n".join(
        f"<tr>{''.join(cell('td', at, value) for at, value in enumerate(row))}</tr>" for row in found.rows
    )
    caption = f"<caption>{escape(found.title)}</caption>" if found.title else ""
    note = f'<p class="dim">{escape(found.note)}</p>' if found.note else ""
    return f'<div class="wide"><table>{caption}<tr>{head}</tr>\n{rows}</table></div>{note}'


def figure(found: Picture) -> str:
    """As HTML."""
    return f"<figure>{found.svg}<figcaption>{escape(found.caption)}</figcaption></figure>"


def text(value: Cell) -> str:
    """A cell; numbers with two digits after the point.

    >>> text(1.234), text(None), text("5.4 (5 to 6)")
    ('1.23', '', '5.4 (5 to 6)')
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.2f}"


def markdown(title: str, tested: Sequence[str], first: Headline | None, sections: Mapping[str, Section]) -> str:
    """The same; its pictures are files, see `picture_files`."""
    lines = [f"# {first.title if first else title}", "", *tested, ""]
    if first:
        lines += [first.verdict, ""]
        for each in first.tables:
            lines += [*table_lines(each), ""]
        lines += ["What differs:", "", *(f"- {line}" for line in first.differs), ""]
    for name, section in sections.items():
        lines += [f"## {section.title}", ""]
        for paragraph in section.text:
            lines += [paragraph, ""]
        lines += [f"![{each.caption}]({file_name(name, each)})\n" for each in section.pictures]
        for each in section.tables:
            lines += [*table_lines(each), ""]
    return "\n".join(lines)


def table_lines(found: Table) -> list[str]:
    """As Markdown."""
    rows = [found.columns, *found.rows]
    cells = [[text(value).replace("|", "\\|") for value in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    rule = f"|---|{'---:|' * (len(found.columns) - 1)}"
    return [
        *([f"**{found.title}**", ""] if found.title else []),
        lines[0],
        rule,
        *lines[1:],
        *(["", found.note] if found.note else []),
    ]


def file_name(study: str, picture: Picture) -> str:
    """Relative to report.md."""
    return f"{PICTURES}/{study}-{picture.name}.svg"
