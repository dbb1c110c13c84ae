//! `countersign proxy` as whoever runs it meets it: health, numbers, signals.

mod stage;

mod drain;
mod health;
mod limits;
mod records;
mod reference;
mod reload;
mod trust;
