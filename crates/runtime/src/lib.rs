//! From a container's specification to its processes: namespaces, cgroups, mounts, privileges.
