//! The history: events of the log, page after page.

use std::{collections::VecDeque, time::SystemTime};

use kuota_api::v1::{self, Event};
use tonic::{Code, Request};

use crate::{
    admin::service,
    call::Effect,
    error::{Error, Failed},
    limits::{EVENT_PAGE_SIZE, EVENT_PAGES_MAX},
    link::Link,
};

/// Which events to list: those that everything named here is true of; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this registration, by its id.
    pub registration_id: Option<String>,
    /// Only of this office.
    pub office_id: Option<String>,
    /// Only of this actor, as it called itself.
    pub actor: Option<String>,
    /// Only from then on.
    pub from_time: Option<SystemTime>,
    /// Only before then.
    pub to_time: Option<SystemTime>,
}

/// A listing of events, from [`Admin::events`](crate::Admin::events). It asks for pages as they are needed, and goes on
/// over short and empty ones.
///
/// ```no_run
/// # async fn example(admin: kuota_client::Admin) -> Result<(), kuota_client::Error> {
/// use kuota_client::EventFilter;
///
/// let office_id = Some("kanim-pontianak".into());
/// let mut events = admin.events(&EventFilter { office_id, ..EventFilter::default() });
/// while let Some(event) = events.next().await? {
///     println!("{} {}: {}", event.actor, event.description, event.reason);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    link: Link,
    /// Of the next page.
    request: v1::ListEventsRequest,
    page: VecDeque<Event>,
    pages: u32,
    is_last: bool,
}

impl Events {
    pub(crate) fn new(link: Link, filter: &EventFilter) -> Self {
        let request = v1::ListEventsRequest {
            registration_id: filter.registration_id.clone(),
            office_id: filter.office_id.clone(),
            actor: filter.actor.clone(),
            from_time: filter.from_time.map(Into::into),
            to_time: filter.to_time.map(Into::into),
            page_size: EVENT_PAGE_SIZE,
            page_token: String::new(),
        };
        Self { link, request, page: VecDeque::new(), pages: 0, is_last: false }
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a filter that is not well-formed, or when there is no answer. Ask for the next event again
    /// to go on where it failed.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(event));
            }
            if self.is_last {
                return Ok(None);
            }
            let send = async |channel, request: Request<_>| service(channel).list_events(request).await;
            let page = self.link.call(Effect::Read, &self.request, send).await?;
            let token = page.next_page_token;
            self.pages += 1;
            if !token.is_empty() && (token == self.request.page_token || self.pages >= EVENT_PAGES_MAX) {
                let failed = Failed::bare(Code::OutOfRange, "the server's list has no end".into());
                return Err(Error::Status(Box::new(failed)));
            }
            self.page = page.events.into();
            self.is_last = token.is_empty();
            self.request.page_token = token;
        }
    }
}
