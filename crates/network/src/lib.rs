//! Bridges, links, addresses, firewall, published ports and name files.
