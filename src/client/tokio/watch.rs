//! A watcher that a client, its clones and its task share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::transport::Event;

/// Called for every event; by default nothing is.
#[derive(Clone, Default)]
pub struct SharedWatch(Option<Arc<Watcher>>);

type Watcher = dyn Fn(Duration, Event<'_>) + Send + Sync;

impl SharedWatch {
    /// Calls `watch`.
    pub fn new(watch: impl Fn(Duration, Event<'_>) + Send + Sync + 'static) -> SharedWatch {
        SharedWatch(Some(Arc::new(watch)))
    }

    /// Passes an event on, with the time since the start of its request.
    pub fn tell(&self, time: Duration, event: Event<'_>) {
        if let Some(watch) = &self.0 {
            watch(time, event);
        }
    }
}

impl fmt::Debug for SharedWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedWatch").field(&self.0.is_some()).finish()
    }
}
