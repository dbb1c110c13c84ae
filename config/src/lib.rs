//! Everything an operator can write, and what it means.

mod settings;

pub use settings::{
    BrokerSettings, CaSettings, Endpoints, Keys, Limits, ProxySettings, Settings, Source, TlsFiles,
};
