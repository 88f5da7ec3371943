//! Clients that others wrote, unmodified; their scripts and files are in `tests/clients/`, `scripts/setup` installs what
//! they need.

mod act;
mod compose;
mod compose_before_2;
mod devcontainers;
mod lazydocker;
mod libraries;
mod testcontainers_node;
mod traefik;
