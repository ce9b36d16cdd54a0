//! Who pays for held places, and when: beside the driven load, through the SDK. The export tells which places wait for
//! money; what somebody does about theirs is drawn from the seed and the person.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use futures_util::{StreamExt as _, stream};
use kuota_client::{
    Admin, Client, Error, ExportFilter, ExportedRegistration, Paid, PassportKind, Payee, Payment,
    RegistrationState,
};

use super::audit::{Book, Case, Conduct, Held, Said, Told};
use crate::{
    limits::{PAYMENTS_CONCURRENT, PAYMENTS_LOOK_EVERY},
    plan::{identity::Identities, random::mix},
    scenario::PaymentsSection,
    target::ground::{milliseconds, wall_ms},
};

/// What everybody comes for where places are paid for: the generated catalogue has its fee.
pub const PAID_PASSPORT: PassportKind = PassportKind::Ordinary5Years;

/// Takes payments until everybody has asked, and no place waits for money any more.
#[derive(Debug)]
pub struct Cashier {
    /// To whom money is said to have come.
    pub client: Client,
    /// Who tells which places wait for it,
    pub admin: Admin,
    /// on these days.
    pub filter: ExportFilter,
    /// How people pay.
    pub section: PaymentsSection,
    /// What they do is drawn from it.
    pub seed: u64,
    /// Who they are.
    pub identities: Identities,
}

/// Something somebody does about a place, later.
struct Errand {
    held: Held,
    conduct: Conduct,
}

impl Cashier {
    /// All payments, and what the server says of them afterwards.
    ///
    /// # Errors
    /// When the server does not say which places wait for money.
    pub async fn work(&self, everybody_has_asked: &AtomicBool) -> Result<Book, Error> {
        let (mut known, mut said) = (HashSet::new(), Vec::new());
        let mut errands: BTreeMap<(i64, usize), Errand> = BTreeMap::new();
        loop {
            // Before the look: what is granted after it is seen in the next one.
            let is_last = everybody_has_asked.load(Ordering::Relaxed);
            let held = self.look().await?;
            let is_waiting = held.iter().any(|held| held.state == RegistrationState::Held);
            for held in held.into_iter().filter(|held| held.state == RegistrationState::Held) {
                if known.insert(held.id.clone()) {
                    let (at_ms, errand) = self.errand(held);
                    errands.insert((at_ms, known.len()), errand);
                }
            }
            let now_ms = wall_ms(SystemTime::now());
            let later = errands.split_off(&(now_ms, usize::MAX));
            let due = std::mem::replace(&mut errands, later);
            let pay = stream::iter(due.into_values().map(|errand| self.run(errand)));
            said.extend(pay.buffer_unordered(PAYMENTS_CONCURRENT).collect::<Vec<_>>().await.concat());
            if is_last && !is_waiting && errands.is_empty() {
                return self.book(said).await;
            }
            tokio::time::sleep(PAYMENTS_LOOK_EVERY).await;
        }
    }

    async fn look(&self) -> Result<Vec<Held>, Error> {
        let mut export = self.admin.export(&self.filter).await?;
        let mut held = Vec::new();
        while let Some(part) = export.next().await? {
            held.extend(part.into_iter().filter_map(|found| self.held(found)));
        }
        Ok(held)
    }

    /// A registration of this run whose place was held.
    fn held(&self, found: ExportedRegistration) -> Option<Held> {
        let person = found.references.first().and_then(|reference| self.identities.person(reference))?;
        Some(Held {
            person,
            state: found.state(),
            place: format!("{} {}", found.office_id, found.service_date),
            expire_time_ms: milliseconds(found.hold_expire_time?),
            create_time_ms: found.create_time.map_or(0, milliseconds),
            update_time_ms: found.update_time.map_or(0, milliseconds),
            fee_rupiah: found.fee_rupiah.unwrap_or(0),
            payment_reference: found.payment_reference,
            id: found.id,
        })
    }

    fn errand(&self, held: Held) -> (i64, Errand) {
        let drawn = mix(self.seed ^ u64::from(held.person).rotate_left(17));
        let conduct = self.section.conduct(drawn % 100);
        let spread = |most_ms: u64| i64::try_from((drawn >> 8) % most_ms.max(1)).unwrap_or(0);
        let at_ms = match conduct {
            Conduct::InTime | Conduct::Twice | Conduct::WrongAmount => {
                held.create_time_ms + spread(self.section.pay_after_ms_max)
            }
            Conduct::Late => held.expire_time_ms + 1 + spread(self.section.late_after_ms_max),
            Conduct::Never => i64::MIN,
        };
        (at_ms, Errand { held, conduct })
    }

    async fn run(&self, Errand { held, conduct }: Errand) -> Vec<Said> {
        let fee = held.fee_rupiah;
        let steps: &[(&str, i64)] = match conduct {
            Conduct::Never => &[],
            Conduct::InTime | Conduct::Late => &[("a", fee)],
            // The same payment again, and then another one.
            Conduct::Twice => &[("a", fee), ("a", fee), ("b", fee)],
            Conduct::WrongAmount => &[("a", fee + 1), ("b", fee)],
        };
        let mut said = Vec::with_capacity(steps.len());
        for (suffix, amount_rupiah) in steps {
            let reference = format!("{}/{suffix}", held.id);
            let payee = Payee::Id(held.id.clone());
            let payment = Payment { payee, reference: reference.clone(), amount_rupiah: *amount_rupiah };
            let told = match self.client.confirm_payment(&payment).await {
                Ok(Paid::Confirmed(_)) => Told::Confirmed,
                Ok(Paid::Case(case)) => Told::Case(case.cause()),
                Ok(Paid::Refused(refusal)) => Told::Refused(refusal.reason()),
                Err(error) => Told::Failed(error.to_string()),
            };
            let is_fee = *amount_rupiah == fee;
            said.push(Said { registration: held.id.clone(), reference, conduct, is_fee, told });
        }
        said
    }

    async fn book(&self, said: Vec<Said>) -> Result<Book, Error> {
        let cases = self.admin.payment_cases(true).await?;
        let cases = cases
            .into_iter()
            .map(|case| Case { registration: case.registration_id, reference: case.payment_reference });
        Ok(Book { said, held: self.look().await?, cases: cases.collect() })
    }
}
