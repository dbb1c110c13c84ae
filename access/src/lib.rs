//! Who may do what: the words and the rules of Countersign; no I/O, no clock.
