"""redis-py: one node or the cluster, blocking or with asyncio, RESP2 or RESP3."""

import os

import redis
import redis.asyncio
import scenarios
from harness import addresses, done, expect, main, node_killed, refused, scenario
from scenarios import Methods

VARIANTS = {
    "resp2": (redis.Redis, 2),
    "resp3": (redis.Redis, 3),
    "cluster": (redis.RedisCluster, 3),
    "asyncio": (redis.asyncio.Redis, 3),
    "asyncio-cluster": (redis.asyncio.RedisCluster, 3),
}


def connect(variant, **settings):
    kind, protocol = VARIANTS[variant]
    host, port = addresses("RESP")[0]
    if "cluster" in variant:
        node = redis.asyncio.cluster.ClusterNode if "asyncio" in variant else redis.cluster.ClusterNode
        settings["startup_nodes"] = [node(host, port) for host, port in addresses("RESP")]
    else:
        settings |= {"host": host, "port": port}
    return kind(protocol=protocol, socket_timeout=2, socket_connect_timeout=2, **settings)


class Redis(Methods):
    def __init__(self, variant):
        self.variant, self.cluster, self.redis = variant, "cluster" in variant, connect(variant)
        self.name = f"py:{variant}".encode()

    async def connect(self):
        expect(await done(self.redis.ping()), True)

    async def set(self, key, value, ttl=None):
        expect(await done(self.redis.set(key, value, px=ttl)), True)

    def get(self, key):
        return self.redis.get(key)

    async def exists(self, key):
        return bool(await done(self.redis.exists(key)))

    def delete(self, *keys):
        return self.redis.delete(*keys)

    async def left(self, key):
        # In seconds first, to have both tried.
        if await done(self.redis.ttl(key)) == -1:
            return None
        return await done(self.redis.pttl(key))

    async def expire(self, key, ttl):
        return bool(await done(self.redis.persist(key) if ttl is None else self.redis.pexpire(key, ttl)))

    # What spans slots has names of its own in redis-py's cluster mode.
    def set_many(self, values):
        return self.redis.mset_nonatomic(values) if self.cluster else self.redis.mset(values)

    def get_many(self, keys):
        return self.redis.mget_nonatomic(keys) if self.cluster else self.redis.mget(keys)

    async def pipeline(self, values):
        pipe = self.redis.pipeline() if self.cluster else self.redis.pipeline(transaction=False)
        for key, value in values.items():
            pipe.set(key, value)
            pipe.get(key)
        answers = await done(pipe.execute())
        expect(answers[::2], [True] * len(values))
        return answers[1::2]

    async def level(self):
        key, command = self.name + b":level", self.redis.execute_command
        expect(await done(command("CL", "QUORUM", "SET", key, "x")), b"OK")
        expect(await done(command("CL", "ALL", "GET", key)), b"x")
        await refused(
            lambda: command("CL", "MOST", "GET", "x"), redis.ResponseError, "unknown consistency level"
        )
        if self.variant == "asyncio-cluster":
            return "per command only"
        careful = at_quorum(self.variant)
        # A command without a key needs to be told a node in cluster mode.
        aimed = {"target_nodes": careful.get_random_node()} if self.cluster else {}
        expect(await done(careful.execute_command("CL", **aimed)), b"QUORUM")
        await close(careful)

    async def refusal(self):
        # In cluster mode redis-py itself refuses what COMMAND does not list, such as INCR.
        call = (lambda: self.redis.set("x", "y", nx=True)) if self.cluster else (lambda: self.redis.incr("x"))
        await refused(call, redis.ResponseError, "read-modify-write")
        await self.connect()


async def basics(variant):
    client = Redis(variant)
    await scenarios.basics(client)
    await close(client.redis)


def at_quorum(variant):
    """A client all of whose connections are at QUORUM."""

    def blocking(connection):
        if variant != "cluster":  # There it has happened before.
            connection.on_connect()
        connection.send_command("CL", "QUORUM")
        connection.read_response()

    async def asynchronous(connection):
        await connection.on_connect()
        await connection.send_command("CL", "QUORUM")
        await connection.read_response()

    return connect(variant, redis_connect_func=asynchronous if "asyncio" in variant else blocking)


async def secured(variant):
    """A cluster that asks for a password and speaks nothing but TLS."""
    tls = {"ssl": True, "ssl_ca_certs": os.environ["TRY_TLS_CA"]}

    async def walk_in():
        client = connect(variant, password=os.environ["TRY_PASSWORD"], **tls)
        expect(await done(client.set(f"py:{variant}", "secret")), True)
        expect(await done(client.get(f"py:{variant}")), b"secret")
        await close(client)

    async def stay_out(**settings):
        async def attempt():
            await done(connect(variant, **settings).get("x"))

        # What a cluster client raises where it cannot connect is no RedisError.
        await refused(attempt, (redis.RedisError, redis.exceptions.RedisClusterException), "")

    async def password_tls():
        await walk_in()
        await stay_out(password="not the password", **tls)
        await stay_out(**tls)
        await stay_out(password=os.environ["TRY_PASSWORD"])

    await scenario("password, TLS", password_tls)


async def close(client):
    await done(client.aclose() if hasattr(client, "aclose") else client.close())


async def kill(variant):
    if variant == "asyncio-cluster":
        client = connect(variant)
        write = lambda key, value: client.execute_command("CL", "QUORUM", "SET", key, value)
        get = lambda key: client.execute_command("CL", "QUORUM", "GET", key)
    else:
        client = at_quorum(variant)
        write, get = client.set, client.get

    async def read(key):
        value = await done(get(key))
        return value and value.decode()

    name, several = f"redis-py {variant}", "cluster" in variant
    await scenario("node killed", lambda: node_killed(name, several, write, read))


main(f"redis-py {redis.__version__}", {"basics": basics, "kill": kill, "secured": secured})
