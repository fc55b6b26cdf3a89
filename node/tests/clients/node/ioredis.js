// ioredis: one node or the cluster.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const Redis = require('ioredis');
const { addresses, main, nodeKilled, refused, scenario, until } = require('./harness');

const MANY = 100;

function connect(variant, secrets = {}) {
  const options = { commandTimeout: 2000, connectTimeout: 2000, maxRetriesPerRequest: 3, ...secrets };
  const client =
    variant === 'cluster' ? new Redis.Cluster(addresses('RESP'), { redisOptions: options, clusterRetryStrategy: () => 100 }) : new Redis({ ...addresses('RESP')[0], ...options });
  client.on('error', () => {}); // Commands tell of errors themselves.
  return client;
}

async function basics(variant) {
  const client = connect(variant);
  const key = (name) => `ioredis:${variant}:${name}`;

  await scenario('connect', async () => assert.equal(await client.ping(), 'PONG'));
  await scenario('set, get', async () => {
    assert.equal(await client.set(key('a'), 'hello'), 'OK');
    assert.equal(await client.get(key('a')), 'hello');
    assert.equal(await client.get(key('missing')), null);
  });
  await scenario('binary', async () => {
    const [name, value] = [Buffer.from(`ioredis:\0\xff\r\n${variant}`, 'latin1'), Buffer.alloc(65536, Uint8Array.from({ length: 256 }, (_, i) => i))];
    await client.set(name, value);
    assert((await client.getBuffer(name)).equals(value));
  });
  await scenario('delete', async () => {
    await client.set(key('gone'), 'x');
    assert.equal(await client.del(key('gone')), 1);
    assert.equal(await client.exists(key('gone')), 0);
  });
  await scenario('expiry', async () => {
    await client.set(key('expiring'), 'x', 'EX', 100);
    assert([99, 100].includes(await client.ttl(key('expiring'))));
    assert.equal(await client.pexpire(key('expiring'), 5000), 1);
    const left = await client.pttl(key('expiring'));
    assert(left > 4000 && left <= 5000, `${left} ms left`);
    assert.equal(await client.persist(key('expiring')), 1);
    assert.equal(await client.ttl(key('expiring')), -1);
    await client.set(key('expiring'), 'x', 'PX', 30);
    await until(async () => (await client.get(key('expiring'))) === null);
  });
  await scenario('batch', async () => {
    const keys = Array.from({ length: MANY }, (_, i) => key(i));
    await client.mset(Object.fromEntries(keys.map((name, i) => [name, `${i}`])));
    assert.deepEqual(await client.mget(...keys, key('missing')), [...keys.map((_, i) => `${i}`), null]);
    assert.equal(await client.del(...keys), MANY);
  });
  await scenario('pipeline', async () => {
    // In cluster mode ioredis sends a pipeline to one node: a tag keeps its keys together.
    const pipeline = client.pipeline();
    for (let i = 0; i < 500; i++) pipeline.set(`{${key('p')}}${i}`, `${i}`).get(`{${key('p')}}${i}`);
    const answers = await pipeline.exec();
    assert.deepEqual(answers, Array.from({ length: 1000 }, (_, i) => [null, i % 2 ? `${(i - 1) / 2}` : 'OK']));
  });
  await scenario('level', async () => {
    assert.equal(await client.call('CL', 'QUORUM', 'SET', key('level'), 'x'), 'OK');
    assert.equal(await client.call('CL', 'ALL', 'GET', key('level')), 'x');
    await refused(() => client.call('CL', 'MOST', 'GET', 'x'), 'unknown consistency level');
    const node = variant === 'cluster' ? client.nodes()[0] : client;
    assert.equal(await node.call('CL', 'QUORUM'), 'OK');
    assert.equal(await node.call('CL'), 'QUORUM');
    assert.equal(await node.get(key('level')), 'x');
  });
  await scenario('refusal', async () => {
    await refused(() => client.incr(key('n')), 'read-modify-write');
    assert.equal(await client.ping(), 'PONG');
  });
}

async function kill(variant) {
  const client = connect(variant);
  const write = (key, value) => client.call('CL', 'QUORUM', 'SET', key, value);
  const read = (key) => client.call('CL', 'QUORUM', 'GET', key);
  await scenario('node killed', () => nodeKilled(`ioredis ${variant}`, variant === 'cluster', write, read));
}

// A cluster that asks for a password and speaks nothing but TLS.
async function secured(variant) {
  const [password, tls] = [process.env.TRY_PASSWORD, { ca: fs.readFileSync(process.env.TRY_TLS_CA) }];
  await scenario('password, TLS', async () => {
    const client = connect(variant, { password, tls });
    await client.set('ioredis:secret', 'secret');
    assert.equal(await client.get('ioredis:secret'), 'secret');
    client.disconnect();
    for (const secrets of [{ password: 'not the password', tls }, { tls }, { password }]) {
      const stranger = connect(variant, secrets);
      // In cluster mode it goes on trying to connect.
      await assert.rejects(Promise.race([stranger.get('ioredis:secret'), sleep(1000).then(() => { throw new Error('no answer'); })]));
      stranger.disconnect();
    }
  });
}

main(`ioredis ${require('ioredis/package.json').version}`, { basics, kill, secured });
