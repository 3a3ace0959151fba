"""Measures training speed: nerbench, nnbench's recipe, that recipe on nerbench's engine, and a simple loop.

    MINILM=FOLDER python tests/benchmarks/training_speed.py [-c deployments/conllpp-local.yaml] [--model minilm-l6]
        [--rounds 5] [--steps 60] [--only NAME,NAME] [--json]
    … --full               trains nnbench's recipe and nerbench's whole, with validation and test F1 against seconds;
                           --full nerbench (or guide) only that one
    … --seeds 0,1,2,3,4    nerbench's training once a seed: strict F1 on the test split, and their mean

Every contender is a process with its own training; they take turns of so many steps, several rounds, and the medians
are printed in tokens per second, without padding. Between the turns the matrix products' own rate is measured, forward
and twice that backward: the share of it that a contender reaches counts only the products of its tokens.
Where other programs use the machine, the columns of CPU seconds, with OMP_NUM_THREADS=1, are steadier.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, NamedTuple

import torch
from arithmetic_floor import Products, Seconds, work_of
from training_contenders import CONTENDERS, guide
from transformers import Trainer, TrainerCallback

from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.training.batches import Examples
from nerbench.tasks.training.distributed import ALONE
from nerbench.tasks.training.faster_layers import shrink_embeddings
from nerbench.tasks.training.launch import plan_training, train
from nerbench.tasks.training.setup import TrainingSetup, make_trainer, prepare
from nerbench.tasks.training.validation import Validation, entity_scores

WARM_UP = 10
"""Steps before the first measured turn."""
FULL_EVERY = 0.5
"""Epochs between two validations of a complete training."""


class Turn(NamedTuple):
    """The work of a contender in one turn."""

    pieces: int
    wall: float
    cpu: float


class Contender:
    """A training in a separate process."""

    def __init__(self, name: str, model: ModelConfig, dataset: DatasetConfig) -> None:
        self.name = name
        self.turns: list[Turn] = []
        script = Path(__file__).with_name("training_contenders.py")
        given = (model.model_dump_json(), dataset.model_dump_json())
        self.process = subprocess.Popen(
            [sys.executable, str(script), name, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()  # it is ready

    def turn(self, steps: int) -> Turn:
        """Run a number of steps."""
        assert self.process.stdin
        print(steps, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Turn:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith('{"pieces"'):
                return Turn(**json.loads(line))
        raise SystemExit(f"{self.name} ended")

    def close(self) -> None:
        """End its process."""
        self.process.kill()
        self.process.wait()


def race(
    names: list[str], model: ModelConfig, dataset: DatasetConfig, rounds: int, steps: int
) -> tuple[list[Contender], dict[str, list[Seconds]]]:
    """Contenders with their turns, and seconds per token of the matrix products, by precision."""
    contenders = [Contender(name, model, dataset) for name in names]
    floors: dict[str, list[Seconds]] = {"fp32": [], "bf16": []}
    n_pieces = 100_000
    work = work_of(prepare(model, dataset).base.network, [1] * n_pieces)
    products = {"fp32": Products(work, torch.float32), "bf16": Products(work, torch.bfloat16)}
    try:
        for contender in contenders:
            contender.turn(WARM_UP)
        for number in range(rounds):
            for contender in contenders if number % 2 else contenders[::-1]:
                contender.turns.append(contender.turn(steps))
            for precision, product in products.items():
                fastest = min(product.floors().values())
                floors[precision].append(Seconds(*(3 * seconds / n_pieces for seconds in fastest)))
    finally:
        for contender in contenders:
            contender.close()
    return contenders, floors


def compared(contenders: list[Contender], floors: dict[str, list[Seconds]]) -> list[dict[str, Any]]:
    """One row per contender: medians over the rounds; ratios are medians of the ratios within each round."""
    rows = []
    for contender in contenders:
        row: dict[str, Any] = {"contender": contender.name}
        for clock in ("wall", "cpu"):
            rates = [turn.pieces / getattr(turn, clock) for turn in contender.turns]
            first = [turn.pieces / getattr(turn, clock) for turn in contenders[0].turns]
            row[f"pieces_per_{clock}_s"] = median(rates)
            row[f"times_{clock}"] = median(mine / theirs for mine, theirs in zip(rates, first, strict=True))
            for precision, measured in floors.items():
                floor = median(getattr(seconds, clock) for seconds in measured)
                row[f"of_{precision}_{clock}"] = median(rates) * floor
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]], floors: dict[str, list[Seconds]]) -> None:
    """Print the table."""
    print(f"{'':26}{'pieces/s':>10}{'×':>7}{'of fp32':>9}{'of bf16':>9}{'per CPU s':>12}{'×':>7}{'of bf16':>9}")
    for row in rows:
        print(
            f"{row['contender']:26}{row['pieces_per_wall_s']:10,.0f}{row['times_wall']:7.2f}{row['of_fp32_wall']:9.1%}"
            f"{row['of_bf16_wall']:9.1%}{row['pieces_per_cpu_s']:12,.0f}{row['times_cpu']:7.2f}{row['of_bf16_cpu']:9.1%}"
        )
    for precision, measured in floors.items():
        wall, cpu = (median(getattr(seconds, clock) for seconds in measured) for clock in ("wall", "cpu"))
        print(f"{'products alone, ' + precision:26}{1 / wall:10,.0f}{'':25}{1 / cpu:12,.0f}")


class Watch(TrainerCallback):  # type: ignore[misc]
    """Validates a model during training; the time of validation is not counted."""

    def __init__(self, name: str, judges: dict[str, Validation], every: float) -> None:
        self.name, self.judges, self.every = name, judges, every
        self.seen, self.lost, self.started = 0, 0.0, 0.0
        self.curve: list[dict[str, float]] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The clock starts."""
        self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Validate after some epochs, and at the end."""
        if int(state.epoch / self.every + 1e-9) == self.seen and state.global_step < state.max_steps:
            return
        stopped = time.perf_counter()
        self.seen = int(state.epoch / self.every + 1e-9)
        scores = {name: f1(judge, model, args.device) for name, judge in self.judges.items()}
        self.curve.append({"epoch": state.epoch, "seconds": stopped - self.started - self.lost} | scores)
        shown = "  ".join(f"{name} F1 {100 * value:.2f}" for name, value in scores.items())
        print(f"{self.name:10}epoch {state.epoch:4.2f}{self.curve[-1]['seconds']:9.1f} s  {shown}", flush=True)
        self.lost += time.perf_counter() - stopped


def f1(judge: Validation, network: torch.nn.Module, device: torch.device) -> float:
    """Strict entity F1 of a model on a split."""
    predicted = judge.examples.tagged(judge.predict(network, device)[0])
    return entity_scores(predicted, judge.examples.corpus.tags)["f1"]


def judges(setup: TrainingSetup, dataset: DatasetConfig) -> dict[str, Validation]:
    """The validation and the test split."""
    base = setup.base
    test = Examples(load_splits(dataset)["test"], base.tokenizer, base.window, setup.train.tags)
    return {
        "validation": Validation(setup.held_out, setup.pad, ALONE),
        "test": Validation(test, setup.pad, ALONE),
    }


def full(model: ModelConfig, dataset: DatasetConfig, names: list[str]) -> dict[str, list[dict[str, float]]]:
    """F1 against seconds of training, of nnbench's recipe (`guide`) and of nerbench, one after the other."""
    curves = {}
    for name in names:
        setup = prepare(model, dataset)
        judged_by = judges(setup, dataset)
        if name == "nerbench":  # the test split has other tokens
            setup.restore_embeddings()
            pieces = set[int]().union(
                setup.train.occurring, *(judge.examples.occurring for judge in judged_by.values())
            )
            shrink_embeddings(setup.base.network, pieces | {setup.pad})
        watch = Watch(name, judged_by, FULL_EVERY)
        with tempfile.TemporaryDirectory() as work:
            if name == "guide":
                trainer = guide(model, dataset, Path(work), Trainer, [watch])
            else:
                trainer = make_trainer(model, setup, Path(work), [watch])
            trainer.train()
        curves[name] = watch.curve
    if len(curves) < 2:
        return curves
    own = curves["guide"][-1]
    reached = [point["seconds"] for point in curves["nerbench"] if point["test"] >= own["test"]]
    when = f"{min(reached):.0f} s, {min(reached) / own['seconds']:.1%} of its time" if reached else "never"
    print(
        f"nnbench's recipe ends at {100 * own['test']:.2f} after {own['seconds']:.0f} s; nerbench is there after {when}"
    )
    return curves


def seeds(model: ModelConfig, dataset: DatasetConfig, numbers: list[int]) -> list[float]:
    """Strict F1 on the test split of nerbench's own training, once a seed."""
    from nerbench.tasks.inference.loading import load_tagger
    from nerbench.tasks.inference.prediction import predict

    test, found = load_splits(dataset)["test"], []
    for seed in numbers:
        plan = plan_training(model.model_copy(update={"seed": seed, "seeds": ()}), dataset)
        trained = train(plan, lambda event: None)
        tagger = load_tagger(Path(trained.folder), device=torch.device("cpu"))
        flat = iter([tagger.labels[label] for block in predict(tagger, test.words) for label in block.labels])
        predicted = [[next(flat) for _ in words] for words in test.words]
        found.append(entity_scores(predicted, test.tags)["f1"])
        print(f"seed {seed}: strict F1 {100 * found[-1]:.2f} after {trained.train_s:.0f} s", flush=True)
    spread = f" ± {100 * stdev(found):.2f}" if len(found) > 1 else ""
    print(f"mean of {len(found)} seeds: {100 * mean(found):.2f}{spread}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-c", type=Path, default=Path("deployments/conllpp-local.yaml"), dest="config")
    parser.add_argument("--model", help="of the configuration; its first by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders; the first is what others are held to")
    parser.add_argument("--full", nargs="?", const="guide,nerbench")
    parser.add_argument("--seeds", help="numbers with commas between them")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    config = load_config(wanted.config)
    model = next(m for m in config.models if wanted.model in (None, m.name))
    dataset = next(d for d in config.datasets if model.dataset in (None, d.name))
    if wanted.full:
        result: Any = full(model, dataset, wanted.full.split(","))
    elif wanted.seeds:
        result = seeds(model, dataset, [int(seed) for seed in wanted.seeds.split(",")])
    else:
        contenders, floors = race(wanted.only.split(","), model, dataset, wanted.rounds, wanted.steps)
        result = compared(contenders, floors)
        show(result, floors)
    if wanted.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
