"""The training run on a tiny network: losses by hand, passes, checkpoints, averages, teachers, the command."""

import math
import random
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from index.embedding.minilm import bundled_folder
from index.errors import ConfigError, ModelLoadError
from rag.evidence.abstractqa import Answerable, LabelledAbstract, Unanswerable
from rag.evidence.features import ABSTRACT_FEATURES, SENTENCE_FEATURES
from rag.evidence.inputs import InputLayout
from rag.evidence.trained import WORD_TABLE
from rag.evidence.training import __main__ as command
from rag.evidence.training import export, train, weights
from rag.evidence.training.batches import Batch, collate, micro_batches, read, steps_of
from rag.evidence.training.check import area, figures, score
from rag.evidence.training.examples import Example, UnlabelledAbstract, claim_example, question_example
from rag.evidence.training.export import export_weights
from rag.evidence.training.losses import SMOOTHING, loss_against, loss_of
from rag.evidence.training.network import ReaderNetwork, Scores
from rag.evidence.training.prepare import Preparation
from rag.evidence.training.train import CHECKPOINT, WEIGHTS, Recipe, Trainer, plan

TOPICS = {
    "graphs": ["Dropout helps graph networks.", "It drops 20 edges at random.", "Training is slower by 3 percent."],
    "proteins": ["We fold proteins with a language model.", "Accuracy is higher than before.", "Data come from labs."],
    "stars": ["Stars pulsate for 12 days.", "We do not see any planets.", "A telescope in Chile was used."],
}


def abstract(name: str) -> LabelledAbstract:
    sentences = tuple(TOPICS[name])
    return LabelledAbstract(
        id=f"test:{name}",
        title=f"On {name}",
        sentences=sentences,
        questions=tuple(Answerable(f"What about {s.split()[-1]}", (n,), (), s) for n, s in enumerate(sentences)),
        unanswerable=(Unanswerable(f"Which colour have {name}?"),),
        claim_true=sentences[0],
        claim_sents=(0,),
        claim_edit=f"{name} help nothing.",
        claim_false=f"{name} are green.",
        openq=f"papers on {name}",
    )


ABSTRACTS = [abstract(name) for name in TOPICS]
TOKENIZER = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.no_truncation()
RECIPE = Recipe(epochs=2, batch_size=16, micro_tokens=512, trunk_rate=1e-3, head_rate=1e-2, bfloat16=False)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """So small a network is slower on several cores, and much slower where they are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(seed: int = 1) -> ReaderNetwork:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=TOKENIZER.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return ReaderNetwork(BertModel(config, add_pooling_layer=False))


@pytest.fixture(scope="module")
def preparation() -> Preparation:
    return Preparation(ABSTRACTS, HashEncoder(), InputLayout(TOKENIZER))


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def final(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / WEIGHTS, weights_only=True)
    return state


# Losses


def batch_of(sentences, abstracts, pairs=None) -> Batch:
    """Return a batch of which only the targets count; None is a sentence that is not there."""
    width = max(map(len, sentences))
    rows = [[*row, *[None] * (width - len(row))] for row in sentences]
    count = len(rows)
    return Batch(
        *(torch.zeros(count, 1) for _ in range(3)),
        torch.tensor([[label is not None for label in row] for row in rows]),
        torch.zeros(count, width, SENTENCE_FEATURES),
        torch.zeros(count, ABSTRACT_FEATURES),
        torch.tensor([[[-1.0 if label is None else label, -1.0] for label in row] for row in rows]),
        torch.tensor(abstracts, dtype=torch.float32),
        torch.tensor(pairs or [-1] * count),
    )


def scores_of(sentences, abstracts) -> Scores:
    logits = torch.tensor(sentences, dtype=torch.float32)
    return Scores(torch.stack([logits, torch.zeros_like(logits)], dim=-1), torch.tensor(abstracts, dtype=torch.float32))


def cross_entropy(logit: float, target: float) -> float:
    chance = 1 / (1 + math.exp(-logit))
    return -target * math.log(chance) - (1 - target) * math.log(1 - chance)


NOTHING = [-1, -1, -1]


def test_the_loss_of_sentences_by_hand():
    batch = batch_of([[1, 0, -1]], [NOTHING])
    found = loss_of(scores_of([[2.0, 0.5, 9.0]], [[0.0, 0.0, 0.0]]), batch)
    first = -math.log(math.exp(2) / (math.exp(2) + math.exp(0.5)))
    each = (cross_entropy(2.0, 1 - SMOOTHING) + cross_entropy(0.5, SMOOTHING)) / 2
    assert found.item() == pytest.approx(first + each, abs=1e-5)


def test_several_right_sentences_share_the_softmax():
    batch = batch_of([[1, 1, 0]], [NOTHING])
    found = loss_of(scores_of([[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]), batch)
    each = (2 * cross_entropy(1.0, 1 - SMOOTHING) + cross_entropy(1.0, SMOOTHING)) / 3
    assert found.item() == pytest.approx(-math.log(2 / 3) + each, abs=1e-5)


def test_the_loss_of_abstracts_by_hand():
    batch = batch_of([[-1], [-1]], [[1, -1, 0], [0, -1, -1]], pairs=[7, 7])
    found = loss_of(scores_of([[0.0], [0.0]], [[0.5, 8.0, 1.0], [1.5, 8.0, 8.0]]), batch)
    whole = cross_entropy(0.5, 1 - SMOOTHING) + 0.5 * cross_entropy(1.0, SMOOTHING) + cross_entropy(1.5, SMOOTHING)
    assert found.item() == pytest.approx(whole + math.log(1 + math.exp(1.0)), abs=1e-5)


def test_nothing_to_learn_costs_nothing():
    batch = batch_of([[-1, -1]], [NOTHING])
    assert loss_of(scores_of([[3.0, -3.0]], [[1.0, 1.0, 1.0]]), batch).item() == 0


@settings(deadline=None)
@given(st.floats(0.1, 8))
def test_the_wrong_order_costs_more(margin):
    sentences, pair = batch_of([[1, 0]], [NOTHING]), batch_of([[-1], [-1]], [[-1, 1, -1], [-1, 0, -1]], pairs=[1, 1])

    def cost(first: float, second: float) -> tuple[float, float]:
        of_sentences = loss_of(scores_of([[first, second]], [[0.0, 0.0, 0.0]]), sentences)
        of_pair = loss_of(scores_of([[0.0], [0.0]], [[0.0, first, 0.0], [0.0, second, 0.0]]), pair)
        return of_sentences.item(), of_pair.item()

    assert cost(0, margin) > cost(margin, 0)
    assert cost(0, margin)[1] > cost(margin, 0)[1]


def test_pairs_do_not_mix():
    batch = batch_of([[-1]] * 3, [[1, -1, -1], [0, -1, -1], [0, -1, -1]], pairs=[1, 1, 2])
    low = scores_of([[0.0]] * 3, [[1.0, 0, 0], [0.0, 0, 0], [0.0, 0, 0]])
    expected = cross_entropy(1.0, 1 - SMOOTHING) + 2 * cross_entropy(0.0, SMOOTHING) + math.log(1 + math.exp(-1))
    assert loss_of(low, batch).item() == pytest.approx(expected, abs=1e-5)


def test_the_loss_against_teachers_by_hand():
    batch = batch_of([[1, -1], [-1, -1]], [[1, -1, -1], NOTHING])
    student = scores_of([[2.0, 0.5], [4.0, 4.0]], [[1.0, 5.0, 5.0], [5.0, 5.0, 5.0]])
    teacher = scores_of([[1.0, -1.0], [-4.0, -4.0]], [[0.0, -5.0, -5.0], [-5.0, -5.0, -5.0]])
    chance = 1 / (1 + math.exp(-1.0))
    each = (cross_entropy(2.0, chance) + cross_entropy(0.5, 1 - chance)) / 2  # also where the label is not known
    assert loss_against(student, teacher, batch).item() == pytest.approx(each + cross_entropy(1.0, 0.5), abs=1e-5)


def test_padding_and_absent_sentences_have_finite_gradients():
    batch = batch_of([[1, 0, 0], [-1]], [[1, -1, 1], [0, -1, 1]], pairs=[3, 3])
    logits = torch.zeros(2, 3, 2, requires_grad=True)
    loss_of(Scores(logits, torch.zeros(2, 3)), batch).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[1] == 0).all()


# Passes and steps


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=3), max_size=40), st.integers(0, 99))
def test_passes_keep_units_whole_and_lose_none(lengths, seed):
    units = [[question_example(f"{at}-{n}-{size}", at, (), (), answerable=1) for n, size in enumerate(unit)]
             for at, unit in enumerate(lengths)]  # fmt: skip

    def length(example: Example) -> int:
        return int(example.text.split("-")[2])

    passes = micro_batches(units, length, 100, random.Random(seed))
    assert sorted(e.text for one in passes for e in one) == sorted(e.text for unit in units for e in unit)
    for one in passes:
        for at in {example.abstract for example in one}:
            assert [e for e in one if e.abstract == at] == units[at]
        if len({example.abstract for example in one}) > 1:
            assert len(one) * max(length(example) for example in one) <= 100
    steps = list(steps_of(passes, 8))
    assert [one for step in steps for one in step] == passes
    assert all(sum(map(len, step)) >= 8 for step in steps[:-1])


def test_a_batch_says_what_is_there(preparation):
    examples = [
        question_example("Why?", 0, (0, 2), (1, -1), answerable=1, pair=4),
        claim_example("It is so.", 1, (0, 1, 2), (1,), supported=0),
    ]
    preparation.embed_texts([example.text for example in examples])
    batch = collate([preparation.inputs(example) for example in examples], examples)
    assert batch.present.tolist() == [[True, True, False], [True, True, True]]
    assert batch.sentence_targets[0].tolist() == [[1, -1], [-1, -1], [-1, -1]]
    assert batch.sentence_targets[1].tolist() == [[0, 0], [1, 0], [0, 0]]
    assert batch.abstract_targets.tolist() == [[1, -1, 1], [-1, 0, 1]]
    assert batch.pairs.tolist() == [4, -1]
    assert batch.weights.shape[:2] == (2, 5)
    assert batch.mask.sum(dim=1).tolist() == [preparation.length(example) for example in examples]


def test_an_untitled_example_does_not_show_its_title(preparation):
    shown = question_example("graphs", 0, (1, 2), (0, 0), answerable=0)
    hidden = replace(shown, titled=False)
    preparation.embed_texts(["graphs"])
    assert preparation.length(shown) == preparation.length(hidden) + len(TOKENIZER.encode("On graphs").ids) - 2
    assert preparation.inputs(shown).abstract_features[2] > preparation.inputs(hidden).abstract_features[2]


# Runs


def test_a_tiny_network_learns_three_abstracts(preparation, tmp_path):
    recipe = replace(RECIPE, epochs=10, micro_tokens=1024, trunk_rate=3e-3)
    epochs = plan(recipe, preparation, ABSTRACTS)
    network = tiny()

    def loss() -> float:
        network.eval()
        examples = [example for step in epochs[0] for one in step for example in one]
        batch = collate([preparation.inputs(example) for example in examples], examples)
        with torch.no_grad():
            return loss_of(read(network, batch, bfloat16=False), batch).item() / len(examples)

    before = loss()
    assert Trainer(network, recipe, tmp_path).run(epochs, preparation.inputs)
    assert loss() < before / 2


def run(preparation, folder, *, stop=lambda: False, each_epoch=None, recipe=RECIPE, network=None, teachers=()):
    network = network or tiny()
    epochs = plan(recipe, preparation, ABSTRACTS)
    return Trainer(network, recipe, folder, teachers).run(epochs, preparation.inputs, each_epoch, stop)


@pytest.fixture(scope="module")
def whole_run(preparation, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(preparation, folder)
    return folder


def test_the_same_seed_gives_the_same_weights(preparation, whole_run, tmp_path):
    run(preparation, tmp_path)
    assert same(final(tmp_path), final(whole_run))
    assert not same(final(tmp_path), tiny().state_dict())


class After:
    """Says yes, or fails, after a number of steps."""

    def __init__(self, steps: int, error: type[BaseException] | None = None) -> None:
        self.left, self.error = steps, error

    def __call__(self) -> bool:
        self.left -= 1
        if self.left == 0 and self.error is not None:
            raise self.error
        return self.left == 0


def test_a_stopped_run_goes_on_to_the_very_same_weights(preparation, whole_run, tmp_path):
    assert not run(preparation, tmp_path, stop=After(1))
    assert not (tmp_path / WEIGHTS).exists()
    torch.rand(1)  # another process has another state of the generator
    assert not run(preparation, tmp_path, stop=After(3))
    torch.rand(5)
    assert run(preparation, tmp_path)
    assert same(final(tmp_path), final(whole_run))


def test_a_killed_run_goes_on_from_its_last_checkpoint(preparation, whole_run, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(MemoryError):
        run(preparation, tmp_path, stop=After(3, MemoryError))
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["done"] == 2
    assert run(preparation, tmp_path)
    assert same(final(tmp_path), final(whole_run))


def test_what_is_done_after_an_epoch_is_made_up_for(preparation, whole_run, tmp_path):
    def fail(epoch: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        run(preparation, tmp_path, each_epoch=fail)
    seen: list[int] = []
    assert run(preparation, tmp_path, each_epoch=seen.append)
    assert seen == [1, 2]
    assert same(final(tmp_path), final(whole_run))


def test_a_finished_run_is_not_trained_further(preparation, whole_run, tmp_path):
    before = final(whole_run)
    assert run(preparation, whole_run)
    assert same(final(whole_run), before)


def test_a_folder_with_another_run_is_refused(preparation, whole_run):
    with pytest.raises(ConfigError, match="another recipe"):
        run(preparation, whole_run, recipe=replace(RECIPE, trunk_rate=2e-3))
    with pytest.raises(ConfigError, match="other data"):
        Trainer(tiny(), RECIPE, whole_run).run(plan(RECIPE, preparation, ABSTRACTS[::-1]), preparation.inputs)


def test_progress_is_told(preparation, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "TELL_SECONDS", 0.0)
    lines: list[str] = []
    epochs = plan(RECIPE, preparation, ABSTRACTS)
    Trainer(tiny(), RECIPE, tmp_path, say=lines.append).run(epochs, preparation.inputs)
    total = sum(map(len, epochs))
    assert len(lines) == total
    assert lines[0].startswith(f"epoch 1, step 1 of {total}, loss ")
    assert lines[-1].endswith("0 min left")


def test_abstracts_without_labels_are_trained_on_beside(tmp_path):
    more = [UnlabelledAbstract(a.title, a.sentences) for a in ABSTRACTS]
    wider = Preparation([*ABSTRACTS, *more], HashEncoder(), InputLayout(TOKENIZER))
    alone, both = plan(RECIPE, wider, ABSTRACTS), plan(RECIPE, wider, ABSTRACTS, more)
    found = [[example for step in steps for one in step for example in one] for steps in (alone[0], both[0])]
    assert len(found[1]) == len(found[0]) + 4 * len(more)
    added = [example for example in found[1] if example.abstract >= len(ABSTRACTS)]
    assert len(added) == 4 * len(more)
    assert not {e.pair for e in added} & {e.pair for e in found[0] if e.pair >= 0}
    assert Trainer(tiny(), RECIPE, tmp_path).run(both, wider.inputs)


def test_a_student_comes_nearer_to_its_teachers(preparation, tmp_path):
    teachers = [tiny(seed=5), tiny(seed=6)]
    with torch.no_grad():
        for teacher in teachers:
            teacher.heads.abstract.bias[:] = torch.tensor([4.0, -4.0, 0.0])
    states = [{name: tensor.clone() for name, tensor in teacher.state_dict().items()} for teacher in teachers]
    recipe = replace(RECIPE, teaching=5.0)
    taught, alone = tiny(), tiny()
    run(preparation, tmp_path / "taught", recipe=recipe, network=taught, teachers=teachers)
    run(preparation, tmp_path / "alone", network=alone)
    example = question_example("Why?", 0, (0, 1, 2), (0, 0, 0), answerable=0)
    preparation.embed_texts([example.text])
    scored = [score(network.eval(), preparation, [example])[0][1][0] for network in (taught, alone)]
    assert scored[0] > scored[1] + 0.2  # the teachers find everything answerable
    assert all(same(teacher.state_dict(), state) for teacher, state in zip(teachers, states, strict=True))


def test_teachers_without_a_weight_are_refused(tmp_path):
    with pytest.raises(ValueError, match="1 teachers and a weight of 0"):
        Trainer(tiny(), RECIPE, tmp_path, [tiny()])


# Figures


def test_the_area_under_the_curve():
    assert area(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == (1 + 0.5 + 1 + 1) / 4


def test_scores_do_not_depend_on_what_shares_a_batch(preparation):
    examples = [question_example("Why?", at, range(3), (0,) * 3, answerable=0) for at in range(3)]
    examples.append(question_example("Why?", 0, (1,), (0,), answerable=0))
    preparation.embed_texts(["Why?"])
    network = tiny().eval()
    together = score(network, preparation, examples)
    assert [sentences.shape for sentences, _ in together] == [(3, 2)] * 3 + [(1, 2)]
    for example, (sentences, whole) in zip(examples, together, strict=True):
        ((alone, alone_whole),) = score(network, preparation, [example])
        assert sentences == pytest.approx(alone, abs=0.05)  # bfloat16
        assert whole == pytest.approx(alone_whole, abs=0.05)


def test_figures_of_a_network_that_only_sees_similarity(preparation):
    network = tiny().eval()
    with torch.no_grad():
        network.heads.sentence.weight.zero_()
        network.heads.abstract.weight.zero_()
        network.heads.abstract_features.weight.zero_()
        network.heads.abstract_features.weight[:, ABSTRACT_FEATURES] = 1  # the best sentence's evidence
    found = figures(network, preparation, ABSTRACTS)
    assert found["hit@1"] == 1.0  # every question has a word of its sentence
    assert found["recall@3"] == 1.0
    assert found["twins"] > 0.9
    assert set(found) == {"hit@1", "recall@3", "twins", "written", "support twins", "edits", "edit pairs"}
    assert all(0 <= value <= 1 for value in found.values())


# Weights


def test_the_average_of_weights():
    first, second = {"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([3.0, 6.0])}
    assert weights.average([first, second])["a"].tolist() == [2.0, 4.0]
    state = tiny().state_dict()
    assert same(weights.average([state, state, state]), dict(state))
    with pytest.raises(ValueError, match="no weights"):
        weights.average([])
    with pytest.raises(ValueError, match="differ"):
        weights.average([first, {"b": torch.zeros(2)}])
    with pytest.raises(ValueError, match="differ"):
        weights.average([first, {"a": torch.zeros(3)}])


def test_weights_are_loaded_averaged(tmp_path):
    for seed in (1, 2):
        weights.save(tiny(seed).state_dict(), tmp_path / f"{seed}.pt")
    network = tiny(3)
    weights.load_weights(network, [tmp_path / "1.pt", tmp_path / "2.pt"])
    expected = (tiny(1).heads.pair.weight + tiny(2).heads.pair.weight) / 2
    assert torch.allclose(network.heads.pair.weight, expected, atol=1e-7)
    assert not list(tmp_path.glob("*.draft"))


def test_files_that_are_no_weights_are_refused(tmp_path):
    with pytest.raises(ModelLoadError, match="cannot be read"):
        weights.load_weights(tiny(), [tmp_path / "none.pt"])
    (tmp_path / "bad.pt").write_bytes(b"bad")
    with pytest.raises(ModelLoadError, match="cannot be read"):
        weights.load_weights(tiny(), [tmp_path / "bad.pt"])
    weights.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ModelLoadError, match="no weights of one reader"):
        weights.load_weights(tiny(), [tmp_path / "other.pt"])


def test_the_shipped_file_is_float16_and_without_word_table(tmp_path):
    network = tiny()
    export_weights(network.state_dict(), tmp_path / "deep" / "reader.safetensors")
    stored = load_file(tmp_path / "deep" / "reader.safetensors")
    assert {str(tensor.dtype) for tensor in stored.values()} == {"float16"}
    left_out = {name for name in network.state_dict() if name not in stored}
    assert left_out == {f"trunk.{WORD_TABLE}"}
    assert stored["heads.pair.weight"] == pytest.approx(network.heads.pair.weight.detach().numpy(), abs=1e-3)
    assert (tmp_path / "deep" / "reader.safetensors").stat().st_mode & 0o777 == 0o644


# The commands


@pytest.fixture
def small_command(monkeypatch, tmp_path):
    """The commands with the tiny network and the fake encoder, and a file of data."""
    from pydantic import TypeAdapter

    def new(device: str, seed: int) -> ReaderNetwork:
        return tiny(seed)

    monkeypatch.setattr(command, "new_network", new)
    monkeypatch.setattr(weights, "new_network", new)
    monkeypatch.setattr(command, "MiniLMEncoder", lambda *_: HashEncoder())
    data = tmp_path / "data.jsonl"
    lines = [TypeAdapter(LabelledAbstract).dump_json(a, exclude_defaults=True).decode() for a in ABSTRACTS]
    data.write_text("\n".join(lines), encoding="utf-8")
    return data


def main(*arguments: object) -> object:
    with pytest.raises(SystemExit) as ended:
        command.main([str(argument) for argument in arguments])
    return ended.value.code


def test_the_command_trains_scores_and_exports(small_command, tmp_path, capsys):
    out, shipped = tmp_path / "out", tmp_path / "reader.safetensors"
    given = (small_command, "--dev", small_command, "--out", out, "--epochs", 1, "--device", "cpu", "--export", shipped)
    assert main(*given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 0", "epoch 1"]
    assert "hit@1" in lines[1]
    assert same(torch.load(out / "epoch1.pt", weights_only=True), final(out))
    assert "heads.pair.weight" in load_file(shipped)
    assert main(*given) == 0  # nothing left to do
    assert "going on after step" in capsys.readouterr().out

    taught = tmp_path / "taught"
    again = ("--start", out / WEIGHTS, "--teachers", out / WEIGHTS)
    assert main(small_command, "--out", taught, "--epochs", 1, "--device", "cpu", *again) == 0
    assert not same(final(taught), final(out))

    soup = tmp_path / "soup.pt"
    export.main([str(out / WEIGHTS), str(taught / WEIGHTS), "--out", str(shipped), "--average", str(soup)])
    expected = weights.average([final(out), final(taught)])
    assert same(torch.load(soup, weights_only=True), expected)
    assert np.array_equal(load_file(shipped)["heads.abstract.bias"], expected["heads.abstract.bias"].half().numpy())


def test_the_command_can_be_interrupted_and_goes_on(small_command, tmp_path, capsys, monkeypatch):
    given = ("--epochs", 1, "--device", "cpu")
    assert main(small_command, "--out", tmp_path / "whole", *given) == 0
    inner = Trainer._step

    def interrupted(self, step, inputs):
        loss = inner(self, step, inputs)
        signal.raise_signal(signal.SIGINT)
        return loss

    monkeypatch.setattr(Trainer, "_step", interrupted)
    assert main(small_command, "--out", tmp_path / "parts", *given) == 130
    assert "interrupted" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(Trainer, "_step", inner)
    assert main(small_command, "--out", tmp_path / "parts", *given) == 0
    assert same(final(tmp_path / "parts"), final(tmp_path / "whole"))


def test_errors_are_one_line(small_command, tmp_path):
    assert "cannot be read" in str(main(tmp_path / "none.jsonl", "--out", tmp_path / "out"))
    assert "cannot be read" in str(main(small_command, "--out", tmp_path / "out", "--start", tmp_path / "none.pt"))
