"""Kill a process at any instant, again and again, and examine what it leaves behind.

    python tests/crash.py --kills 200 --seed 1

A server that has imported everything forks a process for each script it is sent, so that a kill costs milliseconds.
The processes work on one index with a slow model: they add papers, change and delete them, and reindex. Each is killed
at a random moment. A fresh process then opens what is there: every committed paper must be there, none twice, none that
was deleted may be found, every search must equal brute force, and little may have been embedded in vain.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

import oracle  # noqa: E402
from fakes import HashEncoder  # noqa: E402

import index.derived  # noqa: E402
import index.vectors  # noqa: E402
from index.paper import Paper  # noqa: E402
from index.store import PaperStore  # noqa: E402

BATCH = 8  # papers that the slow model takes at once
PAPERS = 90  # that may be in the index at any time
WINDOWS = (24, 16)


# -- processes that are forked -------------------------------------------------------------------------------------


class Server:
    """Runs Python scripts, each in a process forked from one that has imported everything.

    This process itself cannot be forked: its OpenMP threads would be missing in the child.
    """

    def __init__(self) -> None:
        command = [sys.executable, __file__, "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_details: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, script: str) -> int:
        """Start a script; return the id of its process."""
        return self._ask({"script": script})

    def wait(self, pid: int) -> tuple[int, str]:
        """Wait for a process; return how it ended (negative: by a signal) and what it printed."""
        return tuple(self._ask({"wait": pid}))

    def run(self, script: str) -> tuple[int, str]:
        """Run a script to its end."""
        return self.wait(self.start(script))

    def kill(self, pid: int) -> tuple[int, str]:
        """Kill a process; return how it ended and what it printed."""
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def _ask(self, request: dict) -> object:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def serve() -> None:
    """Answer requests of :class:`Server` until there are no more."""
    outputs = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "script" in request:
            output = tempfile.TemporaryFile("w+")
            pid = os.fork()
            if pid == 0:
                _run(request["script"], output.fileno())
            outputs[pid] = output
            answer = pid
        else:
            _, status = os.waitpid(request["wait"], 0)
            output = outputs.pop(request["wait"])
            output.seek(0)
            answer = [os.waitstatus_to_exitcode(status), output.read()]
            output.close()
        print(json.dumps(answer), flush=True)  # noqa: T201


def _run(script: str, output: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 1
    try:
        exec(compile(script, "<script>", "exec"), {"__name__": "script"})
        code = 0
    except SystemExit as exc:
        code = int(exc.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)  # none of what the parent would clean up is this process's


# -- the work ------------------------------------------------------------------------------------------------------


class SlowEncoder(HashEncoder):
    """Takes its time, and writes down each text before it is embedded and each call when it is done."""

    def __init__(self, log: Path, delay_s: float, label: str = "") -> None:
        super().__init__(WINDOWS[0])
        self.log, self.delay_s, self.label = log, delay_s, label

    @property
    def bulk_size(self) -> int:
        return 2 * BATCH  # two batches can be under way

    def embed_passages(self, passages):
        # Each paper once, by its first passage.
        texts = [f"{self.label} {p.title}: {p.text.split('.')[0]}" for p in passages if p.text.startswith("Abstract")]
        write(self.log, {"embedding": texts})
        time.sleep(self.delay_s)
        made = super().embed_passages(passages)
        write(self.log, {"embedded": texts})
        return made


def write(log: Path, fact: dict) -> None:
    """Append a line to a log; it is there as soon as this returns, whatever happens to the process."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (json.dumps(fact) + "\n").encode())
    os.close(handle)


def read(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def entry(number: int, edition: int) -> Paper:
    text = f"Abstract edition{edition} of word{number}. It has a second sentence about graphs and {number % 7} whales."
    return Paper(f"id{number}", f"Title {number}", text, year=2000 + number % 20)


def work(home: Path, seed: int, delay_s: float) -> None:
    """Add, change, delete and reindex papers until killed, and write down what is begun and what is done."""
    generator = random.Random(seed)
    log = home / "work.log"
    state = State(read(log))
    encoder = SlowEncoder(log, delay_s, state.label)
    store = PaperStore.open(home / "papers.idx", encoder, create=True, passage_tokens=None)
    write(log, {"opened": store.passages.max_tokens})
    state = State(read(log))
    store._derived.save_keywords_now_and_then = committed(store, log)
    while True:
        encoder.label = state.label
        if state.target is not None or generator.random() < 0.08:
            window = state.target or next(w for w in WINDOWS if w != store.passages.max_tokens)
            write(log, {"reindex": window})
            other = SlowEncoder(log, delay_s, f"{state.reindexed + 1}")
            store.reindex(other, window)
            encoder = other
            store._derived.save_keywords_now_and_then = committed(store, log)
        elif state.present and generator.random() < 0.3:
            some = sorted(state.present)
            ids = generator.sample(some, generator.randint(1, min(len(some), 12)))
            write(log, {"delete": ids})
            store.delete([f"id{n}" for n in ids])
        else:
            edition = state.edition + 1
            numbers = generator.sample(range(PAPERS), generator.randint(1, 60))
            # Some are as they were, some are changed, some are new.
            papers = {n: state.present.get(n, edition) if generator.random() < 0.3 else edition for n in numbers}
            write(log, {"add": papers, "edition": edition})
            store.add_records([(f"{n % 3}.bib", entry(n, e)) for n, e in papers.items()], "refs")
        write(log, {"done": True})
        state = State(read(log))


def committed(store: PaperStore, log: Path):
    """Return what is called after each commit of an add: it notes that, and saves the keywords now and then."""
    keep = store._derived.save_keywords_now_and_then

    def note() -> None:
        write(log, {"committed": True})
        store._derived._keywords_saved_at -= 100 * (time.monotonic_ns() % 3 == 0)
        keep()

    return note


class State:
    """What a log says an index must hold.

    Attributes:
        present: The edition of each paper.
        possible: What else it may hold if the last work was broken off, each with how many batches were written.
        reindexed: How often it has been changed to other passages.
        target: What it was being changed to.
        edition: The last edition.
    """

    def __init__(self, log: list[dict]) -> None:
        self.present: dict[int, int] = {}
        self.possible: list[dict[int, int]] = [{}]
        self.reindexed, self.target, self.edition = 0, None, 0
        self.window = WINDOWS[0]
        begun, commits = None, 0
        for fact in log:
            if "opened" in fact:
                self.settle(fact["opened"])
                begun, commits = None, 0
            elif "found" in fact:  # by the examination after a kill
                self.present = {int(n): e for n, e in fact["found"].items()}
                self.possible, begun = [self.present], None
            elif fact.keys() & {"add", "delete", "reindex"}:
                begun, commits = fact, 0
                self.target = fact.get("reindex", self.target)
                self.edition = fact.get("edition", self.edition)
                self.possible = list(self.outcomes(fact, 0))
            elif "committed" in fact:
                commits += 1
                self.possible = list(self.outcomes(begun, commits))
            elif "done" in fact:
                self.present = list(self.outcomes(begun, 0))[-1]
                self.possible = [self.present]
                if "reindex" in begun:
                    self.settle(begun["reindex"])
                begun = None

    @property
    def label(self) -> str:
        return f"{self.reindexed}"

    def settle(self, window: int) -> None:
        """Note the window that the index has now."""
        if window != self.window:
            self.window, self.target = window, None
            self.reindexed += 1

    def outcomes(self, begun: dict, commits: int):
        """Yield what the index may hold after a kill, when so many batches are known to be written."""
        if "reindex" in begun:
            yield self.present
            return
        if "delete" in begun:
            yield self.present
            yield {n: e for n, e in self.present.items() if n not in begun["delete"]}
            return
        changes = [(int(n), e) for n, e in begun["add"].items() if self.present.get(int(n)) != e]
        cuts = [*range(0, len(changes), BATCH), len(changes)]
        for cut in cuts[min(commits, len(cuts) - 1) :]:
            yield {**self.present, **dict(changes[:cut])}


# -- the examination -----------------------------------------------------------------------------------------------


def examine(home: Path, seed: int, *, exact: bool = True) -> None:
    """Open the index and assert that it is what it must be."""
    log, folder = home / "work.log", home / "papers.idx"
    facts = read(log)
    if not folder.exists() or not (folder / "papers.sqlite").exists():
        assert not any("opened" in fact for fact in facts)
        return
    state = State(facts)
    store = PaperStore.open(folder, HashEncoder(WINDOWS[0]))
    window = store.passages.max_tokens
    found = store.papers()
    editions = {int(p.id[2:]): int(p.abstract.split()[1].removeprefix("edition")) for p in found}
    assert len(editions) == len(found) == len(store), "a paper is there twice"
    assert editions in state.possible, (editions, state.possible)
    assert sorted(p.id for p in found) == sorted(f"id{n}" for n in editions)
    assert all(paper == entry(n, e) for paper, (n, e) in zip(found, editions.items(), strict=True))
    # A graph takes long, so it is not made when an index is opened.
    checks = {check.name: check for check in store.check(repair=not exact)}
    assert all(c.ok for name, c in checks.items() if name not in ("last add", "reindexing")), checks
    assert window in {state.window, state.target}, (window, state.window, state.target)
    if state.target is not None and window != state.target:
        assert "reindexing" not in checks or not checks["reindexing"].ok
    else:
        assert "reindexing" not in checks

    generator = random.Random(seed)
    if found:
        number = generator.choice(sorted(editions))
        question = f"Title {number} word{number} graphs"
        if exact:
            oracle.assert_search_is_exact(store, found, question, 5, None, window, found)
        assert_ranking(store, found, question, window)
    for number in generator.sample(range(PAPERS), 10):
        vector = HashEncoder().embed_queries([f"word{number} Title {number}"])[0]
        answer = store.candidates(vector, [f"word{number}"], PAPERS)
        by_keyword = [answer.papers[key].paper.id for key in answer.by_keyword]
        assert by_keyword == [f"id{number}"] * (number in editions), (by_keyword, number)
        by_meaning = {answer.papers[key].paper.id for key in answer.by_meaning}
        assert by_meaning <= {f"id{n}" for n in editions}
        assert not exact or len(by_meaning) == len(editions)
    write(log, {"found": editions})


def assert_ranking(store: PaperStore, papers: list[Paper], question: str, window: int) -> None:
    vector = HashEncoder().embed_queries([question])[0]
    oracle.assert_same_ranking(oracle.all_scores(store, vector), oracle.ranking(papers, vector, window))


def in_vain(log: list[dict]) -> tuple[int, int]:
    """Return how many papers were embedded more often than once, and how many all in all."""
    begun = Counter(text for fact in log for text in fact.get("embedding", ()))
    return sum(begun.values()) - len(begun), len(begun)


def with_graph(size: int = 20) -> None:
    """Make graphs of small indexes."""
    index.vectors.GRAPH_FROM = index.derived.GRAPH_FROM = size


def run(kills: int, seed: int, home: Path, *, graph: bool = False, delay_s: float = 0.02, tell=None) -> dict:
    """Kill so often, and examine what is left each time; return what happened.

    Raises:
        AssertionError: If anything was lost, or wrong; it says how to do the same again.
    """
    generator = random.Random(seed)
    prelude = "import crash\nfrom pathlib import Path\n" + "crash.with_graph()\n" * graph
    log, began = home / "work.log", time.monotonic()
    with Server() as server:
        for kill in range(kills):
            here = f"Path({str(home)!r})"
            pid = server.start(f"{prelude}crash.work({here}, {generator.getrandbits(32)}, {delay_s})")
            time.sleep(generator.uniform(0.0, 0.6))
            code, output = server.kill(pid)
            problem = f"the work ended by itself:\n{output}" * (code != -signal.SIGKILL)
            if not problem:
                code, output = server.run(f"{prelude}crash.examine({here}, {kill}, exact={not graph})")
                problem = output * bool(code)
            if problem:
                raise AssertionError(f"kill {kill + 1} of seed {seed}, left in {home}: {problem}")
            if tell:
                tell(kill + 1)
    facts = read(log)
    wasted, texts = in_vain(facts)
    # While one batch is written the next is embedded: a kill costs two at the worst.
    assert wasted <= 2 * BATCH * kills, f"{wasted} papers were embedded in vain by {kills} kills of seed {seed}"
    done = Counter(next(iter(fact.keys() & {"add", "delete", "reindex"}), "") for fact in facts)
    return {
        "kills": kills,
        "seconds": round(time.monotonic() - began, 1),
        "embedded": texts,
        "in vain": wasted,
        "batches in vain per kill": round(wasted / BATCH / kills, 2),
        **{name: done[name] for name in ("add", "delete", "reindex")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--graph", action="store_true", help="with a graph over the vectors")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    home = Path(tempfile.mkdtemp(prefix="citewell-crash-"))

    def tell(kill: int) -> None:
        if kill % 25 == 0:
            print(f"{kill} kills", flush=True)  # noqa: T201

    print(f"seed {arguments.seed}, in {home}", flush=True)  # noqa: T201
    print(run(arguments.kills, arguments.seed, home, graph=arguments.graph, tell=tell))  # noqa: T201


if __name__ == "__main__":
    main()
