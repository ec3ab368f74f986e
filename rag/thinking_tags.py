"""The tags around a model's thinking, of all families of models. Takes nothing out of a text.

Most models write ``<think>``, Magistral ``[THINK]``, Kimi ``◁think▷``, Command A ``<|START_THINKING|>``. gpt-oss has
channels: ``<|channel|>analysis<|message|>`` begins thinking, and what ends it is ``<|channel|>final<|message|>``.
"""

import re

NAMES = "think|thinking|thought|thoughts|reasoning|analysis|scratchpad|seed:think"
"""What stands between < and >, for a regular expression."""

OPEN = re.compile(
    rf"<(?:{NAMES})>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|channel\|>\s*(?:analysis|commentary)", re.I
)
CLOSE = re.compile(
    rf"</(?:{NAMES})>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|channel\|>\s*final[^<>]{{0,80}}<\|message\|>", re.I
)
EITHER = re.compile(f"{OPEN.pattern}|{CLOSE.pattern}", re.I)
BEGUN = re.compile(
    r"(?:</?[a-z:]{0,10}|[\[◁]/?[a-z]{0,5}|<\|[a-z_]{0,14}\|?|<\|channel\|>[^<>]{0,90}(?:<\|?[a-z]{0,7}\|?)?)\Z", re.I
)
"""What at the end of a text may become a tag."""

_OPEN_AT_END = re.compile(rf"(?:{OPEN.pattern})\s*\Z", re.I)
_TOKEN = re.compile(rf"</?(?:{NAMES})>|\[/?THINK\]|◁/?think▷|<\|(?:START|END)_THINKING\|>", re.I)
_CHANNEL = "<|channel|>"
_CHANNEL_TOKENS = frozenset({_CHANNEL, "<|message|>", "<|start|>", "<|end|>"})


def opens_at_end(prompt: str) -> bool:
    """Whether a prompt ends with the beginning of thinking, as some chat templates write it.

    Example:
        >>> opens_at_end("<|im_start|>assistant <think> "), opens_at_end("<think></think>")
        (True, False)
    """
    return _OPEN_AT_END.search(prompt) is not None


def is_inside(text: str, inside: bool = False) -> bool:
    """Whether a text ends within thinking.

    Args:
        text: The text.
        inside: Whether it begins there.

    Example:
        >>> is_inside("[THINK]Hm. [/THINK]It is so."), is_inside("<|channel|>analysis<|message|>Hm.")
        (False, True)
    """
    tags = EITHER.findall(text)
    return OPEN.fullmatch(tags[-1]) is not None if tags else inside


def tags_among(tokens: dict[str, int]) -> set[int]:
    """Return those of some tokens, given by name, without which thinking cannot be told from an answer."""
    channels = _CHANNEL_TOKENS if _CHANNEL in tokens else frozenset[str]()
    return {number for name, number in tokens.items() if name in channels or _TOKEN.fullmatch(name.strip())}
