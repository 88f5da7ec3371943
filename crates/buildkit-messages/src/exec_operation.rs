//! The operation of a build graph that runs a command (`pb`).

#[derive(Clone, PartialEq, prost::Message)]
pub struct Exec {
    #[prost(message, optional, tag = "1")]
    pub process: Option<Process>,
    #[prost(message, repeated, tag = "2")]
    pub mounts: Vec<Mount>,
    #[prost(int32, tag = "3")]
    pub network: i32,
    #[prost(int32, tag = "4")]
    pub security: i32,
    #[prost(message, repeated, tag = "5")]
    pub secret_variables: Vec<SecretVariable>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub devices: Vec<Vec<u8>>,
}

/// The command. Fields of which only the presence is read are bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Process {
    #[prost(string, repeated, tag = "1")]
    pub arguments: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub environment: Vec<String>,
    #[prost(string, tag = "3")]
    pub directory: String,
    #[prost(string, tag = "4")]
    pub user: String,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub proxy: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub extra_hosts: Vec<Vec<u8>>,
    #[prost(string, tag = "7")]
    pub hostname: String,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub limits: Vec<Vec<u8>>,
    #[prost(string, tag = "10")]
    pub cgroup_parent: String,
    #[prost(int32, repeated, tag = "12")]
    pub valid_exit_codes: Vec<i32>,
}

/// A place of the command's file system. -1 stands for no input or output.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mount {
    #[prost(int64, tag = "1")]
    pub input: i64,
    #[prost(string, tag = "2")]
    pub selector: String,
    #[prost(string, tag = "3")]
    pub destination: String,
    #[prost(int64, tag = "4")]
    pub output: i64,
    #[prost(bool, tag = "5")]
    pub read_only: bool,
    #[prost(enumeration = "MountKind", tag = "6")]
    pub kind: i32,
    #[prost(message, optional, tag = "19")]
    pub memory: Option<MemoryOptions>,
    #[prost(message, optional, tag = "20")]
    pub cache: Option<CacheMountOptions>,
    #[prost(message, optional, tag = "21")]
    pub secret: Option<ProvisionOptions>,
    #[prost(message, optional, tag = "22")]
    pub ssh: Option<ProvisionOptions>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum MountKind {
    Bind = 0,
    Secret = 1,
    Ssh = 2,
    Cache = 3,
    Memory = 4,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct MemoryOptions {
    #[prost(int64, tag = "1")]
    pub size: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CacheMountOptions {
    #[prost(string, tag = "1")]
    pub id: String,
    /// 0 is shared, 1 private, 2 locked.
    #[prost(int32, tag = "2")]
    pub sharing: i32,
}

/// A secret or an agent of the client's.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProvisionOptions {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(uint32, tag = "2")]
    pub user: u32,
    #[prost(uint32, tag = "3")]
    pub group: u32,
    #[prost(uint32, tag = "4")]
    pub mode: u32,
    #[prost(bool, tag = "5")]
    pub optional: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct SecretVariable {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(bool, tag = "3")]
    pub optional: bool,
}
