//! What protocol 8 added, as bytes. These never change, see `protocol_1.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_shim_protocol::{Envelope, Received, Request, Step};
use model::{
    ContainerId, ContainerSpec, ExecId, LogDriver, LogForm, LogSpec, Namespace, Namespaces, ProcessReference,
    ProcessSpec, Resources, RootFilesystem, SeccompPolicy,
};

/// The specification in it is that of `spec.json`.
const STEP: &str = r#"{"number":7,"request":{"step":{"id":"0101010101010101010101010101010101010101010101010101010101010101","spec":SPEC,"attach":null}}}"#;

/// How its root is written, and how it was before protocol 8.
const ROOTS: [&str; 2] = [
    r#"{"overlay":{"lower":["/l"],"upper":"/u","work":"/w","volatile":false}}"#,
    r#"{"overlay":{"lower":["/l"],"upper":"/u","work":"/w"}}"#,
];

fn specification() -> ContainerSpec {
    let root = RootFilesystem::Overlay {
        lower: vec![PathBuf::from("/l")],
        upper: PathBuf::from("/u"),
        work: PathBuf::from("/w"),
        volatile: false,
    };
    let network = Namespace::Process(ProcessReference { pid: 5, start_time: 6 });
    ContainerSpec {
        id: ContainerId::from_random([2; 32]),
        name: "n".to_owned(),
        root,
        read_only_root: false,
        hostname: "h".to_owned(),
        domainname: String::new(),
        namespaces: Namespaces {
            network,
            pid: Namespace::Own,
            ipc: Namespace::Own,
            uts: Namespace::Own,
            own_cgroup: true,
        },
        user_namespace: None,
        mounts: Vec::new(),
        devices: Vec::new(),
        device_rules: Vec::new(),
        privileged: false,
        shm_size: 1,
        sysctls: BTreeMap::new(),
        resources: Resources::default(),
        scope: None,
        keeps_cgroup_parents: false,
        cgroup_parent: None,
        seccomp: SeccompPolicy::Default,
        apparmor_profile: None,
        selinux_label: None,
        masked_paths: None,
        read_only_paths: None,
        init: false,
        process: ProcessSpec { arguments: vec!["sh".to_owned()], ..ProcessSpec::default() },
        open_stdin: false,
        stdin_once: false,
        log: LogSpec {
            driver: LogDriver::None,
            options: BTreeMap::new(),
            path: PathBuf::new(),
            attributes: BTreeMap::new(),
            selected: BTreeMap::new(),
            form: LogForm::default(),
        },
        health: None,
    }
}

#[test]
fn steps_are_written_and_read_as_ever() {
    let step = Step { id: ExecId::from_random([1; 32]), spec: specification(), attach: None };
    let spec = serde_json::to_string(&step.spec).unwrap_or_default();
    assert!(spec.contains(ROOTS[0]), "{spec}");
    let text = STEP.replace("SPEC", &spec);
    let request = Request::Step(Box::new(step.clone()));
    assert_eq!(request.since(), 8);
    assert_eq!(serde_json::to_string(&Envelope { number: 7, request }).unwrap_or_default(), text);
    for text in [text.clone(), text.replace(ROOTS[0], ROOTS[1])] {
        let read = Envelope::read(text.as_bytes());
        assert!(
            matches!(&read, Received::Known(Envelope { number: 7, request: Request::Step(read) }) if **read == step),
            "{read:?}"
        );
    }
}
