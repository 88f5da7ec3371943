"""Drives an engine with docker-py 2.7.0 at API 1.20: run, logs, exec, attach, cp, pull, build, events.

    drive.py unix:///path/to/engine.sock registry/name:tag

The engine has the image busybox and reaches the registry. Anything that is not as it should be ends this with an exception.
"""

import io
import socket
import struct
import sys
import tarfile
import time
import warnings

warnings.simplefilter("ignore")  # docker-py says that it would rather speak 1.21

import docker  # noqa: E402
from docker.errors import APIError, ContainerError, NotFound  # noqa: E402

client = docker.DockerClient(base_url=sys.argv[1], version="1.20", timeout=30)
api = client.api


def same(found, wanted):
    assert found == wanted, "%r, wanted %r" % (found, wanted)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("no %s" % kind.__name__)


def run():
    same(client.containers.run("busybox", ["echo", "hi"], remove=True), b"hi\n")
    error = raises(ContainerError, lambda: client.containers.run(
        "busybox", ["sh", "-c", "echo wrong >&2; exit 3"], remove=True))
    same((error.exit_status, error.stderr), (3, b"wrong\n"))
    container = client.containers.run("busybox", ["sleep", "600"], detach=True, name="py", mem_limit="64m",
                                      environment={"A": "b"}, labels={"kind": "py"})
    same([found.id for found in client.containers.list(filters={"label": "kind=py"})], [container.id])
    same(container.attrs["HostConfig"]["Memory"], 64 << 20)
    container.pause()
    container.reload()
    same(container.attrs["State"]["Paused"], True)
    container.unpause()
    container.rename("snake")
    same(client.containers.get("snake").id, container.id)
    assert ["sleep", "600"] == container.top()["Processes"][0][-1].split()[-2:], container.top()
    same(container.stats(stream=False)["memory_stats"]["limit"], 64 << 20)
    raises(NotFound, lambda: client.containers.get("nosuch"))
    same(raises(APIError, lambda: client.containers.create("busybox", "true", name="snake")).status_code, 409)
    return container


def logs():
    container = client.containers.create("busybox", ["sh", "-c", "seq 1 5; echo wrong >&2; sleep 0.3; echo end"])
    container.start()
    same(b"".join(container.logs(stream=True, follow=True, stderr=False)), b"1\n2\n3\n4\n5\nend\n")
    same(container.wait(), 0)
    same(container.logs(stdout=False), b"wrong\n")
    same(container.logs(stderr=False, tail=1), b"end\n")
    stamped = container.logs(stderr=False, tail=1, timestamps=True)
    assert stamped.endswith(b"Z end\n"), stamped
    same(container.logs(since=int(time.time()) + 100), b"")
    container.remove(v=True)


def execs(container):
    same(container.exec_run(["sh", "-c", "echo $A"]), b"b\n")
    made = api.exec_create(container.id, ["sh", "-c", "echo out; echo err >&2; exit 6"])
    same(sorted(api.exec_start(made["Id"], stream=True)), [b"err\n", b"out\n"])
    same(api.exec_inspect(made["Id"])["ExitCode"], 6)
    same(raises(APIError, lambda: api.exec_start(made["Id"])).status_code, 409)
    made = api.exec_create(container.id, ["sh", "-c", "read line; stty size; echo got $line"], stdin=True, tty=True)
    stream = raw(api.exec_start(made["Id"], tty=True, socket=True))
    api.exec_resize(made["Id"], height=33, width=111)
    stream.sendall(b"word\n")
    seen = read_all(stream)
    assert b"33 111" in seen and b"got word" in seen, seen
    container.exec_run(["touch", "/made"], detach=True)


def raw(stream):
    """The socket beneath the file that Python 3 makes of it."""
    return getattr(stream, "_sock", stream)


def read_all(stream):
    seen = b""
    while True:
        more = stream.recv(65536)
        if not more:
            return seen
        seen += more


def attach():
    container = client.containers.create("busybox", ["cat"], stdin_open=True)
    # Without StdinOnce a client's end is not the container's.
    stream = raw(container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1}))
    container.start()
    stream.sendall(b"through\n")
    head = stream.recv(8, socket.MSG_WAITALL)
    same(struct.unpack(">BxxxL", head), (1, 8))
    same(stream.recv(8, socket.MSG_WAITALL), b"through\n")
    stream.close()
    # Not by attach(logs=True): docker-py loses what arrives together with the head of the answer.
    same(container.logs(stderr=False), b"through\n")
    same(container.attrs["Config"]["OpenStdin"], True)
    container.remove(force=True, v=True)
    container = client.containers.create("busybox", ["sh", "-c", "echo one; echo two"])
    output = container.attach(stream=True)
    container.start()
    same(b"".join(output), b"one\ntwo\n")
    same(container.wait(), 0)
    container.remove()


def copy(container):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("put")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    same(container.put_archive("/tmp", packed.getvalue()), True)
    same(container.exec_run(["cat", "/tmp/put"]), b"hello")
    chunks, stat = container.get_archive("/tmp/put")
    same((stat["name"], stat["size"]), ("put", 5))
    whole = io.BytesIO(b"".join(getattr(chunks, "stream", lambda: chunks)()))
    with tarfile.open(fileobj=whole) as archive:
        same(archive.extractfile("put").read(), b"hello")
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export().stream()))) as archive:
        same(archive.extractfile("tmp/put").read(), b"hello")
    assert {"Path": "/tmp/put", "Kind": 1} in container.diff(), container.diff()
    raises(NotFound, lambda: container.get_archive("/nosuch"))


def pull(name):
    repository, tag = name.rsplit(":", 1)
    image = client.images.pull(repository, tag=tag)
    same(image.tags, [name])
    said = list(api.pull(repository, tag=tag, stream=True, decode=True))
    assert "up to date" in said[-1]["status"], said
    client.images.remove(name)
    raises(NotFound, lambda: client.images.get(name))


def build():
    image = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nLABEL made=py\n"), tag="py:built", rm=True)
    same(image.labels, {"made": "py"})
    same([found.id for found in client.images.list(name="py")], [image.id])
    same(image.tag("py", "again"), True)
    same(client.containers.run("py:again", "true", remove=True), b"")
    for name in ["py:built", "py:again"]:
        client.images.remove(name)


def events():
    # What came before is asked for too, so that no moment is lost.
    listening = api.events(since=int(time.time()) - 1, decode=True, filters={"event": ["die"]})
    container = client.containers.run("busybox", ["sh", "-c", "exit 4"], detach=True)
    for event in listening:
        if event["id"] == container.id:
            same((event["status"], event["from"]), ("die", "busybox"))
            same(event["Actor"]["Attributes"]["exitCode"], "4")
            break
    container.remove()
    past = [event["status"] for event in api.events(since=1, until=int(time.time()) + 1, decode=True,
                                                    filters={"container": [container.id]})]
    same(past, ["create", "start", "die", "destroy"])


def main():
    same(client.ping(), True)
    same(client.version()["ApiVersion"], "1.55")
    same(client.info()["Driver"], "overlay")
    container = run()
    logs()
    execs(container)
    attach()
    copy(container)
    pull(sys.argv[2])
    build()
    events()
    container.stop(timeout=0)
    container.remove(v=True)
    same(client.containers.list(all=True), [])


main()
print("docker-py: all is well")
