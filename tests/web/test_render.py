"""Text from people and models as HTML: it can be read, and do nothing else."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.web.render import MAX_RICH, may_leave, plain_html, safe_html

TAGS = {"a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
        "table", "tbody", "td", "th", "thead", "tr", "ul"}  # fmt: skip
ATTRIBUTES = {("a", "href"), ("a", "rel"), ("ol", "start")}
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    '<iframe src="https://evil.example"></iframe>',
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](//evil.example/a)",
    '![alt"onerror="alert(1)](https://evil.example/p.png)',
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    '[a](https://x.example "title\\" onmouseover=\\"alert(1)")',
    "<div hx-get='/logout' hx-trigger='load'>x</div>",
    "<style>body{display:none}</style><p style='position:fixed'>x</p>",
    "<base href='https://evil.example/'><form action='https://evil.example'><input name=password></form>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "$\\href{javascript:alert(1)}{x}$ $$\\unknown{<img src=x onerror=alert(1)>}$$",
    "\\(\\htmlData{onclick=alert(1)}{x}\\)",
    "```html\n<script>alert(1)</script>\n```",
    "| <img src=x onerror=alert(1)> |\n|---|\n| [x](javascript:alert(1)) |",
    "<!--><script>alert(1)</script-->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202etxet desrever\u202c and \u200bhidden\u200b",
    "<a href='https://x.example' target=_blank ping='https://evil.example' onclick=alert(1)>x</a>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "\x00<scr\x00ipt>alert(1)</script>",
]


class Reader(HTMLParser):
    """What a browser would make of it: elements and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.seen += [(tag, name, value or "") for name, value in attrs]


def check(html: str) -> None:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.tags <= TAGS, reader.tags - TAGS
    for tag, name, value in reader.seen:
        assert (tag, name) in ATTRIBUTES, (tag, name)
        if name == "href":
            assert re.fullmatch(r"/out\?to=[\w.~%-]*", value), value
        if name == "rel":
            assert value == "noopener noreferrer nofollow"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_read(text: str) -> None:
    check(str(safe_html(text)))
    check(str(plain_html(text)))
    assert "<script" not in plain_html(text)


@given(st.text(max_size=300))
def test_any_text_is_only_read(text: str) -> None:
    check(str(safe_html(text)))


@given(st.lists(st.sampled_from([*HOSTILE, "\n\n", "> ", "- ", "*", "`", "[", "](", ")", "<", "|", "#"]), max_size=6))
def test_hostile_texts_together_are_only_read(parts: list[str]) -> None:
    check(str(safe_html("".join(parts))))


def test_a_payload_split_in_two_is_no_payload_together() -> None:
    """Whatever is shown in pieces is rendered whole, by the same function."""
    for text in HOSTILE:
        for cut in range(1, len(text), 7):
            check(str(safe_html(text[:cut]) + safe_html(text[cut:])))


def test_what_is_worth_showing_is_shown() -> None:
    html = str(
        safe_html(
            "# Title\n\n1. *one*\n2. **two** `x<y`\n\n[there](https://x.example/?a=1&b=2)\n\n![p](https://x.example/p.png)"
        )
    )
    assert "<h3>Title</h3>" in html and "<em>one</em>" in html and "<code>x&lt;y</code>" in html
    assert 'href="/out?to=https%3A%2F%2Fx.example%2F%3Fa%3D1%26b%3D2"' in html
    assert "[picture: p]</a>" in html and "<img" not in html
    assert str(safe_html("$e^{i\\pi}$")) == "<p>$e^{i\\pi}$</p>\n"
    assert str(safe_html("a\nb", "/label")).count("<br") in (0, 1)


@pytest.mark.parametrize("unit", ["[", "*a", "> ", "![", "`", "<", "- \n", "|a", "(", "\\", "&", "_a_", "[a](", "<a "])
def test_no_text_takes_long(unit: str) -> None:
    """Markdown that makes a parser go over it again and again is shown within a second, and what is longer is plain."""
    text = unit * (MAX_RICH // len(unit))
    began = time.process_time()
    check(str(safe_html(text)))
    assert time.process_time() - began < 5
    huge = safe_html("**x** " * MAX_RICH)
    assert "<strong>" not in huge


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("https://x.example", True), ("mailto:a@x.example", True), ("HTTP://x.example", True),
        ("javascript:alert(1)", False), ("//x.example", False), ("/lead", False), ("", False), ("http://[", False),
        ("data:text/html,x", False), ("file:///etc/passwd", False), (" javascript:alert(1)", False),
    ],
)  # fmt: skip
def test_a_link_leads_to_the_web_or_nowhere(address: str, may: bool) -> None:
    assert may_leave(address) is may
