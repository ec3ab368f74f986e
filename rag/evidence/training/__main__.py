"""Train the evidence reader on labelled abstracts (their form: rag/evidence/abstractqa.py).

Started again with the same folder and settings, it goes on where it was interrupted. Ctrl-C interrupts it without loss.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from tokenizers import Tokenizer

from index.embedding.minilm import MiniLMEncoder, bundled_folder
from index.errors import CitewellError

from ...settings import load_settings
from ..abstractqa import LabelledAbstract, load_abstracts
from ..inputs import InputLayout
from .check import figures
from .export import export_weights
from .network import ReaderNetwork
from .papers import load_unlabelled
from .prepare import Preparation
from .train import CHECKPOINT, Recipe, Trainer, plan
from .weights import load_weights, new_network, save

TEACHING = 0.5  # weight of the loss against teachers, if there are any
_INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and score after every epoch."""
    try:
        code = _train(_parser().parse_args(arguments))
    except CitewellError as exc:
        sys.exit(str(exc))
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    recipe = Recipe()
    parser = argparse.ArgumentParser(prog="python -m rag.evidence.training", description=__doc__)
    add = parser.add_argument
    add("data", type=Path, help="labelled abstracts to train on, JSON Lines")
    add("--out", type=Path, required=True, help="folder for checkpoints and weights (weights.pt, epoch1.pt, …)")
    add("--dev", type=Path, help="labelled abstracts to score after every epoch")
    add("--epochs", type=int, default=recipe.epochs, help="passes over the abstracts (%(default)s)")
    add("--seed", type=int, default=recipe.seed, help="of everything that is drawn (%(default)s)")
    add("--rate", type=float, default=recipe.trunk_rate, help="peak learning rate of the trunk (%(default)s)")
    add("--limit", type=int, metavar="N", help="take the first N abstracts of each file only")
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to train; auto: on a GPU if there is one",
    )
    add("--threads", type=int, default=0, help="cores to use; 0: all. Another number gives other last digits")
    add(
        "--start",
        type=Path,
        nargs="+",
        default=[],
        metavar="WEIGHTS",
        help="start from these weights, or their average",
    )
    add("--teachers", type=Path, nargs="+", default=[], metavar="WEIGHTS", help="networks whose scores to match, too")
    add(
        "--more", type=Path, metavar="PAPERS", help="papers without labels to train on beside, in any form that is read"
    )
    add("--more-count", type=int, default=5000, metavar="N", help="how many of them (%(default)s)")
    add("--apart", type=Path, nargs="+", default=[], metavar="DATA", help="files whose papers are never among --more")
    add("--export", type=Path, metavar="PATH", help="at the end write the weights in the form that is shipped")
    return parser


def _train(given: argparse.Namespace) -> int:
    if given.threads:
        torch.set_num_threads(given.threads)
    device = given.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = Recipe(
        epochs=given.epochs, seed=given.seed, trunk_rate=given.rate, teaching=TEACHING if given.teachers else 0.0
    )
    abstracts = load_abstracts(given.data)[: given.limit]
    dev = load_abstracts(given.dev)[: given.limit] if given.dev else []
    more = []
    if given.more:
        apart = [abstract.id for path in given.apart for abstract in load_abstracts(path)]
        apart += [abstract.id for abstract in (*abstracts, *dev)]
        more = load_unlabelled(given.more, given.more_count, given.seed, frozenset(apart))
    teachers = []
    for path in given.teachers:
        teachers.append(new_network(device, given.seed))
        load_weights(teachers[-1], [path])
    network = new_network(device, given.seed)
    if given.start:
        load_weights(network, given.start)
    encoder = MiniLMEncoder(load_settings().index.cache_dir, given.threads, given.device)
    layout = _layout()
    check = _checking(network, Preparation(dev, encoder, layout) if dev else None, dev, given.out)
    preparation = Preparation([*abstracts, *more], encoder, layout)
    trainer = Trainer(network, recipe, given.out, teachers, _say)
    epochs = plan(recipe, preparation, abstracts, more)
    if not (given.out / CHECKPOINT).exists():
        check(0)
    with _interruptions() as interrupted:
        finished = trainer.run(epochs, preparation.inputs, check, interrupted)
    if not finished:
        _say("interrupted; the same command goes on from here")
        return _INTERRUPTED
    if given.export:
        export_weights(network.state_dict(), given.export)
    return 0


def _layout() -> InputLayout:
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return InputLayout(tokenizer)


def _checking(
    network: ReaderNetwork, preparation: Preparation | None, dev: Sequence[LabelledAbstract], folder: Path
) -> Callable[[int], None]:
    """Return what is done after an epoch: say the figures, if there is something to score, and keep the weights."""

    def check(epoch: int) -> None:
        network.eval()
        if epoch:
            save(network.state_dict(), folder / f"epoch{epoch}.pt")
        if preparation is not None:
            scored = figures(network, preparation, dev)
            _say(f"epoch {epoch}: " + ", ".join(f"{name} {value:.3f}" for name, value in scored.items()))

    return check


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Give what tells whether Ctrl-C was pressed, or the process told to end; the second time that acts at once."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
