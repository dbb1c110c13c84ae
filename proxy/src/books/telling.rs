//! Traces, and the collector that is told of them and of access records.

use std::path::PathBuf;
use std::sync::Arc;

use access::Clock;
use ca::{Bundle, BundleError};
use config::TelemetrySettings;
use otel::{CollectorError, Exporter, Exporting, Sampling, Settings, Tally, Tracer};

/// Reads and begins traces, and hands in what has ended. There is one only where somebody wants to know.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub(crate) tracer: Arc<Tracer>,
    pub(crate) exporter: Option<Exporter>,
}

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
pub enum TellingError {
    /// The system's roots.
    #[error("the collector could not be verified")]
    Roots(#[source] BundleError),
    /// A root file of the operator's.
    #[error("cannot use `telemetry.otlp.ca_file` {}", .0.display())]
    OwnRoots(PathBuf, #[source] BundleError),
    /// TLS.
    #[error("no TLS towards the collector")]
    Tls(#[source] rustls::Error),
    /// The collector.
    #[error(transparent)]
    Collector(#[from] CollectorError),
    /// The operating system has no randomness.
    #[error("this system gives no random numbers")]
    Random,
}

impl Telling {
    /// Begins to tell what the settings ask for: nothing, the names of traces in the access log, or everything.
    pub(crate) fn start(
        settings: &TelemetrySettings,
        clock: &Clock,
        tally: &Arc<Tally>,
    ) -> Result<Option<(Self, Option<Exporting>)>, TellingError> {
        if settings.records.is_none() && settings.otlp.is_none() {
            return Ok(None);
        }
        let sampling = settings.otlp.as_ref().and_then(|otlp| otlp.traces_per_million);
        let tracer = Tracer::new(sampling.map(|per_million| Sampling { per_million }));
        let tracer = Arc::new(tracer.map_err(|_| TellingError::Random)?);
        let Some(otlp) = &settings.otlp else { return Ok(Some((Self { tracer, exporter: None }, None))) };
        let mut roots = Bundle::system().map_err(TellingError::Roots)?;
        if let Some(path) = &otlp.ca {
            roots.add_path(path).map_err(|error| TellingError::OwnRoots(path.clone(), error))?;
        }
        let settings = Settings {
            endpoint: otlp.endpoint.clone(),
            headers: otlp.headers.clone(),
            tls: roots.client_config().map_err(TellingError::Tls)?,
            records: otlp.records,
            resource: otlp.resource.clone(),
        };
        let (exporter, exporting) = Exporter::start(&settings, clock.clone(), tally)?;
        Ok(Some((Self { tracer, exporter: Some(exporter) }, Some(exporting))))
    }
}
