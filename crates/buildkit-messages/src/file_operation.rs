//! The operation of a build graph that changes files (`pb`).

#[derive(Clone, PartialEq, prost::Message)]
pub struct Files {
    #[prost(message, repeated, tag = "2")]
    pub actions: Vec<FileAction>,
}

/// One change. What it does is one of these.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FileAction {
    /// An input of the operation, or behind those the result of an earlier action; -1 is nothing.
    #[prost(int64, tag = "1")]
    pub input: i64,
    #[prost(int64, tag = "2")]
    pub second_input: i64,
    #[prost(int64, tag = "3")]
    pub output: i64,
    #[prost(message, optional, tag = "4")]
    pub copy: Option<CopyFiles>,
    #[prost(message, optional, tag = "5")]
    pub make_file: Option<MakeFile>,
    #[prost(message, optional, tag = "6")]
    pub make_directory: Option<MakeDirectory>,
    #[prost(message, optional, tag = "7")]
    pub remove: Option<Remove>,
    #[prost(message, optional, tag = "8")]
    pub link: Option<MakeLink>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CopyFiles {
    #[prost(string, tag = "1")]
    pub source: String,
    #[prost(string, tag = "2")]
    pub destination: String,
    #[prost(message, optional, tag = "3")]
    pub owner: Option<Owner>,
    /// -1 is that of the source.
    #[prost(int32, tag = "4")]
    pub mode: i32,
    /// Whether a symbolic link that is a source stands for its target.
    #[prost(bool, tag = "5")]
    pub follows_links: bool,
    /// Whether the contents of a directory are copied, and not it.
    #[prost(bool, tag = "6")]
    pub copies_contents: bool,
    #[prost(bool, tag = "7")]
    pub unpacks: bool,
    /// Whether the directories above the destination are made.
    #[prost(bool, tag = "8")]
    pub makes_parents: bool,
    #[prost(bool, tag = "9")]
    pub allows_wildcard: bool,
    /// Whether a pattern may match nothing.
    #[prost(bool, tag = "10")]
    pub may_match_nothing: bool,
    #[prost(int64, tag = "11")]
    pub time: i64,
    #[prost(string, repeated, tag = "12")]
    pub includes: Vec<String>,
    #[prost(string, repeated, tag = "13")]
    pub excludes: Vec<String>,
    #[prost(string, tag = "15")]
    pub mode_text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MakeFile {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(int32, tag = "2")]
    pub mode: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub content: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub owner: Option<Owner>,
    #[prost(int64, tag = "5")]
    pub time: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MakeDirectory {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(int32, tag = "2")]
    pub mode: i32,
    #[prost(bool, tag = "3")]
    pub makes_parents: bool,
    #[prost(message, optional, tag = "4")]
    pub owner: Option<Owner>,
    #[prost(int64, tag = "5")]
    pub time: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Remove {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(bool, tag = "2")]
    pub may_be_missing: bool,
    #[prost(bool, tag = "3")]
    pub allows_wildcard: bool,
}

/// A symbolic link.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MakeLink {
    #[prost(string, tag = "1")]
    pub target: String,
    #[prost(string, tag = "2")]
    pub path: String,
    #[prost(message, optional, tag = "3")]
    pub owner: Option<Owner>,
    #[prost(int64, tag = "4")]
    pub time: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Owner {
    #[prost(message, optional, tag = "1")]
    pub user: Option<Account>,
    #[prost(message, optional, tag = "2")]
    pub group: Option<Account>,
}

/// By name or by number.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Account {
    #[prost(message, optional, tag = "1")]
    pub name: Option<AccountName>,
    #[prost(uint32, tag = "2")]
    pub number: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AccountName {
    #[prost(string, tag = "1")]
    pub name: String,
}
