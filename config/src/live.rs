//! What of a config may change while the program runs, and what waits for its next start.

use std::net::SocketAddr;

use access::Secret;

use crate::settings::{BrokerSettings, OtlpSettings, Postgres, ProxySettings, Settings, Store};

impl Settings {
    /// These settings as a process can take them over that runs on `running`: what it opened once stays as it is, and the
    /// keys of which that is not what was written are named.
    #[must_use]
    pub fn taken_over(mut self, running: &Self) -> (Self, Vec<&'static str>) {
        let mut waiting = Vec::new();
        let mut stays = |key, changed| {
            if changed {
                waiting.push(key)
            }
        };
        stays("realm", self.realm != running.realm);
        let (next, now) = (&self.proxy, &running.proxy);
        stays("proxy.listen", next.listen != now.listen);
        stays("proxy.directory", next.directory != now.directory);
        stays("proxy.transparent.listen", next.ways.transparent != now.ways.transparent);
        stays("proxy.shared.listen", listen(next) != listen(now));
        stays("proxy.limits.connections", next.limits.connections != now.limits.connections);
        stays("telemetry.listen", self.telemetry.listen != running.telemetry.listen);
        let (next, now) = (&self.broker, &running.broker);
        stays("broker.issuer", next.issuer != now.issuer);
        stays("broker.listen", next.listen != now.listen);
        stays("broker.store", !is_same_store(&next.store, &now.store));
        stays("broker.tls", next.tls != now.tls);
        stays("broker.encryption_key", exposed(next) != exposed(now));
        stays("broker.keys.lifetime", next.key_lifetime != now.key_lifetime);
        stays("broker.keys.publish_ahead", next.key_publish_ahead != now.key_publish_ahead);
        stays("broker.aws_audience", next.aws_audience != now.aws_audience);

        // What writes it has begun.
        let records = self.telemetry.records.clone();
        self.telemetry.records.clone_from(&running.telemetry.records);
        if records != self.telemetry.records {
            waiting.push("telemetry.records");
        }
        if !is_same(self.telemetry.otlp.as_ref(), running.telemetry.otlp.as_ref()) {
            waiting.push("telemetry.otlp");
        }
        self.telemetry.otlp.clone_from(&running.telemetry.otlp);
        self.realm.clone_from(&running.realm);
        self.proxy.listen = running.proxy.listen;
        self.proxy.directory.clone_from(&running.proxy.directory);
        self.proxy.limits.connections = running.proxy.limits.connections;
        self.proxy.ways.transparent.clone_from(&running.proxy.ways.transparent);
        if let (Some(next), Some(now)) = (&mut self.proxy.ways.shared, &running.proxy.ways.shared) {
            next.listen = now.listen;
        }
        self.telemetry.listen = running.telemetry.listen;
        self.broker = running.broker.clone();
        (self, waiting)
    }
}

fn listen(proxy: &ProxySettings) -> Option<SocketAddr> {
    proxy.ways.shared.as_ref().map(|shared| shared.listen)
}

fn exposed(broker: &BrokerSettings) -> Option<&String> {
    broker.encryption_key.as_ref().map(Secret::expose)
}

fn is_same_store(one: &Store, other: &Store) -> bool {
    match (one, other) {
        (Store::File(one), Store::File(other)) => one == other,
        (Store::Server(one), Store::Server(other)) => {
            let password = |of: &Postgres| of.password.as_ref().map(Secret::expose).cloned();
            one.place() == other.place()
                && (&one.at, &one.ca, one.connections) == (&other.at, &other.ca, other.connections)
                && password(one) == password(other)
        }
        (Store::File(_), Store::Server(_)) | (Store::Server(_), Store::File(_)) => false,
    }
}

fn is_same(one: Option<&OtlpSettings>, other: Option<&OtlpSettings>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one.is_none() && other.is_none() };
    let headers = |of: &OtlpSettings| -> Vec<_> {
        of.headers.iter().map(|(name, value)| (name.clone(), value.expose().clone())).collect()
    };
    let rest = |of: &OtlpSettings| {
        (of.endpoint.clone(), of.ca.clone(), of.traces_per_million, of.records, of.resource.clone())
    };
    rest(one) == rest(other) && headers(one) == headers(other)
}
