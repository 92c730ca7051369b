"""The one way in which text from people and models becomes HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

MAX_RICH: Final = 50_000
"""Characters; a longer text is shown as it is, without its marks."""
_TAGS: Final = frozenset(
    ["a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
     "table", "tbody", "td", "th", "thead", "tr", "ul"]
)  # fmt: skip
_SCHEMES: Final = frozenset(["http", "https", "mailto"])


def safe_html(text: str, prefix: str = "") -> Markup:
    """Markdown as HTML that can do nothing but be read.

    Raw HTML in it stays text. Links go through ``/out``, which says where they lead; pictures become links, so that
    no page calls another server; formulas stay as they were written.
    """
    if len(text) > MAX_RICH:
        return plain_html(text)
    html = _PARSER.render(text.replace("\x00", ""))

    def adapt(tag: str, name: str, value: str) -> str | None:
        if tag == "a" and name == "href":
            return f"{prefix}/out?to={quote(value, safe='')}"
        return value

    return Markup(
        nh3.clean(
            html,
            tags=set(_TAGS),
            attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
            attribute_filter=adapt,
            url_schemes=set(_SCHEMES),
            link_rel="noopener noreferrer nofollow",
        )
    )


def plain_html(text: str) -> Markup:
    """The text as it is, its line ends kept."""
    return Markup("<br>").join(escape(line) for line in text.split("\n"))


def may_leave(address: str) -> bool:
    """Whether a link may lead there at all."""
    try:
        return urlsplit(address).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20}).enable(
        ["table", "strikethrough"]
    )
    parser.add_render_rule("image", _image_as_link)
    parser.add_render_rule("heading_open", _small_heading)
    parser.add_render_rule("heading_close", _small_heading)
    return parser


def _image_as_link(
    renderer: object, tokens: list[object], index: int, options: Mapping[str, object], env: object
) -> str:
    token = tokens[index]
    address = str(token.attrGet("src") or "")  # type: ignore[attr-defined]
    label = token.content or address  # type: ignore[attr-defined]
    return f'<a href="{escape(address)}">[picture: {escape(label)}]</a>'


def _small_heading(
    renderer: object, tokens: list[object], index: int, options: Mapping[str, object], env: object
) -> str:
    token = tokens[index]
    level = min(6, int(token.tag[1]) + 2)  # type: ignore[attr-defined]
    return f"<{'/' if token.nesting == -1 else ''}h{level}>"  # type: ignore[attr-defined]


_PARSER: Final = _parser()
