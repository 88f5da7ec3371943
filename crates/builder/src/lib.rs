//! Dockerfile to image: parsing, planning, cache and steps.
