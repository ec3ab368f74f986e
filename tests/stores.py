"""Small stores and papers that several test files share."""

from fakes import HashEncoder

from index.paper import Paper
from index.store import PaperStore

WINDOW = 24  # tokens: small, so that an abstract of three sentences has several passages


def paper(number, text="It is about graphs.", **fields):
    return Paper(f"id{number}", f"Title {number}", f"Abstract word{number}. {text}", **fields)


def reopened(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW))


def details(store):
    return {check.name: check.detail for check in store.check()}
