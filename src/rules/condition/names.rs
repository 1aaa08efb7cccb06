//! Which facts a condition names: only those have to be given to it, and a subject may hold hundreds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::tree::{Kind, Node};

/// The names below a fact that a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Whatever there is.
    All,
    Only(BTreeMap<String, Self>),
}

impl Names {
    pub(super) fn of(subject: &str, root: &Node) -> Self {
        let mut names = Self::Only(BTreeMap::new());
        names.collect(subject, root);
        names
    }

    fn collect(&mut self, subject: &str, node: &Node) {
        match path(subject, node) {
            Some(path) => self.add(&path),
            None => node.children().into_iter().for_each(|child| self.collect(subject, child)),
        }
    }

    fn add(&mut self, path: &[&str]) {
        match (&mut *self, path) {
            (Self::All, _) => {}
            (Self::Only(_), []) => *self = Self::All,
            (Self::Only(names), [first, rest @ ..]) => {
                names.entry((*first).to_owned()).or_insert_with(|| Self::Only(BTreeMap::new())).add(rest);
            }
        }
    }

    /// Whether the subject is not looked at.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    /// What is looked at below this name; none where nothing is.
    pub fn below(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Only(names) => names.get(name),
        }
    }

    /// The names themselves; none where it may be any.
    pub fn only(&self) -> Option<impl Iterator<Item = &str>> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names.keys().map(String::as_str)),
        }
    }

    /// A copy of what is looked at, each as it is there.
    pub fn pick(&self, from: &Map<String, Value>) -> Map<String, Value> {
        let Self::Only(names) = self else { return from.clone() };
        let picked = |(name, below): (&String, &Self)| {
            let value = match from.get(name)? {
                Value::Object(fields) => Value::Object(below.pick(fields)),
                other => other.clone(),
            };
            Some((name.clone(), value))
        };
        names.iter().filter_map(picked).collect()
    }
}

/// The way from the subject to this node, where it is one of fields alone.
fn path<'a>(subject: &str, node: &'a Node) -> Option<Vec<&'a str>> {
    match &node.kind {
        Kind::Fact(fact, _) if *fact == subject => Some(Vec::new()),
        Kind::Field(of, field, _) => {
            let mut path = path(subject, of)?;
            path.push(field);
            Some(path)
        }
        _ => None,
    }
}
