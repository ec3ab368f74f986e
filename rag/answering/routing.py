"""Tell whether a question needs a language model at all. Answers nothing.

After "CARROT: A Cost Aware Rate Optimal Router": send a question to the costly answerer only where the cheap one will
not do. The cheap one does where a question asks one thing, one paper surely answers it, and one of its sentences surely
is the answer.
"""

from ..evidence.reader import probability
from ..question import Form, parts_of
from .selection import Selection

# Probability that the paper answers, and that the sentence does. Of the example questions 15 % are that easy; quoting
# answers 0.90 of their key facts, and 0.81 of all questions'.
SURE = 0.9


def is_easy(question: str, selection: Selection) -> bool:
    """Whether the best sentence of the chosen paper answers the question by itself.

    Args:
        question: One line of text.
        selection: What the answer without a language model would be made of.
    """
    if selection.form is not Form.SINGLE or len(selection.papers) != 1 or len(parts_of(question)) != 1:
        return False
    found = selection.papers[0]
    evidence = probability(float(found.reading.evidence[found.order[0]]))
    return min(evidence, probability(found.reading.answerable)) >= SURE
