//! What a run is aimed at: a server of its own in a child process, or one that is there already.

pub mod child;
pub mod clock_gap;
pub mod ground;
pub mod offices;
pub mod serve;
pub mod usage;

use std::{
    fs,
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kuota_client::{Admin, Client, RetryPolicy};
use tempfile::TempDir;

use self::{child::Child, clock_gap::ClockGap, ground::Ground};
use crate::{
    limits::SERVER_NICE,
    scenario::{CatalogOrigin, Scenario},
};

/// A server and everything known of it.
#[derive(Debug)]
pub struct Target {
    /// For the driven load.
    pub address: SocketAddr,
    /// For questions.
    pub client: Client,
    /// For operators' questions, where they may be asked.
    pub admin: Option<Admin>,
    /// Slots and opening.
    pub ground: Ground,
    /// The server, if it is the run's own,
    pub child: Option<Child>,
    /// and its data.
    pub data: Option<TempDir>,
    /// Its process, if it is on this machine.
    pub pid: Option<u32>,
    /// Between its clock and ours.
    pub gap: ClockGap,
}

impl Target {
    /// Starts a server on a temporary directory. Its opening is not scheduled yet.
    ///
    /// # Errors
    /// When it does not start, or does not do it.
    pub async fn own(scenario: &Scenario, program: &Path) -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("kuota-loadtest-").tempdir()?;
        let catalog = catalog(scenario, data.path())?;
        let child = Child::server(program, &data.path().join("data"), catalog.as_deref(), SERVER_NICE)?;
        let [address, admin] = child.addresses[..] else { bail!("the server named one address") };
        let client = connect(address).await?;
        let admin = Admin::connect(&format!("http://{admin}")).await?;
        let ground = Ground::choose(scenario, &client).await?;
        let (pid, gap) = (Some(child.pid()), ClockGap::default());
        let (admin, child, data) = (Some(admin), Some(child), Some(data));
        Ok(Self { address, client, admin, ground, child, data, pid, gap })
    }

    /// Finds its way to a server that is there.
    ///
    /// # Errors
    /// When nobody answers, or no day is open.
    pub async fn existing(
        scenario: &Scenario,
        address: SocketAddr,
        admin: Option<SocketAddr>,
        pid: Option<u32>,
    ) -> anyhow::Result<Self> {
        let client = connect(address).await?;
        let admin = match admin {
            Some(admin) => Some(Admin::connect(&format!("http://{admin}")).await?),
            None => None,
        };
        let ground = match &admin {
            Some(_) => Ground::choose(scenario, &client).await?,
            None => Ground::find(scenario, &client).await?,
        };
        let gap = ClockGap::estimate(address).await?;
        Ok(Self { address, client, admin, ground, child: None, data: None, pid, gap })
    }

    /// Fixes T0: the last thing before the run.
    ///
    /// # Errors
    /// When the server does not carry out an opening, or does not show every slot.
    pub async fn open(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        self.ground.open(scenario, &self.client, self.admin.as_ref()).await
    }

    /// Where the server of the run's own keeps its log.
    #[must_use]
    pub fn log(&self) -> Option<PathBuf> {
        self.data.as_ref().map(|data| data.path().join("data"))
    }
}

/// A client that asks once: what the server says is what is judged. Enough connections for the verification.
///
/// # Errors
/// When nobody answers.
pub async fn connect(address: SocketAddr) -> anyhow::Result<Client> {
    let builder = Client::builder(format!("http://{address}")).channels(4).retry(RetryPolicy::default());
    Ok(builder.connect().await?)
}

fn catalog(scenario: &Scenario, directory: &Path) -> anyhow::Result<Option<PathBuf>> {
    let section = &scenario.catalog;
    match section.origin {
        CatalogOrigin::BuiltIn => Ok(None),
        CatalogOrigin::File => Ok(section.file.as_ref().map(PathBuf::from)),
        CatalogOrigin::Generated => {
            // The scenario's check lets no remainder pass.
            let places_a_day = section.generated_places / section.service_days;
            let text =
                offices::generated(section.generated_offices, places_a_day, section.generated_hold_minutes);
            let path = directory.join("catalog.toml");
            fs::write(&path, text)?;
            Ok(Some(path))
        }
    }
}

/// An address as people write it: with or without `http://`.
///
/// # Errors
/// When it is none, or leads to another machine and nobody said that it may.
pub fn address(url: &str, is_owned: bool) -> anyhow::Result<SocketAddr> {
    let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let not_one = || format!("{url}: an address like http://127.0.0.1:50051 is allowed");
    let mut addresses = authority.to_socket_addrs().with_context(not_one)?;
    let address = addresses.next().with_context(not_one)?;
    if !address.ip().is_loopback() && !is_owned {
        bail!(
            "{url}: this is another machine; a load test of a server that is not yours is an attack. \
             --i-own-this-target says that it is yours"
        );
    }
    Ok(address)
}
