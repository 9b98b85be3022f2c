//! What a program hands to all of its handlers: clients of outside systems, settings. One value a type.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

/// Values by their types; a clone is the same values.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Shared {
    /// These values and one more, which takes the place of an earlier one of its type.
    pub(crate) fn with<T: Any + Send + Sync>(self, value: T) -> Self {
        let mut values = Arc::unwrap_or_clone(self.0);
        values.insert(TypeId::of::<T>(), Arc::new(value));
        Self(Arc::new(values))
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Shared {
    /// The values may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}
