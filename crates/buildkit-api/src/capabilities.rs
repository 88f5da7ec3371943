//! The capabilities that clients which drive a build may use, by BuildKit's names.

use buildkit_messages::capabilities::Capability;

/// The gateway's capabilities.
const FRONTEND: &[&str] = &[
    "solve.base",
    "solve.inlinereturn",
    "readfile",
    "statfile",
    "return",
    "returnmap",
    "importcaches",
    "proto.refarray",
    "reference.output",
    "frontend.caps",
    "gateway.solve.metadata",
    "gateway.solve.evaluate",
    "gateway.evaluate",
];

/// Which parts of build graphs and which exporters there are: those by which clients decide how they use the Dockerfile's
/// frontend.
const OPERATIONS: &[&str] = &[
    "source.image",
    "source.image.resolvemode",
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.local.differ",
    "source.git",
    "source.git.keepgitdir",
    "source.git.fullurl",
    "source.git.httpauth",
    "source.git.subdir",
    "source.git.checksum",
    "source.git.skipsubmodules",
    "source.http",
    "source.http.checksum",
    "source.ocilayout",
    "exec.meta.base",
    "exec.meta.network",
    "exec.meta.ulimit",
    "exec.meta.cgroup.parent",
    "exec.mount.bind",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.tmpfs",
    "exec.mount.secret",
    "exec.mount.ssh",
    "file.base",
    "file.rm.wildcard",
    "file.rm.nofollowsymlink",
    "file.symlink.create",
    "mergeop",
    "diffop",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "meta.exportcache",
    "exporter.image.attestations",
    "exporter.multiple",
    "gc.freespacefilter",
];

fn enabled(names: &[&str]) -> Vec<Capability> {
    names.iter().map(|name| Capability { id: (*name).to_owned(), enabled: true }).collect()
}

pub(crate) fn frontend() -> Vec<Capability> {
    enabled(FRONTEND)
}

pub(crate) fn operations() -> Vec<Capability> {
    enabled(OPERATIONS)
}
