// grpc-js, by the example in client/examples/node.
'use strict';

const assert = require('node:assert');
const { addresses, main, nodeKilled, refused, scenario, until } = require('./harness');
const { Cache, grpc } = require('../../../../client/examples/node/cache');

const NODES = addresses('GRPC').map(({ host, port }) => `${host}:${port}`);
const MANY = 100;
const key = (name) => Buffer.from(`grpc-js:${name}`);
const text = (value) => value?.toString() ?? null;

async function basics() {
  const cache = new Cache(NODES);
  const left = async () => Number((await cache.get(key('expiring'))).outcome.ttlMs);

  await scenario('connect', () => new Promise((resolve, reject) => {
    cache.stub.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve()));
  }));
  await scenario('set, get', async () => {
    await cache.set(key('a'), Buffer.from('hello'));
    assert.equal(text((await cache.get(key('a'))).value), 'hello');
    assert.equal((await cache.get(key('missing'))).value, null);
  });
  await scenario('binary', async () => {
    const [name, value] = [Buffer.from('grpc-js:\0\xff\r\n', 'latin1'), Buffer.alloc(65536, Uint8Array.from({ length: 256 }, (_, i) => i))];
    await cache.set(name, value);
    assert((await cache.get(name)).value.equals(value));
  });
  await scenario('delete', async () => {
    await cache.set(key('gone'), Buffer.from('x'));
    assert.equal(await cache.delete(key('gone')), true);
    assert.equal((await cache.get(key('gone'))).value, null);
  });
  await scenario('expiry', async () => {
    await cache.set(key('expiring'), Buffer.from('x'), { ttl: 100 });
    assert((await left()) > 99_000);
    assert.equal(await cache.expire(key('expiring'), 5), true);
    assert((await left()) <= 5_000);
    assert.equal(await cache.expire(key('expiring'), 0), true);
    assert.equal(await left(), 0);
    await cache.set(key('expiring'), Buffer.from('x'), { ttl: 0.03 });
    await until(async () => (await cache.get(key('expiring'))).value === null);
  });
  await scenario('batch', async () => {
    const entries = Array.from({ length: MANY }, (_, i) => [key(i), Buffer.from(`${i}`)]);
    const keys = entries.map(([name]) => name);
    assert.deepEqual(await cache.setMany(entries), []);
    const values = await cache.getMany([...keys, key('missing')]);
    assert.deepEqual(values.map(text), [...entries.map(([, value]) => text(value)), null]);
    assert.equal(await cache.deleteMany(keys), MANY);
  });
  await scenario('pipeline', async () => {
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    const sets = await cache.pipeline(numbers.map((i) => ({ set: { key: key(`p${i}`), value: Buffer.from(`${i}`) } })));
    assert(sets.every((result) => result.set));
    const gets = await cache.pipeline(numbers.map((i) => ({ get: { key: key(`p${i}`), consistency: 'CONSISTENCY_QUORUM' } })));
    assert.deepEqual(gets.map((result) => text(result.get.value)), numbers.map(String));
  });
  await scenario('level', async () => {
    const stored = await cache.set(key('level'), Buffer.from('x'), { consistency: 'ALL' });
    assert.equal(stored.reached, 'CONSISTENCY_ALL');
    const { value, outcome } = await cache.get(key('level'), 'QUORUM');
    assert.deepEqual([text(value), outcome.reached, outcome.answered], ['x', 'CONSISTENCY_QUORUM', 2]);
  });
  await scenario('refusal', async () => {
    await refused(() => cache.get(Buffer.alloc(70_000)), 'exceeds the limit of 65536 bytes');
    await assert.rejects(new Cache(NODES, { deadline: 0 }).get(key('a')), { code: grpc.status.DEADLINE_EXCEEDED });
  });
}

async function kill() {
  const cache = new Cache(NODES);
  const write = (name, value) => cache.set(key(name), Buffer.from(value));
  const read = async (name) => text((await cache.get(key(name))).value);
  await scenario('node killed', () => nodeKilled('grpc-js', true, write, read));
}

// A cluster that asks for a password and speaks nothing but TLS.
async function secured() {
  const { TRY_TLS_CA: ca, TRY_PASSWORD: token } = process.env;
  const open = (options) => new Cache(NODES, { name: 'localhost', ...options });
  await scenario('password, TLS', async () => {
    const cache = open({ ca, token });
    await cache.set(key('secret'), Buffer.from('secret'));
    assert.equal(text((await cache.get(key('secret'))).value), 'secret');
    for (const options of [{ ca, token: 'not the password' }, { ca }]) {
      await assert.rejects(open(options).get(key('secret')), { code: grpc.status.UNAUTHENTICATED });
    }
    await assert.rejects(open({ token }).get(key('secret')), { code: grpc.status.UNAVAILABLE });
  });
}

main(`grpc-js ${require('@grpc/grpc-js/package.json').version}`, { basics, kill, secured });
