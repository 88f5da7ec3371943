"""Drives an engine with docker-py 1.5.0, a client of API 1.20's time: containers, execs, images, a pull, events.

    drive.py unix:///path/to/engine.sock registry/name:tag

The engine has the image busybox and reaches the registry. Anything that is not as it should be ends this with an
exception.
"""

import io
import json
import sys
import tarfile
import time

import docker
from docker.errors import APIError, NotFound

client = docker.Client(base_url=sys.argv[1], version="1.20", timeout=30)


def same(found, wanted):
    assert found == wanted, "%r, wanted %r" % (found, wanted)


def refused(status, call):
    try:
        call()
    except APIError as error:
        same(error.response.status_code, status)
        return
    raise AssertionError("no %d" % status)


def life():
    made = client.create_container(
        "busybox", ["sh", "-c", "echo $A; sleep 600"], name="old", environment={"A": "b"}, labels={"kind": "old"},
        host_config=client.create_host_config(mem_limit="64m", restart_policy={"Name": "no"}))
    same(made["Warnings"], None)
    container = made["Id"]
    client.start(container)
    same([one["Id"] for one in client.containers(filters={"label": "kind=old"})], [container])
    same(client.inspect_container("old")["HostConfig"]["Memory"], 64 << 20)
    same(next(client.logs(container, stream=True)), b"b\n")
    client.pause(container)
    same(client.inspect_container(container)["State"]["Paused"], True)
    client.unpause(container)
    client.rename(container, "older")
    client.resize(container, 30, 100)
    assert client.top("older")["Processes"], client.top("older")
    sample = next(client.stats(container, decode=True))
    same(sample["memory_stats"]["limit"], 64 << 20)
    refused(409, lambda: client.create_container("busybox", "true", name="older"))
    refused(404, lambda: client.inspect_container("nosuch"))
    return container


def execs(container):
    made = client.exec_create(container, ["sh", "-c", "echo out; echo err >&2; exit 6"])
    same(b"".join(sorted(client.exec_start(made["Id"], stream=True))), b"err\nout\n")
    same(client.exec_inspect(made["Id"])["ExitCode"], 6)
    made = client.exec_create(container, "stty size", tty=True)
    assert client.exec_start(made["Id"], tty=True).endswith(b"\r\n")
    made = client.exec_create(container, "touch /made")
    client.exec_start(made["Id"], detach=True)


def streams():
    container = client.create_container("busybox", ["sh", "-c", "seq 1 3; echo wrong >&2; printf end; exit 4"])
    output = client.attach(container, stream=True, stderr=False)
    client.start(container)
    same(b"".join(output), b"1\n2\n3\nend")
    same(client.wait(container), 4)
    same(client.logs(container, stdout=False), b"wrong\n")
    same(client.logs(container, stderr=False, tail=1), b"end")
    client.remove_container(container, v=True)


def copies(container):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("put")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    same(client.put_archive(container, "/tmp", packed.getvalue()), True)
    answer, stat = client.get_archive(container, "/tmp/put")
    same((stat["name"], stat["size"]), ("put", 5))
    for raw in (answer, client.copy(container, "/tmp/put")):
        with tarfile.open(fileobj=io.BytesIO(raw.read())) as archive:
            same(archive.extractfile("put").read(), b"hello")
    assert {"Path": "/tmp/put", "Kind": 1} in client.diff(container), client.diff(container)
    same(client.commit(container, repository="old", tag="kept")["Id"], client.inspect_image("old:kept")["Id"])
    client.remove_image("old:kept")


def objects(stream):
    """The objects of a stream of work; docker-py gives one a chunk."""
    return [json.loads(piece.decode()) for piece in stream]


def images(pulled):
    said = objects(client.pull(pulled, stream=True))
    assert any("progressDetail" in one for one in said) and not any("error" in one for one in said), said
    same(client.inspect_image(pulled)["RepoTags"], [pulled])
    same([one["Id"] for one in client.images(name=pulled)], [client.inspect_image(pulled)["Id"]])
    assert client.history(pulled), "no history"
    client.remove_image(pulled)
    refused(404, lambda: client.inspect_image(pulled))
    said = objects(client.build(fileobj=io.BytesIO(b"FROM busybox\nLABEL made=old\nRUN echo ran\n"), tag="old:built",
                                rm=True))
    assert {"stream": "ran\n"} in said, said
    same(client.inspect_image("old:built")["Config"]["Labels"], {"made": "old"})
    same(client.tag("old:built", "old", "again"), True)
    with tarfile.open(fileobj=io.BytesIO(client.get_image("old:again").read())) as archive:
        assert "repositories" in archive.getnames(), archive.getnames()
    for name in ["old:built", "old:again"]:
        client.remove_image(name)


def events():
    # What came before is asked for too, so that no moment is lost.
    listening = client.events(since=int(time.time()) - 1, decode=True, filters={"event": ["die"]})
    container = client.create_container("busybox", ["sh", "-c", "exit 4"])["Id"]
    client.start(container)
    for event in listening:
        if event["id"] == container:
            same((event["status"], event["from"]), ("die", "busybox"))
            break
    client.remove_container(container)
    past = client.events(since=1, until=int(time.time()) + 1, decode=True, filters={"container": [container]})
    same([event["status"] for event in past], ["create", "start", "die", "destroy"])


def main():
    same(client.ping(), "OK")
    same(client.version()["ApiVersion"], "1.55")
    same(client.info()["Driver"], "overlay")
    container = life()
    execs(container)
    streams()
    copies(container)
    images(sys.argv[2])
    events()
    client.kill(container)
    same(client.wait(container), 137)
    client.remove_container(container, v=True)
    same(client.containers(all=True), [])
    try:
        client.logs(container)
        raise AssertionError("logs of a removed container")
    except NotFound:
        pass


main()
print("docker-py 1.5: all is well")
