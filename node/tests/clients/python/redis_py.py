"""redis-py: one node or the cluster, blocking or with asyncio, RESP2 or RESP3."""

import os
import time

import redis
import redis.asyncio
from harness import PATIENCE, addresses, done, expect, main, node_killed, refused, scenario

VARIANTS = {
    "resp2": (redis.Redis, 2),
    "resp3": (redis.Redis, 3),
    "cluster": (redis.RedisCluster, 3),
    "asyncio": (redis.asyncio.Redis, 3),
    "asyncio-cluster": (redis.asyncio.RedisCluster, 3),
}
MANY = 100


def connect(variant, **settings):
    kind, protocol = VARIANTS[variant]
    host, port = addresses("RESP")[0]
    if "cluster" in variant:
        node = redis.asyncio.cluster.ClusterNode if "asyncio" in variant else redis.cluster.ClusterNode
        settings["startup_nodes"] = [node(host, port) for host, port in addresses("RESP")]
    else:
        settings |= {"host": host, "port": port}
    return kind(protocol=protocol, socket_timeout=2, socket_connect_timeout=2, **settings)


async def basics(variant):
    client = connect(variant)
    cluster = "cluster" in variant

    async def connected():
        expect(await done(client.ping()), True)

    async def set_get():
        expect(await done(client.set(f"py:{variant}", "hello")), True)
        expect(await done(client.get(f"py:{variant}")), b"hello")
        expect(await done(client.get(f"py:{variant}:missing")), None)

    async def binary():
        key, value = b"py:\x00\xff\r\n:" + variant.encode(), bytes(range(256)) * 256
        await done(client.set(key, value))
        expect(await done(client.get(key)), value)

    async def delete():
        await done(client.set(f"py:{variant}:gone", "x"))
        expect(await done(client.delete(f"py:{variant}:gone")), 1)
        expect(await done(client.exists(f"py:{variant}:gone")), 0)

    async def expiry():
        key = f"py:{variant}:expiring"
        await done(client.set(key, "x", ex=100))
        expect(await done(client.ttl(key)) in (99, 100), True)
        expect(await done(client.pexpire(key, 5000)), 1)
        expect(4000 < await done(client.pttl(key)) <= 5000, True)
        expect(await done(client.persist(key)), 1)
        expect(await done(client.ttl(key)), -1)
        await done(client.set(key, "x", px=30))
        deadline = time.time() + PATIENCE
        while await done(client.get(key)) is not None:
            expect(time.time() < deadline, True)

    async def batch():
        values = {f"py:{variant}:{i}": str(i).encode() for i in range(MANY)}
        # What spans slots has names of its own in redis-py's cluster mode.
        mset, mget = (client.mset_nonatomic, client.mget_nonatomic) if cluster else (client.mset, client.mget)
        await done(mset(values))
        expect(await done(mget([*values, "py:missing"])), [*values.values(), None])
        expect(await done(client.delete(*values)), MANY)

    async def pipeline():
        pipe = client.pipeline(transaction=False) if not cluster else client.pipeline()
        for i in range(500):
            pipe.set(f"py:{variant}:p{i}", i)
            pipe.get(f"py:{variant}:p{i}")
        expect(await done(pipe.execute()), [True if i % 2 == 0 else b"%d" % (i // 2) for i in range(1000)])

    async def level():
        expect(await done(client.execute_command("CL", "QUORUM", "SET", f"py:{variant}:level", "x")), b"OK")
        expect(await done(client.execute_command("CL", "ALL", "GET", f"py:{variant}:level")), b"x")
        await refused(
            lambda: client.execute_command("CL", "MOST", "GET", "x"), redis.ResponseError, "unknown consistency level"
        )
        if variant == "asyncio-cluster":
            return "per command only"
        careful = at_quorum(variant)
        # A command without a key needs to be told a node in cluster mode.
        aimed = {"target_nodes": careful.get_random_node()} if cluster else {}
        expect(await done(careful.execute_command("CL", **aimed)), b"QUORUM")
        await close(careful)

    async def refusal():
        # In cluster mode redis-py itself refuses what COMMAND does not list, such as INCR.
        call = (lambda: client.set("x", "y", nx=True)) if cluster else (lambda: client.incr("x"))
        await refused(call, redis.ResponseError, "read-modify-write")
        expect(await done(client.ping()), True)

    await scenario("connect", connected)
    await scenario("set, get", set_get)
    await scenario("binary", binary)
    await scenario("delete", delete)
    await scenario("expiry", expiry)
    await scenario("batch", batch)
    await scenario("pipeline", pipeline)
    await scenario("level", level)
    await scenario("refusal", refusal)
    await close(client)


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
