"""Drives an engine with aiodocker at API 1.20: containers, execs, attach, cp, a pull, a build, events.

    drive.py unix:///path/to/engine.sock registry/name:tag

The engine has the image busybox and reaches the registry. Anything that is not as it should be ends this with an
exception.
"""

import asyncio
import io
import sys
import tarfile

import aiodocker
from aiodocker.exceptions import DockerError


def same(found, wanted):
    assert found == wanted, "%r, wanted %r" % (found, wanted)


async def refused(status, work):
    try:
        await work
    except DockerError as error:
        same(error.status, status)
        return
    raise AssertionError("no %d" % status)


def packed(name, content):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    target.seek(0)
    return target


async def everything(stream):
    """What a stream brings, by the number of its output."""
    outputs = {1: b"", 2: b""}
    while True:
        piece = await stream.read_out()
        if piece is None:
            return outputs[1], outputs[2]
        outputs[piece.stream] += piece.data


async def life(docker):
    container = await docker.containers.create(
        {"Image": "busybox", "Cmd": ["sh", "-c", "echo $A; sleep 600"], "Env": ["A=b"], "Labels": {"kind": "aio"},
         "HostConfig": {"Memory": 64 << 20}}, name="aio")
    await container.start()
    found = await docker.containers.list(filters='{"label":["kind=aio"]}')
    same([one.id for one in found], [container.id])
    same((await container.show())["HostConfig"]["Memory"], 64 << 20)
    async for line in container.log(stdout=True, follow=True):
        same(line, "b\n")
        break
    await container.pause()
    same((await container.show())["State"]["Paused"], True)
    await container.unpause()
    await container.rename("renamed")
    assert (await container.top())["Processes"], "no processes"
    same((await container.stats(stream=False))[0]["memory_stats"]["limit"], 64 << 20)
    await refused(409, docker.containers.create({"Image": "busybox", "Cmd": ["true"]}, name="renamed"))
    await refused(404, docker.containers.get("nosuch"))
    return container


async def execs(container):
    made = await container.exec(["sh", "-c", "read line; echo got $line; echo err >&2; exit 6"], stdin=True)
    async with made.start() as stream:
        await stream.write_in(b"word\n")
        same(await everything(stream), (b"got word\n", b"err\n"))
    same((await made.inspect())["ExitCode"], 6)
    made = await container.exec("stty size", tty=True)
    async with made.start() as stream:
        assert (await everything(stream))[0].endswith(b"\r\n")


async def streams(docker):
    container = await docker.containers.create(
        {"Image": "busybox", "Cmd": ["sh", "-c", "read x; echo $x; echo wrong >&2; printf end; exit 4"],
         "OpenStdin": True, "StdinOnce": True, "AttachStdin": True})
    async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
        await container.start()
        await stream.write_in(b"through\n")
        same(await everything(stream), (b"through\nend", b"wrong\n"))
    same(await container.wait(), {"StatusCode": 4})
    same(await container.log(stdout=True), ["through\n", "end"])
    same(await container.log(stderr=True), ["wrong\n"])
    await container.delete(v=True)


async def copies(container):
    await container.put_archive("/tmp", packed("put", b"hello").getvalue())
    with await container.get_archive("/tmp/put") as archive:
        same(archive.extractfile("put").read(), b"hello")
    await refused(404, container.get_archive("/nosuch"))
    image = await container.commit(repository="aio", tag="kept")
    same(image["Id"], (await container.docker.images.inspect("aio:kept"))["Id"])
    await container.docker.images.delete("aio:kept")


async def images(docker, pulled):
    said = [one async for one in docker.images.pull(pulled, stream=True)]
    assert any(one.get("progressDetail") for one in said) and not any("error" in one for one in said), said
    same((await docker.images.inspect(pulled))["RepoTags"], [pulled])
    assert pulled in sum([one["RepoTags"] for one in await docker.images.list()], []), "not listed"
    await docker.images.delete(pulled)
    await refused(404, docker.images.inspect(pulled))
    said = await docker.images.build(fileobj=packed("Dockerfile", b"FROM busybox\nLABEL made=aio\nRUN echo ran\n"),
                                     encoding="identity", tag="aio:built", rm=True)
    assert {"stream": "ran\n"} in said, said
    same((await docker.images.inspect("aio:built"))["Config"]["Labels"], {"made": "aio"})
    await docker.images.tag("aio:built", "aio", tag="again")
    for name in ["aio:built", "aio:again"]:
        await docker.images.delete(name)


async def events(docker):
    heard = docker.events.subscribe(filters='{"event":["die"]}', since="1")
    container = await docker.containers.run({"Image": "busybox", "Cmd": ["sh", "-c", "exit 4"]})
    while True:
        event = await heard.get()
        if event["id"] == container.id:
            same((event["status"], event["from"]), ("die", "busybox"))
            same(event["Actor"]["Attributes"]["exitCode"], "4")
            break
    await docker.events.stop()
    await container.delete()


async def main():
    async with aiodocker.Docker(url=sys.argv[1], api_version="v1.20") as docker:
        same((await docker.version())["ApiVersion"], "1.55")
        same((await docker.system.info())["Driver"], "overlay")
        container = await life(docker)
        await execs(container)
        await streams(docker)
        await copies(container)
        await images(docker, sys.argv[2])
        await events(docker)
        await container.kill()
        same(await container.wait(), {"StatusCode": 137})
        await container.delete(v=True)
        same(await docker.containers.list(all=1), [])


asyncio.run(main())
print("aiodocker: all is well")
