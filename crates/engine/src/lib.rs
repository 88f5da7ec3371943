//! The engine: containers, execs, volumes, events and their saved state.
