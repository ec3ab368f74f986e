r"""Read the LaTeX of bibliographies: accents, letters, escaped signs, braces. Leaves mathematics to the cleaning.

What stands between dollar signs, and commands that are not known, stay as they are: :mod:`index.text` reads those.
"""

import re
import unicodedata

_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331",
}  # fmt: skip
_LETTERS = {
    "ss": "ß", "SS": "ẞ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ",
    "aa": "å", "AA": "Å", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "dj": "đ", "DJ": "Đ", "th": "þ", "TH": "Þ",
    "ng": "ŋ", "NG": "Ŋ", "S": "§", "P": "¶", "pounds": "£", "copyright": "©", "dag": "†", "ddag": "‡",
    "textbackslash": "\\", "textbraceleft": "{", "textbraceright": "}", "textasciitilde": "~", "textasciicircum": "^",
    "textunderscore": "_", "textbar": "|", "textless": "<", "textgreater": ">", "textdollar": "$", "textendash": "–",
    "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“", "textquotedblright": "”",
    "textquotesingle": "'", "textquotedbl": '"', "textdegree": "°", "textregistered": "®", "texttrademark": "™",
    "textmu": "µ", "texttimes": "×", "textpm": "±", "textellipsis": "…", "ldots": "…", "dots": "…", "textbullet": "•",
    "texteuro": "€", "euro": "€", "LaTeX": "LaTeX", "TeX": "TeX", "BibTeX": "BibTeX", "quad": " ", "newline": " ",
    "space": " ",
}  # fmt: skip
_STYLES = (  # commands that change how text looks; the text stays
    "textit|textbf|texttt|textsc|textrm|textsf|textsl|textup|textmd|textnormal|textsuperscript|textsubscript|text|emph"
    "|uppercase|lowercase|mbox|hbox|url|path|underline|it|bf|tt|sc|rm|sf|sl|em|itshape|bfseries|ttfamily|scshape"
    "|upshape|rmfamily|small|relax|protect|noopsort|boldmath|ensuremath"
)
_MARKED = re.compile(r"[\\{}~$]")
_TOKEN = re.compile(
    r"(?P<math>(?<!\\)\$[^$]{1,1000}(?<!\\)\$)"
    r"""|\\(?P<accent>[`'^~=."]|[uvHcdkbr](?![A-Za-z]))\s*(?:\{\s*(?P<in_braces>\\?[A-Za-z])?\s*\}|(?P<bare>\\?[A-Za-z]))"""
    r"|\\(?P<sign>[%&#$_{}])"
    r"|\\(?P<gap>[ ,;:!/\\@-])"
    rf"|\\(?P<letter>{'|'.join(sorted(_LETTERS, key=len, reverse=True))})(?![A-Za-z])(?:\{{\}}|\s+)?"
    rf"|\\(?P<style>{_STYLES})(?![A-Za-z])\s*"
    r"|\\[A-Za-z]+(?:\{[^{}]*\})?"  # not known: kept, with its braces
    r"|(?P<tie>~)"
    r"|(?P<brace>[{}])"
)
_WIDE_GAPS = " ,;:\\"


def plain_text(source: str) -> str:
    r"""Return the text that LaTeX would print, as far as bibliographies use it.

    Example:
        >>> plain_text(r"{G}\"odel, Erd{\H{o}}s, \v{C}ech \& {\O}re: 5\% of $x_{1}$")
        'Gödel, Erdős, Čech & Øre: 5% of $x_{1}$'
    """
    return _TOKEN.sub(_printed, source) if _MARKED.search(source) else source


def _printed(token: re.Match[str]) -> str:
    kind = token.lastgroup
    if kind in ("in_braces", "bare", "accent"):
        letter = (token["in_braces"] or token["bare"] or " ").removeprefix("\\")  # \'{\i} is í, not an accent on ı
        return unicodedata.normalize("NFC", letter + _ACCENTS[token["accent"]]) if letter != " " else ""
    if kind == "sign":
        return token["sign"]
    if kind == "letter":
        return _LETTERS[token["letter"]]
    if kind == "gap":
        return " " if token["gap"] in _WIDE_GAPS else ""
    if kind == "tie":
        return " "
    return "" if kind in ("style", "brace") else token[0]
