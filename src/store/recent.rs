//! A memory that is bounded by number: what was put there longest ago goes first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

#[derive(Debug, Clone)]
pub(super) struct Recent<K, V> {
    by: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { by: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.by.get(key).map(|(_, value)| value)
    }

    /// Without making it newer.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.by.get_mut(key).map(|(_, value)| value)
    }

    /// As the newest, in place of what was there.
    pub(super) fn put(&mut self, key: K, value: V) {
        self.take(&key);
        self.next = self.next.saturating_add(1);
        self.order.insert(self.next, key.clone());
        self.by.insert(key, (self.next, value));
    }

    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        let (place, value) = self.by.remove(key)?;
        self.order.remove(&place);
        Some(value)
    }

    pub(super) fn take_oldest(&mut self) -> Option<V> {
        let (_, oldest) = self.order.pop_first()?;
        self.by.remove(&oldest).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.values().filter_map(|key| Some((key, self.get(key)?)))
    }
}
