// Drives an engine with dockerode: run, logs, exec, attach, cp, pull, build, events.
//
//     NODE_PATH=…/node_modules node drive.js /path/to/engine.sock v1.20 registry/name:tag
//
// The engine has the image busybox and reaches the registry. Anything that is not as it should be ends this with an exception.

const assert = require('node:assert/strict');
const { PassThrough } = require('node:stream');
const zlib = require('node:zlib');
const Docker = require('dockerode');
const tar = require('tar-stream');

const [socketPath, version, remote] = process.argv.slice(2);
const docker = new Docker({ socketPath, version });

/** Everything that a stream brings. */
async function collected(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The two outputs of a multiplexed stream. */
async function parted(stream) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => { out.end(); err.end(); });
  const both = await Promise.all([collected(out), collected(err)]);
  return both.map(String);
}

/** Takes a whole multiplexed body apart. */
function split(body) {
  const texts = ['', '', ''];
  for (let at = 0; at < body.length; at += 8 + body.readUInt32BE(at + 4)) {
    texts[body[at]] += body.subarray(at + 8, at + 8 + body.readUInt32BE(at + 4));
  }
  return texts.slice(1);
}

/** A tar archive of files. */
async function packed(files) {
  const pack = tar.pack();
  for (const [name, content] of Object.entries(files)) pack.entry({ name }, content);
  pack.finalize();
  return collected(pack);
}

/** The files of a tar archive. */
async function unpacked(archive) {
  const files = {};
  const extract = tar.extract();
  extract.on('entry', (header, content, next) => {
    collected(content).then((bytes) => { files[header.name] = String(bytes); next(); });
  });
  await new Promise((done, failed) => extract.on('finish', done).on('error', failed).end(archive));
  return files;
}

async function refused(status, promise) {
  const error = await promise.then(() => assert.fail(`no ${status}`), (error) => error);
  assert.equal(error.statusCode, status, String(error));
}

async function run() {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const [result, container] = await docker.run('busybox', ['sh', '-c', 'echo out; echo err >&2; exit 3'], [out, err], { Tty: false });
  out.end(); err.end();
  assert.equal(result.StatusCode, 3);
  assert.deepEqual([String(await collected(out)), String(await collected(err))], ['out\n', 'err\n']);
  await container.remove();
  await refused(404, docker.getContainer('nosuch').inspect());
}

async function sleeper() {
  const container = await docker.createContainer({
    name: 'node', Image: 'busybox', Cmd: ['sleep', '600'], Env: ['A=b'], Labels: { kind: 'node' },
    HostConfig: { Memory: 64 << 20 },
  });
  await container.start();
  const listed = await docker.listContainers({ filters: { label: ['kind=node'] } });
  assert.deepEqual(listed.map((found) => found.Id), [container.id]);
  assert.equal((await container.inspect()).HostConfig.Memory, 64 << 20);
  assert.equal((await container.stats({ stream: false })).memory_stats.limit, 64 << 20);
  assert.equal((await container.top()).Processes.length, 1);
  await container.pause();
  assert.equal((await container.inspect()).State.Paused, true);
  await container.unpause();
  await refused(304, container.start());
  return container;
}

async function logs() {
  const container = await docker.createContainer({
    Image: 'busybox', Cmd: ['sh', '-c', 'seq 1 5; echo wrong >&2; sleep 0.3; echo end'],
  });
  await container.start();
  const followed = await container.logs({ follow: true, stdout: true, stderr: true });
  assert.deepEqual(await parted(followed), ['1\n2\n3\n4\n5\nend\n', 'wrong\n']);
  assert.equal((await container.wait()).StatusCode, 0);
  assert.deepEqual(split(await container.logs({ stdout: true, tail: 1 })), ['end\n', '']);
  await container.remove();
}

async function execs(container) {
  const exec = await container.exec({ Cmd: ['sh', '-c', 'echo $A; cat >&2; exit 6'], AttachStdin: true, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const output = parted(stream);
  stream.end('input\n');
  assert.deepEqual(await output, ['b\n', 'input\n']);
  assert.equal((await exec.inspect()).ExitCode, 6);
  const terminal = await container.exec({ Cmd: ['sh', '-c', 'read line; stty size'], AttachStdin: true, AttachStdout: true, Tty: true });
  const screen = await terminal.start({ hijack: true, stdin: true, Tty: true });
  // The specification answers 201 here; dockerode knows 200 only and calls it unexpected.
  await refused(201, terminal.resize({ h: 33, w: 111 }));
  screen.write('go\n');
  assert.match(String(await collected(screen)), /33 111/);
}

async function attach() {
  const container = await docker.createContainer({
    Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true, AttachStdin: true,
  });
  const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
  await container.start();
  const output = parted(stream);
  stream.end('through\n');
  assert.deepEqual(await output, ['through\n', '']);
  assert.equal((await container.wait()).StatusCode, 0);
  await container.remove();
  const shell = await docker.createContainer({ Image: 'busybox', Cmd: ['sh'], OpenStdin: true, Tty: true });
  const screen = await shell.attach({ stream: true, hijack: true, stdin: true, stdout: true });
  await shell.start();
  await shell.resize({ h: 30, w: 100 });
  screen.write('stty size; exit 5\n');
  assert.match(String(await collected(screen)), /30 100/);
  assert.equal((await shell.wait()).StatusCode, 5);
  await shell.remove();
}

async function copy(container) {
  await container.putArchive(await packed({ put: 'hello' }), { path: '/tmp' });
  assert.deepEqual(await unpacked(await collected(await container.getArchive({ path: '/tmp/put' }))), { put: 'hello' });
  const exported = await unpacked(await collected(await container.export()));
  assert.equal(exported['tmp/put'], 'hello');
  assert.ok((await container.changes()).some((change) => change.Path === '/tmp/put' && change.Kind === 1));
  await refused(404, container.getArchive({ path: '/nosuch' }));
}

/** The objects of a stream of work. */
async function followed(progress) {
  return new Promise((done, failed) => {
    docker.modem.followProgress(progress, (error, lines) => (error ? failed(error) : done(lines)));
  });
}

async function pull() {
  const lines = await followed(await docker.pull(remote));
  assert.ok(lines.some((line) => line.progressDetail?.current > 0), JSON.stringify(lines));
  const image = docker.getImage(remote);
  assert.deepEqual((await image.inspect()).RepoTags, [remote]);
  await image.remove();
  await refused(404, image.inspect());
}

async function build() {
  const context = await packed({ Dockerfile: 'FROM busybox\nLABEL made=node\n' });
  const progress = await docker.buildImage(zlib.gzipSync(context), { t: 'node:built' });
  const lines = await followed(progress);
  assert.match(lines.map((line) => line.stream ?? '').join(''), /Successfully built/);
  const image = docker.getImage('node:built');
  assert.deepEqual((await image.inspect()).Config.Labels, { made: 'node' });
  await image.remove();
}

async function events() {
  const stream = await docker.getEvents({ filters: { event: ['die'] } });
  const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sh', '-c', 'exit 4'] });
  await container.start();
  for await (const line of stream) {
    const event = JSON.parse(line);
    if (event.id !== container.id) continue;
    assert.deepEqual([event.status, event.from, event.Actor.Attributes.exitCode], ['die', 'busybox', '4']);
    break;
  }
  await container.remove();
}

async function main() {
  assert.equal(String(await docker.ping()), 'OK');
  assert.equal((await docker.version()).ApiVersion, '1.55');
  await run();
  const container = await sleeper();
  await logs();
  await execs(container);
  await attach();
  await copy(container);
  await pull();
  await build();
  await events();
  await container.stop({ t: 0 });
  await container.remove({ v: true });
  assert.deepEqual(await docker.listContainers({ all: true }), []);
  console.log('dockerode: all is well');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
