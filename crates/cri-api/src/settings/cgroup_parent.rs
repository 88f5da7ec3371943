//! The cgroup beneath which a pod's are made.

use engine::CgroupDriver;
use engine::systemd::Slice;
use model::{CgroupParent, Spelled};
use tonic::Status;

use crate::status::invalid;

/// The slice of pods that name none.
const DEFAULT_SLICE: &str = "berth.slice";

/// The cgroup above a pod's; `None` is the daemon's choice. The driver of the kubelet must be that of the daemon: else the
/// kubelet would manage other cgroups than those that are made.
pub(super) fn of(path: &str, driver: CgroupDriver) -> Result<Option<Spelled<CgroupParent>>, Status> {
    match driver {
        CgroupDriver::Cgroupfs if !path.starts_with('/') && path.ends_with(".slice") => {
            Err(invalid(format!(
                "the cgroup parent {path} is a unit of systemd, and the driver of cgroups here is cgroupfs: the daemon needs --cri-cgroup-driver=systemd, or the kubelet cgroupDriver: cgroupfs"
            )))
        }
        CgroupDriver::Cgroupfs => Ok((!path.is_empty()).then(|| Spelled::of(path))),
        CgroupDriver::Systemd => {
            let name = if path.is_empty() { DEFAULT_SLICE } else { path };
            let slice: Slice = name.parse().map_err(|error| {
                invalid(format!("the cgroup parent, of which the driver is systemd: {error}"))
            })?;
            Ok(Some(Spelled::of(&format!("/{}", slice.path().display()))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(path: &str, driver: CgroupDriver) -> Option<Option<String>> {
        of(path, driver).ok().map(|parent| parent.map(|parent| parent.to_string()))
    }

    #[test]
    fn of_cgroupfs_it_is_a_path_and_no_unit() {
        let parent = |path| parent(path, CgroupDriver::Cgroupfs);
        assert_eq!(parent(""), Some(None));
        assert_eq!(parent("/kubepods/pod1"), Some(Some("/kubepods/pod1".to_owned())));
        assert_eq!(parent("/kubepods.slice"), Some(Some("/kubepods.slice".to_owned())));
        assert_eq!(parent("kubepods-besteffort-pod1.slice"), None);
    }

    #[test]
    fn of_systemd_it_is_the_place_of_a_slice() {
        let parent = |path| parent(path, CgroupDriver::Systemd);
        let place = Some(Some("/kubepods.slice/kubepods-pod1.slice".to_owned()));
        assert_eq!(parent("kubepods-pod1.slice"), place);
        assert_eq!(parent("/kubepods.slice/kubepods-pod1.slice"), place);
        assert_eq!(parent(""), Some(Some("/berth.slice".to_owned())));
        assert_eq!(parent("/kubepods/pod1"), None);
    }
}
