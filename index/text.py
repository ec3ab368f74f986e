r"""Clean titles and abstracts once, at ingestion. Does not split, tokenise or stem.

Citations are character offsets into the cleaned text, so it never changes after it is stored. The rules
cover what is seen in paper listings and arXiv records: escaped signs (``3\%``), commands whose backslash
was lost (``2times``, ``sim2-4``, ``geq 81.3``), TeX quotes, and invisible characters.
"""

import re
import unicodedata

# Letters and signs written as TeX commands: only with their backslash, so that prose is left alone.
_TEX_SYMBOLS = {
    "times": "×", "cdot": "·", "pm": "±", "sim": "~", "approx": "≈", "geq": "≥", "ge": "≥", "leq": "≤",
    "le": "≤", "neq": "≠", "ll": "≪", "gg": "≫", "rightarrow": "→", "to": "→", "infty": "∞", "ell": "ℓ",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
    "circ": "°", "ldots": "…", "dots": "…", "log": "log", "exp": "exp", "min": "min", "max": "max",
}  # fmt: skip
_TEX_STYLES = r"textit|textbf|texttt|textsc|textrm|text|emph|mathbf|mathrm|mathit|mathcal|mathbb|mathsf|underline|url"

# Each rule begins with the letters that must be in the text for it to match: looking for those is far cheaper than
# trying the rule. What comes before a word is looked back at from the word's end, so that the search is for the word.
_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (needed, re.compile(pattern), replacement)
    for needed, pattern, replacement in (
        ("\\", r"\\([%&_#$])", r"\1"),
        ("\\", rf"\\(?:{_TEX_STYLES})\s*\{{([^{{}}]*)\}}", r"\1"),
        ("text{", r"(?<![A-Za-z\\])text\{([^{}]*)\}", r"\1"),  # text{Sur}rogate, which lost its backslash
        ("``", r"``", "“"),
        ("“", r"(“[^“”\"]{1,300}?)''(?!')", r"\1”"),  # only what was opened: f''(x) is a derivative
        ("“", r"(“[^“”\"]{1,80})\"", r"\1”"),  # ``quoted" closes with a straight quote in many records
        ("times", r"times(?<=\dtimes)(?![A-Za-z])", "×"),
        ("times", r"times\b(?<=\b[A-Za-z]times)", "×"),
        ("sim", r"sim(?<![A-Za-z\\_]sim)\s?(?=\d)(?!2[A-Za-z])", "~"),  # but sim2real is a word
        ("geq", r"\bgeq\b", "≥"),
        ("leq", r"\bleq\b", "≤"),
        ("pm", r"pm(?<=\dpm)(?=\d)", "±"),
        ("^ell", r"\^ell\b", "^ℓ"),
        ("ell", r"ell(?<=\bell)(?=[\^_+]| levels\b)", "ℓ"),
    )
)
_TEX_COMMAND = re.compile(r"(?<![A-Za-z])\{\\([A-Za-z]+)\}|\\([A-Za-z]+)")
# Inline mathematics, told from prices ("$5 and $7", "$1M to $2M") by where the spaces and digits are.
_MATHEMATICS = re.compile(
    r"(?<!\\)\$(?:(?![\s\d,.;:)])([^$]{1,200})(?<![\s\\])\$"
    r"|(\d(?![^$]*\s[a-z]{2})[^$]{0,199})(?<![\s\\])\$(?!\d)"
    r"|\s+([A-Za-z]|[^$]{0,99}[\\^_{}=][^$]{0,99})\s+\$)"
)
_ROUNDS = 8  # abstracts need two or three; without an end, styles nested n deep would take n of them


def clean_text(raw: str) -> str:
    r"""Return ``raw`` as one readable line of NFC text. Cleaning twice changes nothing.

    Text in which the rules find no end (styles nested deeper than anybody writes) keeps its markup.

    Example:
        >>> clean_text("up to 2times faster,\n sim2-4\\% better, geq 81.3%")
        'up to 2× faster, ~2-4% better, ≥ 81.3%'
    """
    plain = strip_invisible(_single_spaced(raw))  # first the spaces: some of them are control characters
    plain = text = unicodedata.normalize("NFC", _single_spaced(plain))
    for _ in range(_ROUNDS):  # a rule can uncover work for another (nested styles)
        cleaned = _cleaned_once(text)
        if cleaned == text:
            return text
        text = cleaned
    return plain


def _cleaned_once(text: str) -> str:
    """Apply every rule once; most texts need none, so each is tried only if what it needs is there."""
    cleaned = text
    # Commands first: a rule for a lost backslash must not see the word of an intact one.
    if "\\" in cleaned:
        cleaned = _TEX_COMMAND.sub(_symbol, cleaned)
    if cleaned.count("$") > 1:
        cleaned = _MATHEMATICS.sub(lambda m: m[m.lastindex or 0].strip(), cleaned)
    for needed, pattern, replacement in _RULES:
        if needed in cleaned:
            cleaned = pattern.sub(replacement, cleaned)
    return text if cleaned == text else unicodedata.normalize("NFC", _single_spaced(cleaned))


def _single_spaced(text: str) -> str:
    """Make every run of white space one space, and drop it at the ends."""
    return " ".join(text.split())


def _symbol(command: re.Match[str]) -> str:
    r"""Return the sign of a known command; ``{\SST}``, a macro used as a name, loses its braces."""
    braced, bare = command.groups()
    return _TEX_SYMBOLS.get(braced, braced) if braced else _TEX_SYMBOLS.get(bare, command[0])


def strip_invisible(text: str) -> str:
    """Remove what is never seen but can steer or smuggle: control, zero-width, direction and tag characters.

    These are Unicode's whole category C (control, format, surrogate, private use, unassigned). Tabs and line ends
    stay. An emoji made of several falls apart into those.
    """
    if text.isprintable():
        return text
    return "".join(c for c in text if c in "\t\n\r" or not unicodedata.category(c).startswith("C"))
