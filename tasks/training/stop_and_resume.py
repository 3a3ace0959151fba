"""Callbacks for training that reports progress, stops in an orderly way, and resumes from where it stopped."""

import math
import shutil
import signal
import time
from enum import IntFlag, auto
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl
from transformers.trainer_callback import ExportableState

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.tasks.child_process import Emit
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.config.user_code import explain, load_function
from nerbench.tasks.training.distributed import ALONE, Ranks

STATE_FILE = "trainer_state.json"
"""The Trainer writes it last: a checkpoint without it is torn."""


class Progress(TrainerCallback):  # type: ignore[misc]
    """Reports steps and evaluations to the parent, and stops at a loss that is not finite."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Forward the Trainer's log from the first process. Raises RunFailedError for a loss that is not finite."""
        broadcast = logs or {}
        refuse_no_number(broadcast.get("loss", 0.0), state.global_step)
        if state.is_world_process_zero:
            broadcast = {"step": state.global_step, "steps": state.max_steps, "epoch": state.epoch} | broadcast
            self.emit({"event": "log"} | broadcast)


def refuse_no_number(loss: float, step: int) -> None:
    """Raise RunFailedError for a loss that is not finite."""
    if not math.isfinite(loss):
        raise RunFailedError(f"the loss is {loss} at step {step}; lower learning_rate, or train in fp32")


class ControlFlags(IntFlag):
    """The actions after a step."""

    EVALUATE = auto()
    SAVE = auto()
    STOP = auto()


def kept(callback: TrainerCallback, state: Any, name: str) -> Any:
    """An attribute of a callback from the checkpoint from which training resumes; at the start, its first value.

    Trainer can restore callbacks itself, but then makes new ones, and also restores the instruction to stop.
    """
    return state.stateful_callbacks[type(callback).__name__]["attributes"][name]


class Patience(EarlyStoppingCallback):  # type: ignore[misc]
    """Early stopping whose count of epochs survives a resumption."""

    def on_train_begin(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        """Continue the count."""
        super().on_train_begin(args, state, control)
        self.early_stopping_patience_counter = kept(self, state, "early_stopping_patience_counter")


class Stopping(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Saves regularly within an epoch, and ends training in an orderly way at SIGTERM or when the time is up.

    The time limit applies to the whole training: a checkpoint has the seconds up to it. Of several processes, the first
    one decides, and all do the same after the same step.
    """

    def __init__(self, checkpoint_s: float, time_limit_s: float | None, ranks: Ranks = ALONE) -> None:
        self.checkpoint_s = checkpoint_s
        self.ranks = ranks
        self.time_limit_s = time_limit_s or math.inf
        self.earlier_s = 0.0
        """Seconds of training up to the checkpoint from which this run resumes."""
        self.started: float | None = None
        self.saved = time.monotonic()
        self.reason: str | None = None
        """Why training ended before its last step."""
        signal.signal(signal.SIGTERM, self._terminated)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.reason = "terminated"

    @property
    def spent_s(self) -> float:
        """Seconds of training so far."""
        return self.earlier_s + (0.0 if self.started is None else time.monotonic() - self.started)

    def state(self) -> dict[str, Any]:
        """The state to save in checkpoints."""
        return {"args": {}, "attributes": {"spent_s": self.spent_s}}

    def on_train_begin(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        """Start or continue the clock."""
        self.earlier_s, self.started = kept(self, state, "spent_s"), time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        """Training can only stop between two steps."""
        orders = ControlFlags(self.ranks.broadcast(self._decide() if self.ranks.number == 0 else 0))
        if float(state.epoch).is_integer() and args.eval_strategy == "epoch" and args.save_strategy == "epoch":
            orders &= (
                ControlFlags.STOP
            )  # Trainer evaluates and saves now; a checkpoint before that would lack the evaluation
        control.should_evaluate |= ControlFlags.EVALUATE in orders
        control.should_save |= ControlFlags.SAVE in orders
        control.should_training_stop |= ControlFlags.STOP in orders

    def _decide(self) -> ControlFlags:
        orders, now = ControlFlags(0), time.monotonic()
        if self.spent_s >= self.time_limit_s and not self.reason:
            self.reason = "time limit"
            orders |= ControlFlags.EVALUATE
        if self.reason:
            orders |= ControlFlags.STOP
        if self.reason or now - self.saved >= self.checkpoint_s:
            orders |= ControlFlags.SAVE
            self.saved = now
        return orders


def callbacks(model: ModelConfig, emit: Emit, ranks: Ranks = ALONE) -> list[TrainerCallback]:
    """The callbacks of a training; the first one is a Stopping. Raises InputError like `load_function`."""
    patience = [Patience(model.early_stopping)] if model.early_stopping else []
    own = [_user_callback(name) for name in model.callbacks]
    return [Stopping(model.checkpoint_s, model.time_limit_s, ranks), Progress(emit), *patience, *own]


def _user_callback(name: str) -> TrainerCallback:
    kind = load_function(name)
    if not (isinstance(kind, type) and issubclass(kind, TrainerCallback)):
        raise InputError(name, "is not a TrainerCallback", "name a subclass of transformers.TrainerCallback")
    try:
        return kind()
    except Exception as error:
        raise InputError(name, f"cannot be created ({explain(error)})", "define __init__ without arguments") from error


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint. Removes torn ones, of which a kill leaves at most one."""
    complete = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / STATE_FILE).exists():
            complete.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(complete, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])
