//! Metrics as they are written for Prometheus: OpenMetrics text.

use std::hash::Hash;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::tally::Labels;

/// What its readers are told it is (OpenMetrics 1.0, §4.1).
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one moment.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    registry: Registry,
    /// What there may be, whether or not it has a series now.
    #[cfg(test)]
    names: Vec<String>,
}

impl Sheet {
    /// Adds what was counted.
    pub(super) fn counted(&mut self, name: &str, help: &str, metric: impl Metric) {
        #[cfg(test)]
        self.names.push(name.to_owned());
        self.registry.register(name, help, metric);
    }

    /// Adds a gauge without labels, where its value is known.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        self.gauges(name, help, value.into().map(|value| ([], value)));
    }

    /// Adds a count without labels, where it is known.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: Option<f64>) {
        let family = Family::<Labels<0>, Counter<f64, AtomicU64>>::default();
        if let Some(value) = value {
            family.get_or_create(&[]).inc_by(value);
        }
        self.counted(name, help, family);
    }

    /// Adds a gauge with labels; rows with the same ones add up.
    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) where
        Labels<N>: EncodeLabelSet + Hash + Eq,
    {
        let family = Family::<Labels<N>, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).inc_by(value);
        }
        self.counted(name, help, family);
    }

    /// The names of all that was added, in their order.
    #[cfg(test)]
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
