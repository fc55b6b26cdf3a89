// What the programs in this folder share: a line of JSON per scenario, and the loop in which a node dies.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

// How long a client may fail after the node it needs is gone or back, and how long it is watched then, in milliseconds.
const PATIENCE = 5000;
const WATCH = 6000;
const PAUSE = 20;

// Where the nodes listen, the one that will be killed first.
function addresses(door) {
  return process.env[`TRY_${door}`].split(',').map((address) => {
    const at = address.lastIndexOf(':');
    return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
  });
}

function say(what) {
  console.log(JSON.stringify(what));
}

// Runs one scenario; what it returns is worth a note.
async function scenario(name, run) {
  try {
    say({ scenario: name, ok: true, note: (await run()) ?? '' });
  } catch (error) {
    say({ scenario: name, ok: false, note: `${error.name}: ${error.message}`.split('\n').join(' ') });
  }
}

// The call must fail with an error saying these words.
async function refused(call, words) {
  await assert.rejects(call, (error) => error.message.includes(words) || assert.fail(error.message));
}

async function until(condition) {
  const deadline = Date.now() + PATIENCE;
  while (!(await condition())) {
    assert(Date.now() < deadline, 'it did not happen in time');
    await sleep(PAUSE);
  }
}

// When the script has left a mark, if it has.
function mark(name) {
  return fs.statSync(path.join(process.env.TRY_MARKS, name), { throwIfNoEntry: false })?.mtimeMs;
}

// Writes and reads while a node is killed and started again. `several`: the client knows other nodes as well.
async function nodeKilled(name, several, write, read) {
  const prefix = name.replaceAll(/[ /]/g, '-');
  const [kept, errors] = [[], []];
  let back;
  while (back === undefined || Date.now() < back + WATCH) {
    const key = `${prefix}:${kept.length}:${errors.length}`;
    let seen, got;
    try {
      await write(key, key);
      kept.push(key);
      seen = kept[Math.floor(Math.random() * kept.length)];
      got = await read(seen);
    } catch (error) {
      errors.push({ at: Date.now(), error });
      [seen, got] = [];
    }
    assert.equal(got, seen);
    if (kept.length === 50) fs.writeFileSync(path.join(process.env.TRY_MARKS, `ready-${prefix}`), '');
    back = mark('back');
    await sleep(PAUSE);
  }
  for (const key of kept) assert.equal(await read(key), key);
  const killed = mark('killed');
  for (const [start, end] of [[0, killed], [several ? killed + PATIENCE : back, back], [back + PATIENCE, Infinity]]) {
    const late = errors.filter(({ at }) => start < at && at < end);
    assert(late.length === 0, `${late.length} of ${errors.length} errors came too late, such as ${late[0]?.error}`);
  }
  const lasted = Math.max(0, ...errors.map(({ at }) => at - killed)) / 1000;
  const within = several && errors.length > 0 ? ` within ${lasted.toFixed(1)} s` : '';
  return `${errors.length} failed${within}; ${kept.length} writes kept`;
}

// Runs what the command line names: a variant of the client, and what is to be tried with it.
async function main(client, modes) {
  const [variant, mode] = process.argv.slice(2);
  say({ client: `${client} ${variant}` });
  await modes[mode](variant);
  process.exit();
}

module.exports = { addresses, main, nodeKilled, refused, scenario, until };
