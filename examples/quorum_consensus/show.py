"""What a run looks like: its rounds as a time line in a terminal, and as a picture."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from examples.quorum_consensus.history import Chosen, Fault, History, Round

_STYLES = {"●": "green", "○": "yellow", "x": "red", "-": "blue", "·": "dim"}
_COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#a6761d")
LEGEND = "● agreed  ○ refused  x failed  - timed out  · not waited for"


def timeline(history: History, console: Console) -> None:
    """Prints one line for each round and each fault, in the order of the times when they ended."""
    table = Table(
        box=None, pad_edge=False, title_justify="left", caption=LEGEND, caption_justify="left"
    )
    for name in ("second", "leader", "slot", "ballot", "phase"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for index in range(history.settings.members):
        table.add_column(f"m{index}", style="reverse" if index in history.liars else "")
    table.add_column("what came of it")
    events: list[tuple[float, int, Round | Chosen | Fault]] = [
        *((one.ended, 0, one) for one in history.rounds),
        *((one.at, 1, one) for one in history.chosen),
        *((one.ended, 2, one) for one in history.faults),
    ]
    width = history.settings.members
    for at, _, event in sorted(events, key=lambda entry: entry[:2]):
        if isinstance(event, Round):
            marks = [Text(mark, style=_STYLES[mark]) for mark in event.marks]
            outcome = Text(
                "a quorum" if event.reached else "no quorum", style="" if event.reached else "dim"
            )
            row: list[Text | str] = [
                f"{event.slot}",
                f"{event.ballot}",
                event.phase,
                *marks,
                outcome,
            ]
            table.add_row(f"{at:.3f}", chr(65 + event.leader), *row)
        elif isinstance(event, Chosen):
            told = Text(f"slot {event.slot} is {event.value}", style="bold")
            table.add_row(f"{at:.3f}", chr(65 + event.leader), *[""] * (3 + width), told)
        else:
            table.add_row(f"{at:.3f}", *[""] * (4 + width), Text(_told(event), style="red"))
    console.print(table)


def _told(fault: Fault) -> str:
    seconds = fault.ended - fault.began
    if fault.kind == "cut":
        return f"leader {chr(65 + fault.who)} was cut off from a majority for {seconds:.2f} s"
    name = f"m{fault.who}" if fault.kind == "member" else f"leader {chr(65 + fault.who)}"
    return f"{name} was dead for {seconds:.2f} s"


def plot(history: History, path: Path) -> None:
    """Draws the run: a lane for each leader and member, a colour for each slot, grey where something was out of order.

    Args:
        history: The run.
        path: Where the picture goes; the suffix says what it is: .svg, .png, .pdf.

    Raises:
        ImportError: matplotlib is missing; it comes with the extra `examples`.
        OSError: It can't be written.
        ValueError: matplotlib knows no such kind of picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    settings = history.settings
    lanes = settings.leaders + settings.members
    figure = Figure(figsize=(11, 1.2 + 0.42 * lanes), layout="constrained")
    axes = figure.add_subplot()
    names = [f"leader {chr(65 + index)}" for index in range(settings.leaders)]
    names += [
        f"member {index}{' (lies)' if index in history.liars else ''}"
        for index in range(settings.members)
    ]
    for fault in history.faults:
        lane = fault.who + (settings.leaders if fault.kind == "member" else 0)
        low, height = (lane - 0.4, 0.15) if fault.kind == "cut" else (lane - 0.4, 0.8)
        colour = "#c0392b" if fault.kind == "cut" else "#cccccc"
        axes.broken_barh(
            [(fault.began, fault.ended - fault.began)], (low, height), facecolors=colour
        )
    for one in history.rounds:
        colour = _COLOURS[one.slot % len(_COLOURS)]
        height = 0.5 if one.phase == "accept" else 0.25
        place = (one.leader - height / 2, height)
        span = max(one.ended - one.began, 0.004)
        axes.broken_barh(
            [(one.began, span)], place, facecolors=colour, alpha=1.0 if one.reached else 0.35
        )
        for index, mark in enumerate(one.marks):
            if mark in "●○":
                filled = colour if mark == "●" else "none"
                lane = settings.leaders + index
                axes.plot(one.ended, lane, "o", markersize=4, color=colour, markerfacecolor=filled)
    for chosen in history.chosen:
        colour = _COLOURS[chosen.slot % len(_COLOURS)]
        axes.plot(
            chosen.at, chosen.leader, "*", markersize=11, color=colour, markeredgecolor="black"
        )
        place = (chosen.at, chosen.leader - 0.35)
        axes.annotate(f"{chosen.slot}: {chosen.value}", place, fontsize=7, ha="center", va="bottom")
    axes.set_yticks(range(lanes), names)
    axes.set_ylim(lanes - 0.4, -0.8)
    axes.set_xlabel("seconds")
    axes.set_title(
        f"{settings.mode}: quorums of {settings.threshold} of {settings.members}", loc="left"
    )
    axes.legend(
        handles=[
            Line2D([], [], marker="*", color="black", linestyle="", label="decided (slot: value)"),
            Line2D([], [], marker="o", color="black", linestyle="", label="agreed"),
            Line2D([], [], marker="o", color="black", markerfacecolor="none", linestyle="", label="refused"),
            Line2D([], [], color="#cccccc", linewidth=6, label="dead"),
            Line2D([], [], color="#c0392b", linewidth=3, label="cut off from a majority"),
        ],
        loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=5, frameon=False, fontsize=8,
    )  # fmt: skip
    figure.savefig(path)
