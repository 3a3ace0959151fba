"""Draws docs/scale.svg from the tables of docs/explanation/performance.md.

    pip install matplotlib
    python tests/benchmarks/scale_curves.py

The same tables give the same file.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURE = DOCS / "explanation/performance.md", DOCS / "scale.svg"
STEPS = ("evaluate", "score", "report", "compare")
Columns = dict[str, list[str]]


def table(text: str, heading: str) -> Columns:
    """The cells of the first table below a heading by column; a repeated name gets the one before it as a prefix."""
    lines = "|" + text.split(f"\n### {heading}\n")[1].partition("\n|")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in lines.splitlines()]
    head, _, *body = [[cell.strip() for cell in row] for row in rows]
    names = [name if head.count(name) == 1 else f"{head[at - 1]} {name}" for at, name in enumerate(head)]
    return {name: [row[at] for row in body] for at, name in enumerate(names)}


def numbers(cells: list[str]) -> list[float]:
    return [float(cell.replace(",", "")) for cell in cells]


def draw(text: str) -> Any:
    """The figure of all curves."""
    words, labels, nights = (table(text, f"With {what}") for what in ("words", "labels", "models and nightly runs"))
    figure, panels = plt.subplot_mosaic(
        [["time"] * 3 + ["memory"] * 3, ["label time"] * 2 + ["label memory"] * 2 + ["nights"] * 2],
        figsize=(10, 6.5),
        layout="constrained",
    )
    million = [count / 1e6 for count in numbers(words["words"])]
    for name, unit in (("time", "CPU s"), ("memory", "MB")):
        for step in STEPS:
            column = f"{step}, s" if unit == "CPU s" else f"{step}, s MB"
            panels[name].loglog(million, numbers(words[column]), marker="o", markersize=4, label=step)
        panels[name].set(title=f"{name.capitalize()} by words", xlabel="million words", ylabel=unit)
        panels[name].xaxis.set_major_formatter("{x:g}")
    panels["time"].yaxis.set_major_formatter("{x:g}")
    panels["memory"].set(yscale="linear", ylim=0)
    panels["time"].legend(frameon=False)
    for name, column in (("label time", "CPU s"), ("label memory", "peak, MB")):
        panels[name].plot(numbers(labels["labels"]), numbers(labels[column]), marker="o", markersize=4, color="black")
        panels[name].set(title=f"{name.split()[1].capitalize()} by labels, 900,000 words", xlabel="labels")
        panels[name].set(ylabel=column, ylim=0)
    bars = panels["nights"].barh(["none", "a file a day", "small files"], numbers(nights["CPU s"]), color="gray")
    panels["nights"].bar_label(bars, padding=3)
    panels["nights"].invert_yaxis()
    panels["nights"].margins(x=0.2)
    panels["nights"].set(title="Nightly run by history", xlabel="CPU s")
    return figure


def main() -> None:
    mpl.rcParams |= {
        "svg.hashsalt": "nerbench",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.titlesize": 10,
    }
    draw(PAGE.read_text()).savefig(PICTURE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
