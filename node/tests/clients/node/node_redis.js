// node-redis: one node or the cluster.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const redis = require('redis');
const { addresses, main, nodeKilled, refused, scenario, until } = require('./harness');

const MANY = 100;

async function connect(variant, password, tls = {}) {
  const settings = { RESP: variant === 'resp2' ? 2 : 3, password, commandOptions: { timeout: 2000 } };
  const socket = { connectTimeout: 2000, reconnectStrategy: () => 200, ...tls };
  const [node, ...others] = addresses('RESP').map(({ host, port }) => ({ socket: { host, port, ...socket } }));
  const client =
    variant === 'cluster'
      ? redis.createCluster({
          rootNodes: [node, ...others],
          defaults: { socket, password },
          // Otherwise it asks for the new owners of slots only after five seconds.
          topologyRefreshOnReconnectionAttemptStrategy: 500,
          ...settings,
        })
      : redis.createClient({ ...node, ...settings });
  client.on('error', () => {}); // Commands tell of errors themselves.
  await client.connect();
  return client;
}

// A command that node-redis does not know; in cluster mode it is told the key, by which it finds the node.
function sender(client, variant) {
  return (key, isRead, ...words) =>
    variant === 'cluster' ? client.sendCommand(key, isRead, words) : client.sendCommand(words);
}

async function basics(variant) {
  const client = await connect(variant);
  const send = sender(client, variant);
  const key = (name) => `node-redis:${variant}:${name}`;
  const any = key('any');

  await scenario('connect', async () => assert.equal(await send(any, true, 'PING'), 'PONG'));
  await scenario('set, get', async () => {
    assert.equal(await client.set(key('a'), 'hello'), 'OK');
    assert.equal(await client.get(key('a')), 'hello');
    assert.equal(await client.get(key('missing')), null);
  });
  await scenario('binary', async () => {
    const bytes = client.withTypeMapping({ [redis.RESP_TYPES.BLOB_STRING]: Buffer });
    const [name, value] = [Buffer.from(`node-redis:\0\xff\r\n${variant}`, 'latin1'), Buffer.alloc(65536, Uint8Array.from({ length: 256 }, (_, i) => i))];
    await bytes.set(name, value);
    assert((await bytes.get(name)).equals(value));
  });
  await scenario('delete', async () => {
    await client.set(key('gone'), 'x');
    assert.equal(await client.del(key('gone')), 1);
    assert.equal(await client.exists(key('gone')), 0);
  });
  await scenario('expiry', async () => {
    await client.set(key('expiring'), 'x', { expiration: { type: 'EX', value: 100 } });
    assert([99, 100].includes(await client.ttl(key('expiring'))));
    assert.equal(Number(await client.pExpire(key('expiring'), 5000)), 1);
    const left = await client.pTTL(key('expiring'));
    assert(left > 4000 && left <= 5000, `${left} ms left`);
    assert.equal(await client.persist(key('expiring')), 1);
    assert.equal(await client.ttl(key('expiring')), -1);
    await client.set(key('expiring'), 'x', { expiration: { type: 'PX', value: 30 } });
    await until(async () => (await client.get(key('expiring'))) === null);
  });
  await scenario('batch', async () => {
    // It sends commands of many keys by the first of them.
    const keys = Array.from({ length: MANY }, (_, i) => key(i));
    await client.mSet(keys.map((name, i) => [name, `${i}`]));
    assert.deepEqual(await client.mGet([...keys, key('missing')]), [...keys.map((_, i) => `${i}`), null]);
    assert.equal(await client.del(keys), MANY);
  });
  await scenario('pipeline', async () => {
    // What is asked for in one turn of the event loop goes out together.
    const calls = [];
    for (let i = 0; i < 500; i++) calls.push(client.set(key(`p${i}`), `${i}`), client.get(key(`p${i}`)));
    assert.deepEqual(await Promise.all(calls), Array.from({ length: 1000 }, (_, i) => (i % 2 ? `${(i - 1) / 2}` : 'OK')));
  });
  await scenario('level', async () => {
    assert.equal(await send(key('level'), false, 'CL', 'QUORUM', 'SET', key('level'), 'x'), 'OK');
    assert.equal(await send(key('level'), true, 'CL', 'ALL', 'GET', key('level')), 'x');
    await refused(() => send(any, true, 'CL', 'MOST', 'GET', 'x'), 'unknown consistency level');
    const node = variant === 'cluster' ? await client.nodeClient(client.masters[0]) : client;
    assert.equal(await node.sendCommand(['CL', 'QUORUM']), 'OK');
    assert.equal(await node.sendCommand(['CL']), 'QUORUM');
    assert.equal(await node.get(key('level')), 'x');
  });
  await scenario('refusal', async () => {
    await refused(() => client.incr(key('n')), 'read-modify-write');
    assert.equal(await send(any, true, 'PING'), 'PONG');
  });
}

async function kill(variant) {
  const client = await connect(variant);
  const send = sender(client, variant);
  const write = (key, value) => send(key, false, 'CL', 'QUORUM', 'SET', key, value);
  const read = (key) => send(key, true, 'CL', 'QUORUM', 'GET', key);
  await scenario('node killed', () => nodeKilled(`node-redis ${variant}`, variant === 'cluster', write, read));
}

// A cluster that asks for a password and speaks nothing but TLS.
async function secured(variant) {
  const [password, tls] = [process.env.TRY_PASSWORD, { tls: true, ca: fs.readFileSync(process.env.TRY_TLS_CA) }];
  await scenario('password, TLS', async () => {
    const client = await connect(variant, password, tls);
    await client.set('node-redis:secret', 'secret');
    assert.equal(await client.get('node-redis:secret'), 'secret');
    for (const [word, way] of [['not the password', tls], [undefined, tls], [password, {}]]) {
      // It goes on trying to connect.
      const attempt = connect(variant, word, way).then((stranger) => stranger.get('node-redis:secret'));
      await assert.rejects(Promise.race([attempt, sleep(1000).then(() => { throw new Error('no answer'); })]));
    }
  });
}

main(`node-redis ${require('redis/package.json').version}`, { basics, kill, secured });
