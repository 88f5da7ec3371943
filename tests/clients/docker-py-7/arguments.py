"""Drives the high-level containers of docker-py 7: every argument of `run`, streams, waits, copies, prunes and events.

The engine has the image busybox. The last line of the output says that all went well.
"""

import io
import sys
import tarfile
import threading

import docker
from docker.errors import APIError, ContainerError, NotFound
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

client = docker.DockerClient(base_url=sys.argv[1], version="auto", timeout=60)
SLEEP = ["sleep", "1000"]


def same(found, wanted):
    assert found == wanted, "%r, wanted %r" % (found, wanted)


def refused(act, status, words):
    try:
        act()
    except APIError as error:
        same(error.status_code, status)
        assert words in error.explanation, error.explanation
    else:
        raise AssertionError("it is not refused: " + words)


def output(command, **more):
    return client.containers.run("busybox", ["sh", "-c", command], remove=True, **more).decode()


def of_config():
    same(output("hostname; hostname -d", hostname="h", domainname="d.example"), "h.d.example\nd.example\n")
    same(output("echo $A $B", environment={"A": "1", "B": "2"}), "1 2\n")
    same(output("echo $A", environment=["A=1"]), "1\n")
    same(client.containers.run("busybox", "-c 'echo x'", entrypoint="sh", remove=True), b"x\n")
    same(output("id -u; id -g; pwd", user="12:34", working_dir="/bin"), "12\n34\n/bin\n")
    same(output("echo x", mac_address="02:42:ac:11:00:99"), "x\n")
    same(output("ls /sys/class/net", network_disabled=True), "lo\n")
    same(output("test -t 1 && echo terminal", tty=True, stdin_open=True), "terminal\r\n")
    same(output("echo out; echo err >&2", stdout=False, stderr=True), "err\n")
    same(client.containers.run("busybox", "echo x", platform="linux", remove=True), b"x\n")
    one = client.containers.run(
        "busybox", SLEEP, detach=True, name="one", labels=["a", "b"], stop_signal="KILL", use_config_proxy=True,
        healthcheck={"test": ["NONE"]}, ports={"80/tcp": ("127.0.0.1", None), "81/udp": None}, volumes=["/data"],
    )
    one.reload()
    same((one.labels, one.attrs["Config"]["StopSignal"]), ({"a": "", "b": ""}, "KILL"))
    same(sorted(one.ports), ["80/tcp", "81/udp"])
    same([mount["Destination"] for mount in one.attrs["Mounts"]], ["/data"])
    one.stop()
    same(one.wait()["StatusCode"], 137)
    one.remove(v=True)
    same(client.volumes.list(), [])


def limits():
    one = client.containers.run(
        "busybox", SLEEP, detach=True, mem_limit="64m", memswap_limit="128m", mem_reservation="32m", mem_swappiness=10,
        cpu_shares=300, cpu_period=50000, cpu_quota=25000, cpuset_cpus="0", cpuset_mems="0", pids_limit=40,
        oom_kill_disable=False, oom_score_adj=100, shm_size="8m", blkio_weight_device=[], device_read_bps=[],
        device_read_iops=[], device_write_bps=[], device_write_iops=[], ulimits=[Ulimit(name="nofile", soft=64, hard=128)],
    )
    host = client.api.inspect_container(one.id)["HostConfig"]
    same([host[name] for name in ["Memory", "MemorySwap", "MemoryReservation"]], [64 << 20, 128 << 20, 32 << 20])
    same([host[name] for name in ["CpuShares", "CpuPeriod", "CpuQuota", "PidsLimit"]], [300, 50000, 25000, 40])
    found = one.exec_run(["sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj; df -k /dev/shm | tail -1"])
    lines = found.output.decode().split("\n")
    same((lines[:2], lines[2].split()[1]), (["64", "100"], "8192"))
    one.remove(force=True)
    one = client.containers.run("busybox", SLEEP, detach=True, nano_cpus=500_000_000, cgroup_parent="/python")
    same(client.api.inspect_container(one.id)["HostConfig"]["NanoCpus"], 500_000_000)
    one.remove(force=True)
    for name, value in [("cpu_rt_period", 1000), ("cpu_rt_runtime", 1000), ("cpu_count", 1), ("cpu_percent", 1)]:
        refused(lambda: client.containers.create("busybox", SLEEP, **{name: value}), 400, "is not supported")
    refused(lambda: client.containers.create("busybox", SLEEP, isolation="hyperv"), 400, "Isolation")
    refused(lambda: client.containers.create("busybox", SLEEP, storage_opt={"size": "1G"}), 400, "storage-opt")


def rights():
    same(output("grep CapEff /proc/self/status", cap_drop=["ALL"], cap_add=["CHOWN"]).split()[1], "0" * 15 + "1")
    same(output("grep NoNewPrivs /proc/self/status", security_opt=["no-new-privileges"]).split()[1], "1")
    same(output("ls /dev/kmsg", privileged=True), "/dev/kmsg\n")
    same(output("touch /x 2>/dev/null || echo read-only", read_only=True), "read-only\n")
    same(output("ls /dev/x", devices=["/dev/null:/dev/x:r"]), "/dev/x\n")
    same(output("echo", device_cgroup_rules=["c 1:11 r"]), "\n")
    one = client.containers.create("busybox", SLEEP, device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])])
    refused(one.start, 400, "device driver")
    one.remove()
    same(output("id -G", user="12:34", group_add=["56"]), "34 56\n")
    same(output("cat /proc/1/comm", init=True), "init\n")
    same(output("cat /proc/sys/net/ipv4/ip_forward", sysctls={"net.ipv4.ip_forward": "0"}), "0\n")
    same(output("mount | grep ' /t '", tmpfs={"/t": "size=64k,ro"}).split()[:3], ["tmpfs", "on", "/t"])
    for more in [{"runtime": client.info()["DefaultRuntime"]}, {"cgroupns": "private"}, {"ipc_mode": "private"}, {"uts_mode": ""}, {"userns_mode": "host"},
                 {"version": "auto"}, {"volume_driver": "local"}, {"lxc_conf": []}]:
        same(output("echo x", **more), "x\n")
    refused(lambda: client.containers.create("busybox", SLEEP, runtime="none-such"), 400, "none-such")


def others():
    one = client.containers.run("busybox", SLEEP, detach=True, name="one", ipc_mode="shareable", volumes=["/shared"])
    same(output("ls -d /shared", volumes_from=["one"]), "/shared\n")
    same(output("pidof sleep", pid_mode="container:one"), "1\n")
    same(output("echo x", ipc_mode="container:one", network_mode="container:one"), "x\n")
    same(output("grep -c other /etc/hosts", links={"one": "other"}), "1\n")
    same(output("cat /etc/resolv.conf | grep -v '^#'", dns=["10.9.8.7"], dns_search=["a.example"], dns_opt=["ndots:2"]),
         "nameserver 10.9.8.7\nsearch a.example\noptions ndots:2\n")
    same(output("grep db /etc/hosts", extra_hosts={"db": "10.1.2.3"}), "10.1.2.3\tdb\n")
    one.remove(force=True, v=True)
    one = client.containers.run("busybox", SLEEP, detach=True, publish_all_ports=True, ports={"80/tcp": None},
                                restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
                                log_config=LogConfig(type="json-file", config={"max-size": "1m"}))
    host = client.api.inspect_container(one.id)["HostConfig"]
    same((host["RestartPolicy"]["MaximumRetryCount"], host["LogConfig"]["Config"], host["PublishAllPorts"]),
         (2, {"max-size": "1m"}, True))
    one.remove(force=True)
    mounts = [Mount("/v", "data"), Mount("/b", "/tmp", type="bind", read_only=True, propagation="private"),
              Mount("/t", None, type="tmpfs", tmpfs_size=65536, tmpfs_mode=0o700)]
    same(output("echo kept > /v/f; stat -c %a /t; touch /b/x 2>/dev/null || echo read-only", mounts=mounts), "700\nread-only\n")
    volumes = {"data": {"bind": "/v", "mode": "ro"}}
    same(output("cat /v/f; touch /v/g 2>/dev/null || echo read-only", volumes=volumes), "kept\nread-only\n")
    client.volumes.get("data").remove()
    network = client.networks.create("net")
    address = client.api.create_endpoint_config(aliases=["alias"])
    same(output("nslookup alias > /dev/null && echo found", network="net", networking_config={"net": address}), "found\n")
    network.remove()


def streams():
    lines = client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], name="lines", stream=True)
    same(list(lines), [b"1\n", b"2\n", b"3\n"])
    client.containers.get("lines").remove()
    one = client.containers.run("busybox", ["cat"], detach=True, stdin_open=True, tty=False)
    socket = one.attach_socket(params={"stdin": 1, "stream": 1})
    socket._sock.sendall(b"first\nsecond\n")
    logs = one.logs(follow=True, stream=True, timestamps=True, tail="all", since=1)
    read = b""
    while read.count(b"\n") < 2:
        read += next(logs)
    same([line.split(b" ")[1] for line in read.splitlines()], [b"first", b"second"])
    same((one.logs(tail=1), one.logs(stdout=False), one.logs(until=1)), (b"second\n", b"", b""))
    found = one.exec_run(["sh", "-c", "echo out; echo err >&2"], stream=True, demux=True)
    pieces = list(found.output)
    same((b"".join(out for out, _ in pieces if out), b"".join(err for _, err in pieces if err)), (b"out\n", b"err\n"))
    found = one.exec_run(["cat"], stdin=True, socket=True)
    found.output._sock.sendall(b"through\n")
    head = found.output.read(8)
    same((head, found.output.read(8)), (b"\x01\0\0\0\0\0\0\x08", b"through\n"))
    found.output.close()
    found = one.exec_run(["id", "-u"], user="12", privileged=True, tty=True)
    same((found.exit_code, found.output), (0, b"12\r\n"))
    one.exec_run(["touch", "/made"], detach=True)
    stats = one.stats(stream=True, decode=True)
    assert next(stats)["name"] == "/" + one.name and next(stats)["cpu_stats"]["online_cpus"] > 0
    stats.close()
    sample = one.stats(stream=False, one_shot=True)
    same((sample["id"], sample["preread"]), (one.id, "0001-01-01T00:00:00Z"))
    one.kill(signal="SIGKILL")
    same(one.wait(condition="not-running")["StatusCode"], 137)
    one.remove()


def waits_and_prunes():
    one = client.containers.create("busybox", ["sh", "-c", "exit 7"])
    codes = {}

    def wait(condition):
        codes[condition] = one.wait(condition=condition)["StatusCode"]

    same(one.wait(condition="not-running")["StatusCode"], 0)
    waiting = [threading.Thread(target=wait, args=(condition,)) for condition in ["next-exit", "removed"]]
    for thread in waiting:
        thread.start()
    # Both must listen before it ends: the engine answers at once when they do.
    end = client.api.events(decode=True, filters={"container": one.id, "event": "die"})
    while len(codes) < 1:
        one.start()
        next(iter(end))
        waiting[0].join(0.2)
    same(codes["next-exit"], 7)
    end.close()
    pruned = client.containers.prune(filters={"until": "1h"})
    same(pruned["ContainersDeleted"], None)
    pruned = client.containers.prune()
    same(pruned["ContainersDeleted"], [one.id])
    waiting[1].join()
    same(codes["removed"], 7)
    refused(lambda: client.containers.prune(filters={"nonsense": "x"}), 400, "nonsense")
    one = client.containers.run("busybox", SLEEP, detach=True, auto_remove=True)
    one.kill()
    try:
        one.wait(condition="removed")
        client.containers.get(one.id)
        raise AssertionError("it is still there")
    except NotFound:
        pass
    try:
        client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
        raise AssertionError("it succeeds")
    except ContainerError as error:
        same((error.exit_status, error.stderr), (3, b"why\n"))


def copies_and_changes():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("d/f")
        member.size, member.uid, member.mode = 3, 12, 0o640
        tar.addfile(member, io.BytesIO(b"abc"))
    one = client.containers.create("busybox", SLEEP)
    assert one.put_archive("/", out.getvalue())
    pieces, stat = one.get_archive("/d", chunk_size=512, encode_stream=True)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        same([(member.name, member.uid) for member in tar.getmembers() if member.isfile()], [("d/f", 12)])
    same(stat["name"], "d")
    same({change["Path"] for change in one.diff()}, {"/d", "/d/f"})
    with tarfile.open(fileobj=io.BytesIO(b"".join(one.export()))) as tar:
        same(tar.extractfile("d/f").read(), b"abc")
    image = one.commit("kept", "now", message="m", author="a", changes="ENV A=1")
    same((image.tags, image.attrs["Config"]["Env"][-1]), (["kept:now"], "A=1"))
    refused(lambda: one.get_archive("/none"), 404, "Could not find the file /none in container")
    one.remove()
    client.images.remove("kept:now")


for part in [of_config, limits, rights, others, streams, waits_and_prunes, copies_and_changes]:
    part()
    same(client.containers.list(all=True), [])
print("docker-py 7: every argument is well")
