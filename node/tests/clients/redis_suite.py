"""Counts what Redis's tests said, and judges it against the failures that are meant."""

import re
import sys
from pathlib import Path

SAID = re.compile(r"^(\[alone )?\[(ok|err|exception|ignore)\]: (.*)$")


def read(file, unit):
    """Tests that passed, and those that failed with the first line of why; alone counts more."""
    passed, failed, ignored, done = set(), {}, 0, False
    alone_passed, alone_failed = set(), {}
    lines = file.read_text(errors="replace").splitlines()
    for line, after in zip(lines, [*lines[1:], ""]):
        done |= bool(re.match(r"^\[\d+/\d+ done\]: " + re.escape(unit), line))
        if not (said := SAID.match(line)):
            continue
        alone, how, what = said.groups()
        if how == "ok":
            (alone_passed if alone else passed).add(re.sub(r" \(\d+ ms\)$", "", what))
        elif how == "err":
            name = what.removesuffix(f" in tests/{unit}.tcl")
            (alone_failed if alone else failed)[name] = after.strip()
        elif how == "ignore":
            ignored += 1
        else:
            failed[f"the unit itself: {what}"] = after.strip()
    failed = {name: why for name, why in failed.items() if name not in alone_passed or name in alone_failed}
    passed = (passed | alone_passed) - failed.keys()
    return passed, failed, ignored, done


def meant(file):
    """Why tests fail, by unit and name: `reason = text` first, then `unit | test | reason`."""
    reasons, failures = {}, {}
    for line in file.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if "|" in line and line.split(" | ", 1)[0].startswith("unit/"):
            unit, rest = line.split(" | ", 1)
            name, reason = rest.rsplit(" | ", 1)
            failures[unit, name] = reasons[reason]
        else:
            reason, text = line.split(" = ", 1)
            reasons[reason] = text
    return failures


def main(results, explained, *units):
    explained = meant(Path(explained))
    faults, counts, total, tried = [], {}, 0, 0
    print(f"{'unit':18}{'passed':>8}{'of':>6}{'share':>8}   not for other servers")
    for unit in units:
        passed, failed, ignored, done = read(Path(results) / unit.replace("/", "-"), unit)
        share = 100 * len(passed) / max(1, len(passed) + len(failed))
        print(f"{unit:18}{len(passed):8}{len(passed) + len(failed):6}{share:7.0f}%   {ignored}")
        total += len(passed)
        tried += len(passed) + len(failed)
        if not done:
            faults.append(f"{unit}: it did not run to its end")
        for name, why in sorted(failed.items()):
            if reason := explained.get((unit, name)):
                counts[reason] = counts.get(reason, 0) + 1
            else:
                faults.append(f"{unit}: {name}: {why}")
        listed = {name for of, name in explained if of == unit}
        faults += [f"{unit}: {name}: it passes, though it is listed" for name in sorted(listed & passed)]
        faults += [f"{unit}: {name}: there is no such test" for name in sorted(listed - passed - failed.keys())]
    print(f"{'all':18}{total:8}{tried:6}{100 * total / max(1, tried):7.0f}%")
    for reason, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        print(f"{count:4} fail because {reason}")
    if total == 0:
        faults.append("no test passed")
    if faults:
        sys.exit("\n".join(faults))


main(*sys.argv[1:])
