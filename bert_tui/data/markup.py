"""Text without its markup. Taken out only when asked for: a corpus of code or of letters has tags that are text."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from bert_tui.data.order import Markup

if TYPE_CHECKING:
    from markdown_it.token import Token

SILENT = frozenset({"script", "style", "head", "template", "svg", "math", "noscript"})
"""Elements whose content is not for reading."""
INLINE = frozenset(
    (
        *("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img", "ins"),
        *("kbd", "label", "mark", "nobr", "q", "rb", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike"),
        *("strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    )
)
"""Elements inside a sentence. A paragraph ends at the borders of all others."""
PARAGRAPH = "\n\n"


def strip_markup(text: str, markup: Markup) -> str:
    """The text that a reader of the page sees, paragraphs set apart by blank lines."""
    match markup:
        case "keep":
            return text
        case "html":
            return _strip_html(text)
        case "markdown":
            return _strip_markdown(text)


class _HtmlText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in SILENT:
            self._silent.append(tag)
        elif tag not in INLINE:
            self.parts.append(PARAGRAPH)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag not in INLINE:
            self.parts.append(PARAGRAPH)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag not in INLINE:
            self._silent.clear()  # a block ends outside of what is never closed
            self.parts.append(PARAGRAPH)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(" ".join(data.split("\n")))


def _strip_html(text: str) -> str:
    parser = _HtmlText()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)


def _strip_markdown(text: str) -> str:
    """Text of paragraphs, headings, lists and tables; code blocks are left out, HTML in it is taken out too."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return PARAGRAPH.join(part for token in tokens if (part := _markdown_text(token)))


def _markdown_text(token: Token) -> str:
    if token.type == "inline":
        return "".join(_inline_text(token.children or ()))
    return _strip_html(token.content) if token.type == "html_block" else ""


def _inline_text(tokens: Iterable[Token]) -> Iterable[str]:
    for token in tokens:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            yield from _inline_text(token.children or ())
