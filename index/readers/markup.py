"""Take HTML and JATS tags out of a title or an abstract. Is no parser: text that only looks like a tag stays.

Crossref writes abstracts as ``<jats:p>…</jats:p>``, and many sources leave ``<i>`` and ``<sub>`` in titles.
"""

import html
import re

_INLINE = (
    r"i|b|em|strong|sub|sup|u|sc|span|a|bold|italic|monospace|small|inf|ext-link|xref|named-content|inline-formula"
)
_BLOCK = r"p|br|div|sec|title|abstract|h[1-6]|ul|ol|li|list|list-item|label|table|tr|td|section|disp-formula|math"
_TAG = re.compile(
    rf"</?(?:(?:jats:)?(?P<inline>{_INLINE})|(?:jats:)?(?:{_BLOCK})|mml:[a-z]+)(?:\s[^<>]{{0,500}})?/?>", re.I
)
_HEADING = re.compile(r"<(jats:title|title|h[1-6])(?:\s[^<>]{0,500})?> ?([^<>]{0,200}?) ?[:.]? ?</\1>", re.I)
_IDLE_HEADINGS = frozenset(("abstract", "summary"))


def without_tags(text: str) -> str:
    """Return the text that a browser would show; a section's heading is set off with a colon.

    Example:
        >>> without_tags("<jats:title>Aim</jats:title><jats:p>H<jats:sub>2</jats:sub>O &amp; more</jats:p>").strip()
        'Aim:  H2O & more'
    """
    if "<" in text:
        text = _HEADING.sub(_heading, " ".join(text.split()))
        text = _TAG.sub(lambda tag: "" if tag["inline"] else " ", text)
    return html.unescape(text) if "&" in text else text


def _heading(match: re.Match[str]) -> str:
    return " " if match[2].lower() in ("", *_IDLE_HEADINGS) else f" {match[2]}: "
