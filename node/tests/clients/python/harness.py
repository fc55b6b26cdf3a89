"""What the programs in this folder share: a line of JSON per scenario, and the loop in which a node dies."""

import asyncio
import inspect
import json
import os
import random
import sys
import time

# How long a client may fail after the node it needs is gone or back, and how long it is watched then, in seconds.
PATIENCE = 5
WATCH = 6
PAUSE = 0.02


def addresses(door):
    """Where the nodes listen, the one that will be killed first."""
    pairs = (address.rsplit(":", 1) for address in os.environ[f"TRY_{door}"].split(","))
    return [(host, int(port)) for host, port in pairs]


def say(**what):
    print(json.dumps(what), flush=True)


async def done(answer):
    """The answer of a client that may or may not be asynchronous."""
    return await answer if inspect.isawaitable(answer) else answer


async def scenario(name, run):
    """Runs one scenario; what it returns is worth a note."""
    try:
        say(scenario=name, ok=True, note=await done(run()) or "")
    except Exception as error:  # Whatever it is, it is the finding.
        say(scenario=name, ok=False, note=" ".join(f"{type(error).__name__}: {error}".split()))


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r:.200} instead of {wanted!r:.200}")


async def refused(call, kind, words):
    """The call must fail with the library's ordinary error, saying these words."""
    try:
        answer = await done(call())
    except kind as error:
        if words not in str(error):
            raise AssertionError(f"the error says {error}") from error
        return
    raise AssertionError(f"{answer!r} instead of an error")


def mark(name):
    """When the script has left a mark, if it has."""
    try:
        return os.stat(os.path.join(os.environ["TRY_MARKS"], name)).st_mtime
    except FileNotFoundError:
        return None


async def node_killed(name, several, write, read):
    """Writes and reads while a node is killed and started again. `several`: the client knows other nodes as well."""
    prefix = name.replace(" ", "-")
    kept, errors = [], []
    back = None
    while back is None or time.time() < back + WATCH:
        key = f"{prefix}:{len(kept)}:{len(errors)}"
        try:
            await done(write(key, key))
            kept.append(key)
            seen = random.choice(kept)
            expect(await done(read(seen)), seen)
        except AssertionError:
            raise
        except Exception as error:
            errors.append((time.time(), error))
        if len(kept) == 50:
            open(os.path.join(os.environ["TRY_MARKS"], f"ready-{prefix}"), "w").close()
        back = mark("back")
        await asyncio.sleep(PAUSE)
    for key in kept:
        expect(await done(read(key)), key)
    killed = mark("killed")
    for start, end in [(0, killed), (killed + PATIENCE if several else back, back), (back + PATIENCE, time.time())]:
        late = [error for at, error in errors if start < at < end]
        if late:
            raise AssertionError(f"{len(late)} of {len(errors)} errors came too late, such as {late[0]!r}")
    lasted = max((at - killed for at, _ in errors), default=0)
    within = f" within {lasted:.1f} s" if errors and several else ""
    return f"{len(errors)} failed{within}; {len(kept)} writes kept"


def main(client, modes):
    """Runs what the command line names: a variant of the client, and what is to be tried with it."""
    variant, mode = sys.argv[1:]
    say(client=f"{client} {variant}")
    asyncio.run(modes[mode](variant))
