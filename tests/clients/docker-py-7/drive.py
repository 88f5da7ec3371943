"""Drives an engine with docker-py 7 at the newest version: containers, networks, volumes, images, a build, events.

The engine has the image busybox. The last line of the output says that all went well.
"""

import io
import sys
import tarfile
import time

import docker
from docker.errors import APIError, NotFound

client = docker.DockerClient(base_url=sys.argv[1], version="auto", timeout=30)


def same(found, wanted):
    assert found == wanted, "%r, wanted %r" % (found, wanted)


def archive(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def containers():
    same(client.containers.run("busybox", ["echo", "hi"], remove=True), b"hi\n")
    same(client.containers.list(all=True), [])
    one = client.containers.run(
        "busybox", ["sh", "-c", "echo begun; exec sleep 1000"], detach=True, name="one", labels={"a": "b"}, ports={"80/tcp": None},
        healthcheck={"test": ["CMD", "true"], "interval": 200_000_000, "retries": 3},
    )
    one.reload()
    same(one.status, "running")
    assert int(one.ports["80/tcp"][0]["HostPort"]) > 0, one.ports
    for line in one.logs(stream=True):
        same(line, b"begun\n")
        break
    found = one.exec_run(["sh", "-c", "echo $A; pwd; exit 3"], environment={"A": "1"}, workdir="/bin")
    same((found.exit_code, found.output), (3, b"1\n/bin\n"))
    found = one.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    same(found.output, (b"out\n", b"err\n"))
    stats = one.stats(stream=False)
    assert stats["memory_stats"]["usage"] > 0 and "eth0" in stats["networks"], stats
    assert "PID" in one.top()["Titles"]
    assert one.put_archive("/", archive("f", b"abc"))
    pieces, stat = one.get_archive("/f")
    same((stat["size"], b"abc" in b"".join(pieces)), (3, True))
    one.pause()
    one.reload()
    same(one.status, "paused")
    one.unpause()
    one.rename("other")
    one.update(mem_limit="50m", memswap_limit="50m")
    one.reload()
    same((one.name, one.attrs["HostConfig"]["Memory"]), ("other", 50 << 20))
    same([found.name for found in client.containers.list(filters={"label": "a=b", "status": "running"})], ["other"])
    health = client.api.events(decode=True, since=0, filters={"container": one.id, "event": "health_status"})
    same(next(iter(health))["Action"], "health_status: healthy")
    health.close()
    # A pause makes it unhealthy until the next check.
    end = time.monotonic() + 30
    while one.health != "healthy":
        assert time.monotonic() < end, one.attrs["State"]["Health"]
        time.sleep(0.05)
        one.reload()
    one.stop(timeout=0)
    same(one.wait()["StatusCode"], 137)
    one.remove()
    try:
        client.containers.get("other")
        raise AssertionError("it is still there")
    except NotFound:
        pass
    try:
        client.containers.run("busybox", ["false"], remove=True)
        raise AssertionError("false succeeds")
    except docker.errors.ContainerError as error:
        same(error.exit_status, 1)


def networks_and_volumes():
    network = client.networks.create("net", labels={"a": "b"})
    one = client.containers.run("busybox", ["sleep", "1000"], detach=True)
    network.connect(one, aliases=["alias"])
    network.reload()
    same([found.id for found in network.containers], [one.id])
    answer = client.containers.run("busybox", ["nslookup", "alias"], network="net", remove=True)
    one.reload()
    address = one.attrs["NetworkSettings"]["Networks"]["net"]["IPAddress"]
    assert address.encode() in answer, answer
    network.disconnect(one)
    one.remove(force=True)
    network.remove()
    volume = client.volumes.create("data", labels={"a": "b"})
    client.containers.run("busybox", ["sh", "-c", "echo kept > /d/f"], volumes={"data": {"bind": "/d"}}, remove=True)
    mount = docker.types.Mount("/d", "data", read_only=True)
    same(client.containers.run("busybox", ["cat", "/d/f"], mounts=[mount], remove=True), b"kept\n")
    same([found.name for found in client.volumes.list(filters={"label": "a"})], ["data"])
    volume.remove()


def images():
    image, log = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo made > /m\nLABEL l=m\n"), tag="made:one", rm=True)
    assert any("Successfully tagged" in line.get("stream", "") for line in log)
    same(client.containers.run("made:one", ["cat", "/m"], remove=True), b"made\n")
    assert image.tag("made", "two")
    saved = b"".join(client.images.get("made:one").save(named=True))
    client.images.remove("made:one")
    same([found.tags for found in client.images.load(saved)], [["made:one", "made:two"]])
    same(len(image.history()) > 1, True)
    same([found.id for found in client.images.list(filters={"label": "l=m"})], [image.id])
    several = client.api._get(client.api._url("/images/get"), params={"names": ["made:one", "made:two"]}).content
    same([found.id for found in client.images.load(several)], [image.id, image.id])
    for name in ["made:one", "made:two"]:
        client.images.remove(name)
    usage = client.df()
    same((len(usage["Images"]), usage["BuildCache"]), (usage["ImageUsage"]["TotalCount"], []))
    pulled = client.images.pull(sys.argv[2])
    same(pulled.tags, [sys.argv[2]])
    client.images.remove(sys.argv[2])


def engine():
    same(client.version()["ApiVersion"], "1.55")
    info = client.info()
    same((info["OSType"], info["Containers"]), ("linux", 0))
    for prune in [client.containers, client.networks, client.volumes]:
        prune.prune()
    client.images.prune()
    try:
        client.swarm.init()
        raise AssertionError("a swarm")
    except APIError as error:
        same(error.status_code, 501)


containers()
networks_and_volumes()
images()
engine()
print("docker-py 7: all is well")
