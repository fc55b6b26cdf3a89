"""What is tried with every client, whatever it calls its methods."""

import asyncio
import time

from harness import PATIENCE, done, expect, scenario

MANY = 100


class Methods:
    """A client's own methods, asynchronous or not. Keys and values are bytes, times are milliseconds."""

    # What its keys begin with.
    name: bytes

    def connect(self):
        """Returns once a node has answered; what it returns is worth a note."""
        raise NotImplementedError

    def set(self, key, value, ttl=None):
        raise NotImplementedError

    def get(self, key):
        """The value, or None."""
        raise NotImplementedError

    def exists(self, key):
        raise NotImplementedError

    def delete(self, *keys):
        """How many there were."""
        raise NotImplementedError

    def left(self, key):
        """How long a value still lives; None if for ever."""
        raise NotImplementedError

    def expire(self, key, ttl):
        """Whether it is there; for ever without a time."""
        raise NotImplementedError

    def set_many(self, values):
        raise NotImplementedError

    def get_many(self, keys):
        raise NotImplementedError

    def pipeline(self, values):
        """Sets all and gets all, many at once; what was got."""
        raise NotImplementedError

    def level(self):
        """Names levels in the client's own way; what it returns is worth a note."""
        raise NotImplementedError

    def refusal(self):
        """Has the node refuse something, and goes on."""
        raise NotImplementedError


async def basics(client):
    name = client.name

    async def set_get():
        await done(client.set(name, b"hello"))
        expect(await done(client.get(name)), b"hello")
        expect(await done(client.get(name + b":missing")), None)

    async def binary():
        key, value = name + b":\x00\xff\r\n", bytes(range(256)) * 256
        await done(client.set(key, value))
        expect(await done(client.get(key)), value)

    async def delete():
        key = name + b":gone"
        await done(client.set(key, b"x"))
        expect(await done(client.delete(key)), 1)
        expect(await done(client.exists(key)), False)

    async def expiry():
        key = name + b":expiring"
        await done(client.set(key, b"x", 100_000))
        expect(98_000 < await done(client.left(key)) <= 100_000, True)
        expect(await done(client.expire(key, 5_000)), True)
        expect(4_000 < await done(client.left(key)) <= 5_000, True)
        expect(await done(client.expire(key, None)), True)
        expect(await done(client.left(key)), None)
        await done(client.set(key, b"x", 30))
        deadline = time.time() + PATIENCE
        while await done(client.get(key)) is not None:
            expect(time.time() < deadline, True)
            await asyncio.sleep(0.001)

    async def batch():
        values = {name + b":%d" % i: b"%d" % i for i in range(MANY)}
        await done(client.set_many(values))
        expect(await done(client.get_many([*values, name + b":missing"])), [*values.values(), None])
        expect(await done(client.delete(*values)), MANY)

    async def pipeline():
        values = {name + b":p%d" % i: b"%d" % i for i in range(500)}
        expect(await done(client.pipeline(values)), [*values.values()])

    await scenario("connect", client.connect)
    await scenario("set, get", set_get)
    await scenario("binary", binary)
    await scenario("delete", delete)
    await scenario("expiry", expiry)
    await scenario("batch", batch)
    await scenario("pipeline", pipeline)
    await scenario("level", client.level)
    await scenario("refusal", client.refusal)
