"""Tell a whole web address from text that only begins like one. Opens no address."""

import re
from urllib.parse import urlsplit


def web_address(url: str) -> str:
    """Return ``url`` if it is a whole web address, else "": never ``javascript:``, nor text around an address.

    Example:
        >>> web_address("https://arxiv.org/abs/1706.03762"), web_address("http://[bad"), web_address("javascript:x")
        ('https://arxiv.org/abs/1706.03762', '', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # White space, quotes, braces and the like must be percent-encoded in an address; raw, they end it somewhere.
    sound = (
        parts.scheme in ("http", "https") and parts.netloc and not re.search(r"""[\s\x00-\x1f\x7f"<>{}|\\^`]""", url)
    )
    return url if sound else ""
