// A client of Shoal over gRPC, made from `proto/proto/kv.proto` when it runs. As a program it shows itself at work.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = path.join(__dirname, '../../../proto/proto/kv.proto');
const definition = loader.loadSync(PROTO, { longs: String, enums: String, defaults: true, oneofs: true });
const { Kv } = grpc.loadPackageDefinition(definition).shoal.kv.v1;

// Every node serves every key. Reads that meet a dying node are sent to another; a write that may have happened is not
// written again behind its caller's back.
const SERVICE_CONFIG = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: ['Get', 'BatchGet'].map((method) => ({ service: 'shoal.kv.v1.Kv', method })),
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: '0.02s',
        maxBackoff: '0.2s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
};

// Levels are named as in the .proto file.
const level = (name) => `CONSISTENCY_${name}`;
const milliseconds = (seconds) => Math.round(seconds * 1000);
const valueOf = (answer) => answer.value ?? null;

// Some keys of a batch or a pipeline may fail while others do not: their failures are returned in their places.
class Cache {
  // `nodes` are IP addresses with ports, `deadline` is in seconds. A cluster that asks for them is shown `token`, or its
  // password; one that speaks TLS must have a certificate for `name`, signed by the CA in the file `ca`.
  constructor(nodes, { consistency = 'QUORUM', deadline = 2, token, ca, name = 'shoal' } = {}) {
    const { createInsecure, createSsl } = grpc.credentials;
    this.stub = new Kv(`ipv4:${nodes.join(',')}`, ca ? createSsl(fs.readFileSync(ca)) : createInsecure(), {
      'grpc.service_config': JSON.stringify(SERVICE_CONFIG),
      'grpc.max_reconnect_backoff_ms': 1000,
      // Otherwise it is the whole list of addresses, which is no valid authority in HTTP/2.
      'grpc.default_authority': name,
      ...(ca && { 'grpc.ssl_target_name_override': name }),
    });
    this.metadata = new grpc.Metadata();
    if (token) this.metadata.set('authorization', `Bearer ${token}`);
    Object.assign(this, { consistency, deadline });
  }

  call(method, request, consistency = this.consistency) {
    const options = { deadline: Date.now() + milliseconds(this.deadline) };
    return promisify(this.stub[method]).call(this.stub, { ...request, consistency: level(consistency) }, this.metadata, options);
  }

  // The value, or null, and what the answer is worth.
  async get(key, consistency) {
    const answer = await this.call('Get', { key }, consistency);
    return { value: valueOf(answer), outcome: answer.outcome };
  }

  // Stores a value for `ttl` seconds, 0 being for good.
  async set(key, value, { ttl = 0, consistency } = {}) {
    return (await this.call('Set', { key, value, ttlMs: milliseconds(ttl) }, consistency)).outcome;
  }

  // Whether there was a value.
  async delete(key, consistency) {
    return (await this.call('Delete', { key }, consistency)).existed;
  }

  // Lets a value live for `ttl` seconds from now, 0 being for good. Whether there was one.
  async expire(key, ttl, consistency) {
    return (await this.call('Expire', { key, ttlMs: milliseconds(ttl) }, consistency)).existed;
  }

  async getMany(keys, consistency) {
    const { items } = await this.call('BatchGet', { keys }, consistency);
    return items.map((item) => item.failure ?? valueOf(item.answer));
  }

  // The failures, which are best none.
  async setMany(entries, { ttl = 0, consistency } = {}) {
    const timed = entries.map(([key, value]) => ({ key, value, ttlMs: milliseconds(ttl) }));
    const { items } = await this.call('BatchSet', { entries: timed }, consistency);
    return items.filter((item) => item.failure).map((item) => item.failure);
  }

  // How many of them had a value.
  async deleteMany(keys, consistency) {
    const { items } = await this.call('BatchDelete', { keys }, consistency);
    return items.filter((item) => item.answer?.existed).length;
  }

  // Sends any number of operations down one stream, `many` to a message; their results in the same order.
  async pipeline(operations, many = 100) {
    const numbered = operations.map((operation, id) => ({ ...operation, id }));
    const stream = this.stub.Pipeline(this.metadata, { deadline: Date.now() + 30_000 });
    for (let start = 0; start < numbered.length; start += many) {
      stream.write({ operations: numbered.slice(start, start + many) });
    }
    stream.end();
    // Results come in any order; the stream ends with the last of them.
    const results = [];
    for await (const answer of stream) results.push(...answer.results);
    return results.sort((a, b) => a.id - b.id);
  }
}

async function main(nodes) {
  const cache = new Cache(nodes);
  await cache.set(Buffer.from('greeting'), Buffer.from('hello'), { ttl: 60 });
  const { value, outcome } = await cache.get(Buffer.from('greeting'));
  console.log(`${value} at ${outcome.reached}: ${outcome.answered} of ${outcome.asked} owners, ${outcome.ttlMs} ms left`);
  const [a, b, missing] = ['a', 'b', 'missing'].map((key) => Buffer.from(key));
  console.log('failures:', await cache.setMany([[a, Buffer.from('1')], [b, Buffer.from('2')]], { consistency: 'ALL' }));
  console.log('many:', (await cache.getMany([a, b, missing])).map((one) => one?.toString() ?? null));
  const sets = Array.from({ length: 1000 }, (_, n) => ({ set: { key: Buffer.from(`n:${n}`), value: Buffer.from(`${n}`) } }));
  console.log('piped:', (await cache.pipeline(sets)).filter((result) => result.set).length);
  console.log('deleted:', await cache.deleteMany([a, b, missing]));
  const impatient = new Cache(nodes, { deadline: 0 });
  for (const [wrong, call] of [
    ['a key too long', () => cache.get(Buffer.alloc(70_000))],
    ['no time at all', () => impatient.get(a)],
  ]) {
    const error = await call().then(() => null, (error) => error);
    if (error === null) throw new Error(`${wrong}: it was not refused`);
    console.log(`${wrong}: ${grpc.status[error.code]}: ${error.details}`);
  }
}

module.exports = { Cache, grpc };

if (require.main === module) {
  const given = process.argv.slice(2);
  main(given.length > 0 ? given : ['127.0.0.1:7381', '127.0.0.1:7481', '127.0.0.1:7581']).then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}
