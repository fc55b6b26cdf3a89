"""Makes a table of what the clients said, and judges it against the exceptions that are known and explained."""

import json
import sys
from pathlib import Path

SCENARIOS = [
    "connect", "set, get", "binary", "delete", "expiry", "batch", "pipeline", "level", "refusal", "node killed",
    "password, TLS",
]  # fmt: skip


def read(file):
    """One client: what it calls itself, and of each scenario whether it went well, with a note."""
    name, cells, ended = file.name, {}, []
    for line in file.read_text().splitlines():
        said = json.loads(line)
        if "client" in said:
            name = said["client"]
        elif "ended" in said:
            ended.append(f"{said['mode']} ended with {said['ended']}")
        else:
            cells[said["scenario"]] = (said["ok"], said["note"])
    return name, cells, ended


def exceptions(file):
    """`program variant | scenario | reason`, a line each."""
    lines = (line for line in file.read_text().splitlines() if line and not line.startswith("#"))
    split = ([part.strip() for part in line.split("|", 2)] for line in lines)
    return {(client, scenario): reason for client, scenario, reason in split}


def judge(results, known):
    """Everything that is not as it should be."""
    faults = []
    for client, (_, cells, ended) in results.items():
        faults += [f"{client}: {how}" for how in ended]
        faults += [f"{client}: nobody knows the scenario '{name}'" for name in cells if name not in SCENARIOS]
        for scenario in SCENARIOS:
            ok, note = cells.get(scenario, (False, "it was not tried"))
            expected = (client, scenario) in known
            if not ok and not expected:
                faults.append(f"{client}: {scenario}: {note}")
            if ok and expected:
                faults.append(f"{client}: {scenario}: it works, though exceptions.txt says that it does not")
    if not any(cells for _, cells, _ in results.values()):
        faults.append("nothing ran")
    return faults


def rows(results, known):
    """Cells with the numbers of their notes, and the notes."""
    notes = []
    lines = []
    for client, (name, cells, _) in results.items():
        line = [name]
        for scenario in SCENARIOS:
            ok, note = cells.get(scenario, (False, ""))
            reason = known.get((client, scenario))
            note = reason or note
            if scenario == "node killed" and ok:
                note, short = "", note.split(";")[0]
            else:
                short = "yes" if ok else "no" if scenario in cells else "–"
            if note and note not in notes:
                notes.append(note)
            line.append(short + (f" ({1 + notes.index(note)})" if note else ""))
        lines.append(line)
    return lines, notes


def text(lines, notes):
    columns = [["client", *SCENARIOS], *lines]
    widths = [max(len(line[i]) for line in columns) for i in range(len(columns[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in columns]
    return "\n".join(table + [f"({number}) {note}" for number, note in enumerate(notes, 1)])


def markdown(lines, notes):
    head = ["| Client | " + " | ".join(SCENARIOS) + " |", "|---" * (1 + len(SCENARIOS)) + "|"]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(head + table + [""] + [f"({number}) {note}  " for number, note in enumerate(notes, 1)]) + "\n"


def main(results, known, page=None):
    results = {file.name: read(file) for file in sorted(Path(results).iterdir())}
    known = exceptions(Path(known))
    faults = judge(results, known)
    lines, notes = rows(results, known)
    print(text(lines, notes))
    if page:
        Path(page).write_text(markdown(lines, notes))
    tried = sum(len(cells) for _, cells, _ in results.values())
    passed = sum(ok for _, cells, _ in results.values() for ok, _ in cells.values())
    print(f"{passed} of {tried} scenarios of {len(results)} clients passed, {len(faults)} faults")
    if faults:
        sys.exit("\n".join(faults))


main(*sys.argv[1:])
