"""document.py -- a document of headings, texts, tables and figures, written as Markdown and as one page of HTML; and how numbers look in it."""
import base64
import html
import math
import os
import re

# ------------------------------------------------------------------------------------------------
# A document, written twice.

class Document:
    """Blocks in order: (kind, content...). Texts may hold **bold** and `code`."""

    def __init__(self):
        self.blocks = []

    def add(self, kind, *content):
        self.blocks.append((kind, *content))

    def heading(self, text): self.add("heading", 2, text)
    def part(self, text): self.add("heading", 3, text)
    def text(self, text): self.add("text", text)
    def bullets(self, items): self.add("bullets", list(items))
    def code(self, text): self.add("code", text)
    def table(self, head, rows): self.add("table", head, rows)
    def figure(self, name, caption): self.add("figure", name, caption)

    def markdown(self):
        return "\n\n".join(MARKDOWN[kind](*content) for kind, *content in self.blocks) + "\n"

    def html(self, title, folder):
        body = "\n".join(HTML[kind](*content) if kind != "figure" else figure_html(folder, *content) for kind, *content in self.blocks)
        return PAGE.format(title=html.escape(title), body=body)


def markdown_row(cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


MARKDOWN = {
    "heading": lambda level, text: "#" * level + " " + text,
    "text": lambda text: text,
    "bullets": lambda items: "\n".join("* " + item for item in items),
    "code": lambda text: "```\n" + text + "\n```",
    "table": lambda head, rows: "\n".join([markdown_row(head), "|" + "---|" * len(head)] + [markdown_row(row) for row in rows]),
    "figure": lambda name, caption: f"![{caption.split('.')[0]}](figures/{name}.png)\n\n{caption}",
}


def inline(text):
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def html_row(cells, tag):
    return "<tr>" + "".join(f"<{tag}>{inline(cell)}</{tag}>" for cell in cells) + "</tr>"


HTML = {
    "heading": lambda level, text: f"<h{level}>{inline(text)}</h{level}>",
    "text": lambda text: f"<p>{inline(text)}</p>",
    "bullets": lambda items: "<ul>" + "\n".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>",
    "code": lambda text: f"<pre>{html.escape(text)}</pre>",
    "table": lambda head, rows: "<div class=wide><table>" + html_row(head, "th") + "\n".join(html_row(row, "td") for row in rows) + "</table></div>",
}


def figure_html(folder, name, caption):
    with open(os.path.join(folder, "figures", name + ".png"), "rb") as file:
        data = base64.b64encode(file.read()).decode()
    return (f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{inline(caption)}</figcaption></figure>")


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ max-width: 62em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 Georgia, "Times New Roman", serif; color: #111; background: #fff }}
h1, h2, h3, table, figcaption {{ font-family: "Helvetica Neue", Arial, sans-serif }}
h2 {{ margin-top: 2.2em; border-bottom: 1px solid #bbb }}
.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: 13px; margin: 1em 0 }}
th, td {{ padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }}
th {{ vertical-align: bottom; white-space: normal; border-bottom: 1.5px solid #111 }}
th:first-child, td:first-child {{ text-align: left }}
figure {{ margin: 1.5em 0; page-break-inside: avoid }}
figure img {{ width: 100%; max-width: 52em }}
figcaption {{ font-size: 13px; color: #333; max-width: 58em }}
pre {{ background: #f4f4f4; padding: 0.8em; overflow-x: auto; font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere }}
</style></head><body>
{body}
</body></html>
"""

# ------------------------------------------------------------------------------------------------
# How numbers look.

def decimals(error, value):
    """So many that the error shows two digits, within reason."""
    size = error if error else abs(value) / 10
    return 2 if not size or not math.isfinite(size) else min(max(1 - math.floor(math.log10(size)), 0), 4)


def with_error(e, signed=False):
    if e is None:
        return ""
    if not math.isfinite(e.value):
        return "diverged"
    if max(abs(e.value), e.error or 0) < 1e-9:  # what rounding leaves of nothing
        return "0"
    places = decimals(e.error, e.value)
    value = round(e.value, places) + 0.0  # no -0.00
    text = f"{value:+.{places}f}" if signed else f"{value:.{places}f}"
    return text if e.error is None else f"{text} ± {e.error:.{places}f}"


def percent(e):
    if e is None:
        return ""
    return f"{100 * e.value:.1f} %" if e.error is None else f"{100 * e.value:.1f} ± {100 * e.error:.1f} %"


def short_rate(rate):
    return re.sub(r"e-0?(\d+)", r"e-\1", f"{rate:.1e}".replace(".0e", "e"))


def span_of(values, show):
    values = sorted({v for v in values if v is not None})
    return "" if not values else show(values[0]) if len(values) == 1 else f"{show(values[0])}..{show(values[-1])}"


def million(value):
    return f"{value / 1e6:.2f} M" if value >= 1e5 else f"{value:.0f}"


def scientific(value):
    return f"{value:.2e}".replace("e+", "e")


def listed(items):
    items = list(items)
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else "none"


def counted(count, thing):
    """1 run, 2 runs."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def bold_if(condition, text):
    return f"**{text}**" if condition and text else text


def without_empty_columns(head, rows):
    keep = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return [head[i] for i in keep], [[row[i] for i in keep] for row in rows]
