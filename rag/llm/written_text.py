"""The text of the tokens that a model has written so far, and of those it may write next. Forbids none.

A token has no text of its own: "é" or "【" may come in two or three tokens of a byte each, and the blank before a word
is there or not depending on what stands before. So text is always decoded together with some tokens before it.
"""

import re
from collections.abc import Sequence
from typing import Any

from ..thinking_tags import tags_among

INCOMPLETE = "\ufffd"  # what a character decodes to while some of its bytes are missing
_WINDOW = 12  # tokens decoded with each step at most, as a rule
_KEPT = 4  # of them, when a new one begins, at least
_BATCH = 4096  # tokens of a vocabulary decoded at once
_DIGIT = re.compile(r"\d")  # of any script
# In the names of tokens ASCII stands for itself, but for digits, which may stand for a byte: <0x31>.
_PLAIN = re.compile(r"[Ġ▁Ċ]*[A-Za-z\s!-/:-@\[-`{-~]*", re.ASCII)
_MAX_PENDING = 6  # tokens that can belong to one character; what is longer never becomes one


class Vocabulary:
    """The token texts of one tokenizer; made once, it may be used by several threads.

    Special tokens have no text, but for the tags around thinking, which is told from an answer by nothing else.

    Args:
        tokenizer: A tokenizer of transformers.

    Attributes:
        with_digit: The texts of tokens that hold a decimal digit, by id. A vocabulary of 150,000 takes half a second.
        incomplete: The texts of tokens that begin within a character, by id.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._left_out = _left_out(tokenizer)
        anchor, anchor_text = self._find_anchor()
        self.with_digit: dict[int, str] = {}
        self.incomplete: dict[int, str] = {}
        tokens = sorted(token for name, token in tokenizer.get_vocab().items() if not _is_plain(name))
        for batch in (tokens[begin : begin + _BATCH] for begin in range(0, len(tokens), _BATCH)):
            for token, decoded in zip(batch, self.decode_each([[*anchor, token] for token in batch]), strict=True):
                text = decoded.removeprefix(anchor_text)
                if text.startswith(INCOMPLETE):
                    self.incomplete[token] = text
                elif _DIGIT.search(text):
                    self.with_digit[token] = text

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        text: str = self._tokenizer.decode(
            self._with_text(tokens), skip_special_tokens=not self._left_out, clean_up_tokenization_spaces=False
        )
        return text

    def decode_each(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each of many sequences, as :meth:`decode` does one."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is not None and hasattr(backend, "decode_batch"):  # several times as fast
            texts: list[str] = backend.decode_batch(
                [self._with_text(tokens) for tokens in sequences], skip_special_tokens=not self._left_out
            )
            return texts
        return [self.decode(tokens) for tokens in sequences]

    def _with_text(self, tokens: Sequence[int]) -> list[int]:
        return [token for token in tokens if token not in self._left_out] if self._left_out else list(tokens)

    def _find_anchor(self) -> tuple[list[int], str]:
        """Return a token with an ordinary text, and that text; none at all if the tokenizer has no letter."""
        for letter in ("a", "e", "A", "."):
            tokens = self._tokenizer(letter, add_special_tokens=False)["input_ids"][-1:]
            if tokens and self.decode(tokens).strip() == letter:
                return list(tokens), self.decode(tokens)
        return [], ""


class WrittenText:
    """The text of one answer as it grows.

    Args:
        vocabulary: Of the model's tokenizer.
        prompt_tokens: How many tokens of what :meth:`update` is given are the prompt.

    Attributes:
        text: What was written. Special tokens, but the tags of thinking, and a character that is not yet complete are
            left out.
        tokens: How many tokens were written.
    """

    def __init__(self, vocabulary: Vocabulary, prompt_tokens: int) -> None:
        self._vocabulary = vocabulary
        self._prompt_tokens = prompt_tokens
        self._window: list[int] = []
        self._window_text = 0  # how many characters of the window's text are in ``text``
        self._pending_from = 0  # where in the window the incomplete character begins, at the latest
        self.text = ""
        self.tokens = 0

    @property
    def pending(self) -> tuple[int, ...]:
        """The last tokens, if they end within a character."""
        return tuple(self._window[self._pending_from :])

    def update(self, input_ids: Any) -> None:
        """Take up the new tokens of a batch of one, a tensor of shape (1, prompt and written tokens).

        Giving the same tokens again changes nothing.
        """
        written = input_ids.shape[1] - self._prompt_tokens
        if written > self.tokens:
            for token in input_ids[0, self._prompt_tokens + self.tokens :].tolist():
                self._append(token)
            self.tokens = written

    def next_texts(self, tokens: Sequence[int]) -> list[str]:
        """Return, for each of some tokens, what would be added to :attr:`text` if it came next."""
        decoded = self._vocabulary.decode_each([[*self._window, token] for token in tokens])
        return [text[self._window_text :] for text in decoded]

    def _append(self, token: int) -> None:
        self._window.append(token)
        decoded = self._vocabulary.decode(self._window)
        complete = decoded.rstrip(INCOMPLETE)
        if len(self._window) - self._pending_from > _MAX_PENDING:
            complete = decoded
        self.text += complete[self._window_text :]
        self._window_text = max(self._window_text, len(complete))
        if len(complete) < len(decoded):
            return
        if len(self._window) >= _WINDOW:
            self._begin_window(decoded)
        self._pending_from = len(self._window)

    def _begin_window(self, decoded: str) -> None:
        """Forget all tokens of the window but some that decode alone to what they are in it."""
        for begin in range(len(self._window) - _KEPT, 0, -1):
            kept = self._vocabulary.decode(self._window[begin:])
            if kept and decoded.endswith(kept) and not kept.startswith(INCOMPLETE):
                self._window, self._window_text = self._window[begin:], len(kept)
                return


def _left_out(tokenizer: Any) -> frozenset[int]:
    """Return the special tokens without those that are tags of thinking; none at all if none of them is such a tag."""
    added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    special = added | dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    tags = tags_among(special)
    return frozenset(special.values()) - tags if tags else frozenset()


def _is_plain(name: str | bytes) -> bool:
    """Whether a token's name alone says that it holds neither a digit nor a part of a character."""
    return isinstance(name, str) and _PLAIN.fullmatch(name) is not None
