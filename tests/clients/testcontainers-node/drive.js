// Runs containers as tests do with testcontainers: a network, names, wait strategies, execs, a reaper.
//
// The engine has the image busybox, and one for the reaper that writes what it is sent to its log. The last line of the output
// says that all went well.

const assert = require("node:assert");
const { GenericContainer, Network, Wait, getContainerRuntimeClient } = require("testcontainers");

async function main() {
  const network = await new Network().start();
  const script = "echo content > /f; echo ready; exec httpd -f -p 80 -h /";
  const server = await new GenericContainer("busybox")
    .withCommand(["sh", "-c", script])
    .withEnvironment({ GIVEN: "value" })
    .withCopyContentToContainer([{ content: "copied\n", target: "/copied" }])
    .withExposedPorts(80)
    .withNetwork(network)
    .withNetworkAliases("web")
    .withHealthCheck({ test: ["CMD", "wget", "-qO-", "http://127.0.0.1/f"], interval: 100, retries: 600 })
    .withWaitStrategy(
      Wait.forAll([Wait.forLogMessage("ready"), Wait.forListeningPorts(), Wait.forHttp("/f", 80), Wait.forHealthCheck()]),
    )
    .start();
  const page = await fetch(`http://${server.getHost()}:${server.getMappedPort(80)}/f`);
  assert.strictEqual(await page.text(), "content\n");
  const result = await server.exec(["sh", "-c", "cat /copied; echo $GIVEN; exit 4"]);
  assert.strictEqual(result.exitCode, 4);
  assert.strictEqual(result.output, "copied\nvalue\n");

  const client = await new GenericContainer("busybox")
    .withCommand(["wget", "-qO-", "http://web/f"])
    .withNetwork(network)
    .withWaitStrategy(Wait.forOneShotStartup())
    .start();
  const log = [];
  for await (const piece of await client.logs()) log.push(piece);
  assert.strictEqual(log.join(""), "content\n");

  const engine = await getContainerRuntimeClient();
  const listed = await engine.container.list();
  const reaper = listed.find((container) => container.Labels["org.testcontainers.ryuk"] === "true");
  const session = reaper.Labels["org.testcontainers.session-id"];
  const wanted = `label=org.testcontainers.session-id=${session}\r\n`;
  const lines = await engine.container.logs(engine.container.getById(reaper.Id));
  let sent = "";
  for await (const piece of lines) {
    sent += piece;
    if (sent.includes(wanted)) break;
  }
  assert.ok(sent.includes(wanted), sent);

  await client.stop();
  await server.stop();
  await network.stop();
  assert.deepStrictEqual((await engine.container.list()).map((container) => container.Id), [reaper.Id]);
  console.log("testcontainers: all is well");
}

// The library lets the process end while it reads logs.
setInterval(() => {}, 1000);
main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
