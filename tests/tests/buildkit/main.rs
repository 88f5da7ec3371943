//! BuildKit's protocol, spoken by a client of its own: builds with file sync, exporters, hostile peers, endings.

mod attestations;
mod builds;
mod cache;
mod cache_elsewhere;
mod cache_limit;
mod calls;
mod client;
mod endings;
mod exporters;
mod graphs;
mod hostile;
mod image_builds;
mod instructions;
mod offers;
mod patterns;
mod peer;
mod platforms;
mod policy;
mod registry;
mod remote_contexts;
mod session;
mod streams;
