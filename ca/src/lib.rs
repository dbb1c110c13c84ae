//! The private certificate authority: root, leaves, trust stores.
