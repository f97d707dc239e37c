//! Which source has the last word on each plain key: the defaults, the main file, `conf.d`, the environment.

use std::collections::HashMap;

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::finding::{Fault, Finding, Place, Weight};
use super::fragment::Leaf;
use super::keys::{Absent, SECTIONS};
use super::shape::shown;

/// The plain keys, with the last word of each source, and where it was said.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) config: Config,
    places: HashMap<String, Place>,
}

impl Layers {
    /// Lays the defaults, then `sources` in their order, one over the other.
    pub(super) fn lay<'a>(sources: impl Iterator<Item = &'a [Leaf]>) -> Result<Self, ConfigError> {
        let mut builder = Config::builder().add_source(defaults());
        let mut places = HashMap::new();
        for leaves in sources {
            builder = builder.add_source(Layer::of(leaves.iter().map(|leaf| (leaf.path.clone(), &leaf.value))));
            places.extend(leaves.iter().map(|leaf| (leaf.path.clone(), leaf.place.clone())));
        }
        Ok(Self { config: builder.build()?, places })
    }

    /// Where `path` was set, for a finding about it.
    pub(super) fn place(&self, path: &str) -> Place {
        self.places.get(path).cloned().unwrap_or_else(|| Place { key: path.to_owned(), ..Place::default() })
    }
}

/// Finds plain keys that two files of `conf.d` set to different things: none of them is the one to obey.
pub(super) fn conflicts<'a>(files: impl Iterator<Item = &'a [Leaf]>, findings: &mut Vec<Finding>) {
    let mut said: HashMap<&str, &Leaf> = HashMap::new();
    for leaf in files.flatten() {
        let first = *said.entry(&leaf.path).or_insert(leaf);
        if first.value != leaf.value {
            let what = format!("{} here, but {} in {}", shown(&leaf.value), shown(&first.value), first.place);
            findings.push(Fault::new(what, "keep one of them").at(Weight::Error, leaf.place.clone()));
        }
    }
}

fn defaults() -> Layer {
    let keys = SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)));
    let values: Vec<(String, toml::Value)> = keys
        .filter_map(|(section, key)| match key.absent {
            Absent::Default(text) => Some((format!("{}.{}", section.name, key.name), key.shape.value_of(text))),
            Absent::Required | Absent::Unset => None,
        })
        .collect();
    Layer::of(values.iter().map(|(path, value)| (path.clone(), value)))
}

/// One source, as the crate `config` wants it: paths of keys with their values.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Layer {
    fn of<'a>(values: impl Iterator<Item = (String, &'a toml::Value)>) -> Self {
        Self(values.map(|(path, value)| (path, Value::new(None, kind_of(value)))).collect())
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn kind_of(value: &toml::Value) -> ValueKind {
    match value {
        toml::Value::String(text) => ValueKind::String(text.clone()),
        toml::Value::Integer(number) => ValueKind::I64(*number),
        toml::Value::Float(number) => ValueKind::Float(*number),
        toml::Value::Boolean(flag) => ValueKind::Boolean(*flag),
        toml::Value::Datetime(date) => ValueKind::String(date.to_string()),
        toml::Value::Array(items) => {
            ValueKind::Array(items.iter().map(|item| Value::new(None, kind_of(item))).collect())
        }
        toml::Value::Table(table) => {
            ValueKind::Table(table.iter().map(|(key, value)| (key.clone(), Value::new(None, kind_of(value)))).collect())
        }
    }
}
