//! Drives the real daemon over its socket.
