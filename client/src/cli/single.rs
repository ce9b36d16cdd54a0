//! One registration: asks for it, shows it, gives it back.

use std::io::{self, BufRead as _};

use kuota_client::{Ask, Client, Durability, Error, Key, Outcome};

use super::{
    Args,
    arguments::RegisterArgs,
    json,
    report::{DONE, Failed, NO, say},
    table,
};

pub(super) async fn register(args: &Args, register: &RegisterArgs) -> Result<u8, Failed> {
    let ask = ask(register)?;
    let client = args.connect().await?;
    let failed = |error: Error| Failed::Write { error, request_id: ask.id().into() };
    let outcome = client.register(&ask).await.map_err(failed)?;
    Ok(show(args, &client, &outcome).await)
}

pub(super) async fn get(args: &Args, key: Key) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let registration = client.get(key).await?;
    Ok(show(args, &client, &Outcome::Registered(registration)).await)
}

pub(super) async fn cancel(args: &Args, key: Key, reason: &str) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let id = id(&client, key).await?;
    let outcome = client.cancel(&id, reason).await?;
    Ok(show(args, &client, &outcome).await)
}

/// The id behind a key; only a code or a request needs a look-up.
pub(super) async fn id(client: &Client, key: Key) -> Result<String, Error> {
    match key {
        Key::Id(id) => Ok(id),
        key @ (Key::Code(_) | Key::RequestId(_) | Key::Billing(_)) => Ok(client.get(key).await?.id),
    }
}

pub(super) async fn show(args: &Args, client: &Client, outcome: &Outcome) -> u8 {
    if args.is_json() {
        say(&json::outcome(outcome));
    } else {
        // Names and zones of offices are a courtesy: without them ids and UTC are shown.
        say(&table::outcome(outcome, &client.offices().await.unwrap_or_default()));
    }
    match outcome {
        Outcome::Registered(_) => DONE,
        Outcome::Refused(_) => NO,
    }
}

fn ask(register: &RegisterArgs) -> Result<Ask, Failed> {
    let (office, date) = (register.office.as_deref(), register.date.as_deref());
    let mut ask = Ask::new(office.unwrap_or_default(), date.unwrap_or_default(), register.lane.into());
    let niks = niks(&register.nik)?;
    if register.reference.len() > niks.len() {
        let (references, people) = (register.reference.len(), niks.len());
        let what = format!("{references} --reference for {people} --nik: at most one each");
        return Err(Failed::Usage(what));
    }
    let (people, kinds) = (niks.len(), register.passport.len());
    if kinds > 1 && kinds != people {
        let what = format!("{kinds} --passport for {people} --nik: one for all, or one each");
        return Err(Failed::Usage(what));
    }
    for (index, nik) in niks.into_iter().enumerate() {
        ask = ask.applicant(nik, register.reference.get(index).cloned().unwrap_or_default());
        if let Some(kind) = register.passport.get(index).or_else(|| register.passport.first()) {
            ask = ask.passport((*kind).into());
        }
    }
    if let Some(ground) = register.ground {
        ask = ask.ground(ground.into());
    }
    if let Some(session) = &register.session {
        ask = ask.session(session);
    }
    if let Some(request_id) = &register.request_id {
        ask = ask.request_id(request_id);
    }
    Ok(if register.accepted { ask.durability(Durability::Accepted) } else { ask })
}

fn niks(given: &[String]) -> Result<Vec<String>, Failed> {
    let mut niks = Vec::with_capacity(given.len());
    for nik in given {
        if nik != "-" {
            niks.push(nik.clone());
            continue;
        }
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|error| Failed::File(format!("standard input: {error}")))?;
            niks.extend(Some(line.trim().to_owned()).filter(|line| !line.is_empty()));
        }
    }
    Ok(niks)
}
