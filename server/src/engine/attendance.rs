//! The service day: who came, and who was served.

use kuota_domain::{
    ids::CallerNumber,
    ledger::{Attendance, Command},
};

use super::{Answer, Engine, Failure, Key};

impl Engine {
    /// Somebody came. Told again, it says the same.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn check_in(&self, key: Key, caller: CallerNumber, actor: &str) -> Answer {
        self.command(Command::CheckIn(self.attendance(key, caller, actor)?)).await
    }

    /// Somebody was served. Told again, it says the same.
    ///
    /// # Errors
    /// A refusal, or why there is no answer.
    pub async fn complete(&self, key: Key, caller: CallerNumber, actor: &str) -> Answer {
        self.command(Command::Complete(self.attendance(key, caller, actor)?)).await
    }

    fn attendance(&self, key: Key, caller: CallerNumber, actor: &str) -> Result<Attendance, Failure> {
        let found = self.find(key).ok_or(Failure::RegistrationNotFound)?;
        Ok(Attendance { registration: found.registration.id, caller, actor: actor.into() })
    }
}
