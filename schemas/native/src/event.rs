//! A usage event as JSON text: every member once, none but those that the contract knows and plain extensions.
//!
//! Texts are borrowed, which a string with an escape cannot be: serde_json refuses it then, as it refuses control
//! characters in a string and whatever stands behind the event.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

const MOST_EXTENSIONS: usize = 16;
const MOST_EXTENSION_NAME: usize = 64;
pub const NAME_FIELDS: [&str; 4] = ["model", "guardrail", "script", "tool"];

pub struct Event<'a> {
    pub id: &'a str,
    pub source: &'a str,
    pub kind: &'a str,
    pub subject: &'a str,
    pub time: &'a str,
    pub data: &'a str,
    pub extensions: Vec<(&'a str, &'a str)>,
}

#[derive(Default)]
pub struct Data<'a> {
    pub credits: Option<&'a RawValue>,
    /// By the place of their field in `NAME_FIELDS`.
    pub names: [Option<&'a str>; 4],
    pub runs: Option<u64>,
    /// Texts that are a name where they are known, and numbers; all for information.
    pub texts: Vec<&'a str>,
    pub category: Option<&'a str>,
    pub tokens: [Option<u64>; 2],
    pub replicas: Option<u64>,
    pub measures: Vec<&'a RawValue>,
}

fn put<T, E: Error>(place: &mut Option<T>, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member comes twice")),
    }
}

fn is_extension(name: &str) -> bool {
    (1..=MOST_EXTENSION_NAME).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event<'de>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<'de>, A::Error> {
        let (mut version, mut media) = (None::<&str>, None::<&str>);
        let (mut id, mut source, mut kind, mut subject, mut time) = (None, None, None, None, None);
        let mut data = None::<&RawValue>;
        let mut extensions: Vec<(&str, &str)> = Vec::new();
        while let Some(name) = map.next_key::<&'de str>()? {
            match name {
                "specversion" => put(&mut version, map.next_value()?)?,
                "id" => put(&mut id, map.next_value()?)?,
                "source" => put(&mut source, map.next_value()?)?,
                "type" => put(&mut kind, map.next_value()?)?,
                "subject" => put(&mut subject, map.next_value()?)?,
                "time" => put(&mut time, map.next_value()?)?,
                "datacontenttype" => put(&mut media, map.next_value()?)?,
                "data" => put(&mut data, map.next_value()?)?,
                _ => {
                    let is_known = extensions.iter().any(|(other, _)| *other == name);
                    if is_known || !is_extension(name) || extensions.len() >= MOST_EXTENSIONS {
                        return Err(A::Error::custom("not a plain extension"));
                    }
                    extensions.push((name, map.next_value()?));
                }
            }
        }
        if version != Some("1.0") || !matches!(media, None | Some("application/json")) {
            return Err(A::Error::custom("another version or content type"));
        }
        match (id, source, kind, subject, time, data) {
            (Some(id), Some(source), Some(kind), Some(subject), Some(time), Some(data)) => {
                Ok(Event { id, source, kind, subject, time, data: data.get(), extensions })
            }
            _ => Err(A::Error::custom("an attribute is missing")),
        }
    }
}

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(EventVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data<'de>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("the data of a usage event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data<'de>, A::Error> {
        let mut data = Data::default();
        let mut texts = [None::<&str>; 4];
        let mut measures = [None::<&RawValue>; 3];
        while let Some(name) = map.next_key::<&'de str>()? {
            match name {
                "credits" => put(&mut data.credits, map.next_value()?)?,
                "model" => put(&mut data.names[0], map.next_value()?)?,
                "guardrail" => put(&mut data.names[1], map.next_value()?)?,
                "script" => put(&mut data.names[2], map.next_value()?)?,
                "tool" => put(&mut data.names[3], map.next_value()?)?,
                "runs" => put(&mut data.runs, map.next_value()?)?,
                "deployment" => put(&mut texts[0], map.next_value()?)?,
                "status" => put(&mut texts[1], map.next_value()?)?,
                "hardware" => put(&mut texts[2], map.next_value()?)?,
                "language" => put(&mut texts[3], map.next_value()?)?,
                "category" => put(&mut data.category, map.next_value()?)?,
                "input_tokens" => put(&mut data.tokens[0], map.next_value()?)?,
                "output_tokens" => put(&mut data.tokens[1], map.next_value()?)?,
                "replicas" => put(&mut data.replicas, map.next_value()?)?,
                "seconds" => put(&mut measures[0], map.next_value()?)?,
                "cpus" => put(&mut measures[1], map.next_value()?)?,
                "memory_gb" => put(&mut measures[2], map.next_value()?)?,
                _ => return Err(A::Error::custom("a field that the contract does not know")),
            }
        }
        data.texts.extend(texts.into_iter().flatten());
        data.measures.extend(measures.into_iter().flatten());
        Ok(data)
    }
}

impl<'de> Deserialize<'de> for Data<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(DataVisitor)
    }
}

/// None for what is not, to the last character, an event of the usual form: the Python readers judge it.
pub fn read_event(value: &[u8]) -> Option<Event<'_>> {
    // A fold looks at many bytes at once; `all` would stop at the first bad one and look at each alone.
    let is_plain = |c: u8| ((b' '..=b'~').contains(&c) | matches!(c, b'\t' | b'\n' | b'\r')) & (c != b'\\');
    if !value.iter().fold(true, |so_far, c| so_far & is_plain(*c)) {
        return None;
    }
    serde_json::from_str(std::str::from_utf8(value).ok()?).ok()
}

pub fn read_data(text: &str) -> Option<Data<'_>> {
    serde_json::from_str(text).ok()
}
