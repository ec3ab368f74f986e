"""The training run: the plan of its steps, the optimiser, checkpoints. Knows neither files of data nor figures.

The same data, settings and seed give the same weights on one machine with the same number of threads. Another number of
threads, another processor or another version of torch adds up in another order, and a GPU in no fixed one.

An interrupted run goes on from its last checkpoint when it is started again with the same folder, and ends with the
weights it would have had.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from index.errors import ConfigError

from ..abstractqa import LabelledAbstract
from .batches import Batch, Step, collate, micro_batches, read, steps_of
from .examples import Example, UnlabelledAbstract, epoch_examples, near_topics, unlabelled_examples
from .losses import loss_against, loss_of
from .network import ReaderNetwork, Scores
from .prepare import Inputs, Preparation
from .weights import save

CHECKPOINT_SECONDS = 240.0
TELL_SECONDS = 20.0
NEIGHBOURS = 8
CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.pt"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run trains.

    Attributes:
        epochs: Passes over the abstracts.
        batch_size: Examples per step of the optimiser.
        micro_tokens: Most tokens of a pass; a batch is several passes.
        trunk_rate: Peak learning rate of the trunk.
        head_rate: Peak learning rate of the heads.
        warmup: Share of the steps in which the rate rises; then it falls to zero, both in a straight line.
        weight_decay: Of AdamW.
        seed: Of everything that is drawn.
        bfloat16: Whether matrices are multiplied in bfloat16; the weights stay float32.
        teaching: Weight of the loss against teachers beside the loss against labels; 0 without teachers.
    """

    epochs: int = 3
    batch_size: int = 32
    micro_tokens: int = 3072
    trunk_rate: float = 8e-5
    head_rate: float = 8e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    seed: int = 1
    bfloat16: bool = True
    teaching: float = 0.0


def plan(
    recipe: Recipe,
    preparation: Preparation,
    abstracts: Sequence[LabelledAbstract],
    more: Sequence[UnlabelledAbstract] = (),
) -> list[list[Step]]:
    """Return the steps of every epoch, and embed their texts.

    Args:
        recipe: How to train.
        preparation: Over ``[*abstracts, *more]``.
        abstracts: With labels, at least two.
        more: Without labels.
    """
    near = near_topics(preparation.passage_vectors[: len(abstracts)], NEIGHBOURS)
    near_more = near_topics(preparation.passage_vectors[len(abstracts) :], NEIGHBOURS)
    epochs = []
    for epoch in range(recipe.epochs):
        rng = random.Random(f"{recipe.seed}-{epoch}")
        units = epoch_examples(abstracts, near, rng)
        pairs = 1 + max(example.pair for unit in units for example in unit)
        units += unlabelled_examples(more, near_more, rng, first=len(abstracts), first_pair=pairs)
        preparation.embed_texts([example.text for unit in units for example in unit])
        passes = micro_batches(units, preparation.length, recipe.micro_tokens, rng)
        epochs.append(list(steps_of(passes, recipe.batch_size)))
    return epochs


class Trainer:
    """Changes a network's weights, step by step.

    Args:
        network: Its trunk already holds the bundled encoder's weights.
        recipe: How to train.
        folder: For checkpoints, and at the end the weights; a run found there is continued.
        teachers: Networks whose mean logits the network is to match, too, on its device.
        say: Told about the progress, a line every 20 seconds.

    Raises:
        ValueError: If the recipe has teaching and there are no teachers, or the reverse.
    """

    def __init__(
        self,
        network: ReaderNetwork,
        recipe: Recipe,
        folder: Path,
        teachers: Sequence[ReaderNetwork] = (),
        say: Callable[[str], None] | None = None,
    ) -> None:
        if bool(teachers) != (recipe.teaching > 0):
            raise ValueError(f"{len(teachers)} teachers and a weight of {recipe.teaching} for what they say")
        self._network, self._recipe, self._folder = network, recipe, folder
        self._teachers = [teacher.eval() for teacher in teachers]
        self._say = say or (lambda line: None)
        self._trunk = [p for p in network.trunk.parameters() if p.requires_grad]
        self._heads = list(network.heads.parameters())
        self._device = self._heads[0].device.type
        self._optimiser = torch.optim.AdamW(
            [{"params": self._trunk, "lr": recipe.trunk_rate}, {"params": self._heads, "lr": recipe.head_rate}],
            weight_decay=recipe.weight_decay,
        )

    def run(
        self,
        epochs: Sequence[Sequence[Step]],
        inputs: Callable[[Example], Inputs],
        each_epoch: Callable[[int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train to the end and leave ``weights.pt`` in the folder, or stop with a checkpoint there.

        Args:
            epochs: The steps of each, of :func:`plan`.
            inputs: Gives an example as the network gets it.
            each_epoch: Called with the number of each epoch that was finished, with the network in eval mode.
            stop: Asked after every step.

        Returns:
            Whether the end was reached.

        Raises:
            ConfigError: If the folder holds a run of another recipe or on other examples.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        total = sum(len(steps) for steps in epochs)
        schedule = _schedule(self._optimiser, total, self._recipe.warmup)
        examples = hashlib.sha256(repr(epochs).encode()).hexdigest()
        first = self._resume(schedule, examples)
        if first:
            self._say(f"going on after step {first} of {total}")
        progress = _Progress(first, total, self._say)
        saved_at = time.monotonic()
        number = 0
        for epoch, steps in enumerate(epochs, start=1):
            self._network.train()
            for step in steps:
                number += 1
                if number <= first:
                    continue
                loss = self._step(step, inputs)
                schedule.step()
                progress.tell(epoch, number, loss)
                stopped = stop()
                if stopped or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                    self._save(number, schedule, examples)
                    saved_at = time.monotonic()
                if stopped:
                    return False
            if number >= first:
                self._save(number, schedule, examples)
                self._network.eval()
                if each_epoch is not None:
                    each_epoch(epoch)
        save(self._network.state_dict(), self._folder / WEIGHTS)
        return True

    def _step(self, step: Step, inputs: Callable[[Example], Inputs]) -> float:
        """Change the weights once; return the mean loss of the examples."""
        size = sum(len(examples) for examples in step)
        summed = 0.0
        for examples in step:
            batch = collate([inputs(example) for example in examples], examples).to(self._device)
            loss = self._loss(batch) / size
            loss.backward()  # type: ignore[no-untyped-call]
            summed += loss.item()
        torch.nn.utils.clip_grad_norm_([*self._trunk, *self._heads], 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return summed

    def _loss(self, batch: Batch) -> Tensor:
        scores = read(self._network, batch, bfloat16=self._recipe.bfloat16)
        loss = loss_of(scores, batch)
        if not self._teachers:
            return loss
        with torch.no_grad():
            taught = [read(teacher, batch, bfloat16=self._recipe.bfloat16) for teacher in self._teachers]
        mean = Scores(
            torch.stack([one.sentence for one in taught]).mean(dim=0),
            torch.stack([one.abstract for one in taught]).mean(dim=0),
        )
        return loss + self._recipe.teaching * loss_against(scores, mean, batch)

    def _save(self, done: int, schedule: Any, examples: str) -> None:
        state = {
            "recipe": json.dumps(asdict(self._recipe)),
            "examples": examples,
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "done": done,
            "random": torch.get_rng_state(),  # dropout draws from it
        }
        if self._device == "cuda":
            state["cuda_random"] = torch.cuda.get_rng_state()
        save(state, self._folder / CHECKPOINT)

    def _resume(self, schedule: Any, examples: str) -> int:
        """Load the checkpoint, if there is one, and return how many steps were done."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return 0
        state = torch.load(path, map_location="cpu", weights_only=True)
        # A field that a checkpoint lacks had no other value than its default when the checkpoint was written.
        recipe = {**asdict(Recipe()), **json.loads(state["recipe"])}
        if recipe != asdict(self._recipe) or state.get("examples", examples) != examples:
            raise ConfigError(
                f"{self._folder} holds a run on other data or of another recipe ({json.dumps(recipe)}). Name another "
                "folder, or start it with the same data and settings to go on with it."
            )
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        if "random" in state:
            torch.set_rng_state(state["random"])
        if "cuda_random" in state:
            torch.cuda.set_rng_state(state["cuda_random"])
        return int(state["done"])


def _schedule(optimiser: torch.optim.Optimizer, total: int, warmup: float) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the schedule of the rates: a share ``warmup`` of the steps up, the others down to zero."""
    warm = max(1, round(warmup * total))
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm)))
    )


class _Progress:
    """Says how far a run is, now and then."""

    def __init__(self, first: int, total: int, say: Callable[[str], None]) -> None:
        self._first, self._total, self._say = first, total, say
        self._began = self._told = time.monotonic()
        self._losses: list[float] = []

    def tell(self, epoch: int, done: int, loss: float) -> None:
        """Note one step, and say a line if the last is long ago."""
        self._losses.append(loss)
        now = time.monotonic()
        if now - self._told < TELL_SECONDS:
            return
        mean = sum(self._losses) / len(self._losses)
        minutes = (self._total - done) * (now - self._began) / (done - self._first) / 60
        self._say(f"epoch {epoch}, step {done} of {self._total}, loss {mean:.4f}, {minutes:.0f} min left")
        self._told, self._losses = now, []
