"""Runs containers as tests do with testcontainers: a network, names, wait strategies, execs.

The engine has the image busybox. The last line of the output says that all went well.
"""

import os
import sys

os.environ["DOCKER_HOST"] = sys.argv[1]
# Ryuk is an image of its own, which is not here.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from testcontainers.core.container import DockerContainer  # noqa: E402
from testcontainers.core.network import Network  # noqa: E402
from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: E402

with Network() as network:
    server = DockerContainer("busybox").with_command(["sh", "-c", "echo content > /f; echo ready; exec httpd -f -p 80 -h /"])
    server = server.with_exposed_ports(80).with_network(network).with_network_aliases("web")
    with server.waiting_for(LogMessageWaitStrategy("ready")):
        assert int(server.get_exposed_port(80)) > 0
        result = server.exec(["sh", "-c", "echo in; exit 4"])
        assert (result.exit_code, result.output) == (4, b"in\n"), result
        script = "for try in 1 2 3 4 5 6 7 8 9; do wget -qO- http://web/f && exec sleep 1000; sleep 0.2; done"
        client = DockerContainer("busybox").with_command(["sh", "-c", script]).with_network(network)
        with client.waiting_for(LogMessageWaitStrategy("content")):
            stdout, _ = client.get_logs()
            assert stdout == b"content\n", stdout
print("testcontainers: all is well")
