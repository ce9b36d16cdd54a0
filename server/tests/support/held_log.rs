//! A log whose commits a test holds, lets go, and fails.

use std::sync::{Arc, Condvar, Mutex};

use kuota_server::log::{AppendError, EventLog, ReadError, Row};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    Hold,
    Full,
    Break,
}

#[derive(Debug)]
struct State {
    fate: Fate,
    holding: usize,
}

/// Decides what becomes of commits.
#[derive(Debug, Clone)]
pub(crate) struct Valve(Arc<(Mutex<State>, Condvar)>);

impl Default for Valve {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(State { fate: Fate::Pass, holding: 0 }), Condvar::new())))
    }
}

impl Valve {
    pub(crate) fn set(&self, fate: Fate) {
        self.0.0.lock().unwrap().fate = fate;
        self.0.1.notify_all();
    }

    /// Waits until a commit is being held.
    pub(crate) fn wait_until_holding(&self) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| state.holding == 0).unwrap());
    }

    /// Between engine and log.
    pub(crate) fn wrap(&self) -> Box<dyn FnOnce(Box<dyn EventLog>) -> Box<dyn EventLog> + Send> {
        let valve = self.clone();
        Box::new(move |log| Box::new(HeldLog { log, valve }))
    }

    fn pass(&self) -> Fate {
        let mut state = self.0.0.lock().unwrap();
        if state.fate == Fate::Hold {
            state.holding += 1;
            self.0.1.notify_all();
            state = self.0.1.wait_while(state, |state| state.fate == Fate::Hold).unwrap();
            state.holding -= 1;
        }
        state.fate
    }
}

#[derive(Debug)]
struct HeldLog {
    log: Box<dyn EventLog>,
    valve: Valve,
}

impl EventLog for HeldLog {
    fn append(&mut self, row: &Row) -> Result<(), AppendError> {
        match self.valve.pass() {
            Fate::Pass | Fate::Hold => self.log.append(row),
            Fate::Full => Err(AppendError::Full),
            Fate::Break => Err(AppendError::Broken("as the test wished".into())),
        }
    }

    fn read(&mut self, visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>) -> Result<(), ReadError> {
        self.log.read(visit)
    }

    fn last_seq(&mut self) -> Result<u64, ReadError> {
        self.log.last_seq()
    }

    fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }
}
