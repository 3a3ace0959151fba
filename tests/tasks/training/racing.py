"""Trains and publishes like a flow, in a separate process: `racing.py FOLDER NUMBER`; it waits for FOLDER/go."""

import logging
import sys
import time
from pathlib import Path

from small_corpus import TINY

from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.training.launch import plan_training, publish, reserved, train

SETTINGS = {"epochs": 2, "learning_rate": 5e-3, "batch_tokens": 128, "vocabulary": 200, "precision": "fp32"}


def main(folder: Path, number: str) -> None:
    """Between training and publication, write the file `trained-NUMBER`, and wait for the file `go`."""
    logging.basicConfig(level=logging.INFO)
    corpus = str(folder / "corpus.txt")
    dataset = DatasetConfig(name="own", files={"train": corpus, "validation": corpus})
    plan = plan_training(ModelConfig.model_validate({"name": "tiny", "base": TINY} | SETTINGS), dataset)
    with reserved(plan):
        trained = train(plan, lambda event: (folder / f"training-{number}").touch())
        (folder / f"trained-{number}").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)
        print(publish(trained, str(folder / "store"), number).artifact_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
